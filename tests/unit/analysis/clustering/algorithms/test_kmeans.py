"""K-Means: as good as scikit-learn's best of ten, from named starts, and refused where rows are too few."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from sklearn.cluster import KMeans
from support.algorithms import fit_rows, rows_for

from segmentation_pipeline.analysis.clustering.algorithms.kmeans import fit_kmeans
from segmentation_pipeline.analysis.clustering.labelling import assign
from segmentation_pipeline.errors import UnusableDataError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _matrix(n: int = 300, width: int = 5, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(n, width)).astype(np.float32)


def _blobs(seed: int = 0) -> NDArray[np.float32]:
    """Three round groups of 100, far apart."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(center, 0.3, (100, 3)) for center in (0, 4, 9)]).astype(np.float32)


@pytest.mark.parametrize("k", [2, 3, 6])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_fit_is_not_worse_than_scikit_learns_best_of_ten(k: int, seed: int) -> None:
    """The inertia is at most that of scikit-learn's own ten starts, and is that of the centers on all rows."""
    matrix = _matrix(n=500, seed=seed)
    theirs = KMeans(k, n_init=10, random_state=seed).fit(matrix)

    fit = fit_kmeans(matrix, k, n_init=10, seed=seed)

    assert fit.k == k
    assert fit.inertia <= float(theirs.inertia_) * (1 + 1e-6)
    assert fit.inertia == pytest.approx(float((assign(matrix, fit.model).distance ** 2).sum()), rel=1e-12)
    assert fit.inertia == pytest.approx(float(np.square(assign(matrix, fit.model).distance).sum()), rel=1e-12)


def test_separate_groups_are_found() -> None:
    """Three groups far apart become three clusters, each of them whole."""
    fit = fit_kmeans(_blobs(), 3, n_init=10, seed=0)

    labels = assign(_blobs(), fit.model).labels

    assert fit.converged
    assert [len(set(labels[start : start + 100].tolist())) for start in (0, 100, 200)] == [1, 1, 1]
    assert len(set(labels.tolist())) == 3


def test_the_same_seed_fits_the_same_centers() -> None:
    """A fit is repeated bit for bit by its seed."""
    matrix = _matrix(n=500)

    first, second = (fit_kmeans(matrix, 5, n_init=10, seed=42) for _ in range(2))

    np.testing.assert_array_equal(first.centers, second.centers)
    assert (first.inertia, first.n_iter, first.won_by) == (second.inertia, second.n_iter, second.won_by)


def test_the_matrix_is_not_changed() -> None:
    """Fitting leaves the matrix as it was, and a read-only one (a memory map) can be fitted."""
    matrix = _matrix()
    before = matrix.copy()
    frozen = matrix.copy()
    frozen.flags.writeable = False

    writable, read_only = (fit_kmeans(rows, 3, n_init=10, seed=0) for rows in (matrix, frozen))

    np.testing.assert_array_equal(matrix, before)
    np.testing.assert_array_equal(writable.centers, read_only.centers)


def test_a_better_start_wins_and_is_named() -> None:
    """A given start that ends lower than the random ones is taken, and the fit says so."""
    rng = np.random.default_rng(5)
    true_centers = np.stack(np.meshgrid(np.arange(10.0), np.arange(10.0)), axis=-1).reshape(-1, 2)
    matrix = np.concatenate([rng.normal(center, 0.15, (10, 2)) for center in true_centers]).astype(np.float32)

    alone = fit_kmeans(matrix, 100, n_init=1, seed=0)
    helped = fit_kmeans(matrix, 100, n_init=1, seed=0, starts=[("sweep", true_centers)])

    assert (alone.won_by, helped.won_by) == ("k-means++", "sweep")
    assert helped.inertia < alone.inertia


def test_a_start_for_another_k_is_ignored() -> None:
    """Starts with another number of clusters or of columns change nothing."""
    matrix = _matrix()

    alone = fit_kmeans(matrix, 3, n_init=10, seed=0)
    helped = fit_kmeans(
        matrix, 3, n_init=10, seed=0, starts=[("parent", np.zeros((4, 5))), ("other", np.zeros((3, 4)))]
    )

    np.testing.assert_array_equal(alone.centers, helped.centers)


def test_fewer_distinct_rows_than_clusters_are_refused() -> None:
    """Too few distinct rows are refused with both numbers and what to do."""
    matrix = np.repeat(_matrix(n=3), 50, axis=0)

    with pytest.raises(UnusableDataError) as refused:
        fit_kmeans(matrix, 4, n_init=10, seed=0)

    assert str(refused.value) == (
        "n_distinct_rows=3 should be >= n_clusters=4: 150 customers show only 3 different combinations of the "
        "features. Lower sweep.k_max (or fit.k), or add features."
    )


def test_as_many_distinct_rows_as_clusters_are_enough() -> None:
    """With K distinct rows, each of them is a cluster of its own."""
    matrix = np.repeat(_matrix(n=3), 50, axis=0)

    fit = fit_kmeans(matrix, 3, n_init=10, seed=0)

    assert fit.inertia == pytest.approx(0, abs=1e-9)


def test_the_entry_point_fits_as_fit_kmeans_does() -> None:
    """Through the one entry point K-Means has the model, the JSON and the inertia of `fit_kmeans`."""
    matrix, encoding = rows_for("kmeans")
    starts = [("the sweep's centers", matrix[[0, 150, 250]].astype(np.float64))]

    fit, direct = (
        fit_rows("kmeans", matrix, encoding, starts=starts),
        fit_kmeans(matrix, 3, n_init=10, seed=1, starts=starts),
    )

    assert fit.model.to_json() == direct.model.to_json()
    assert set(fit.model.to_json()) == {"version", "algorithm", "labels", "centers"}
    assert (fit.inertia, fit.won_by, fit.n_iter) == (direct.inertia, direct.won_by, direct.n_iter)
