"""K-Means is fitted well, and rows are labelled the same way whatever rows come with them."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from segmentation_pipeline.analysis.clustering import kmeans, labelling
from segmentation_pipeline.analysis.clustering.kmeans import count_distinct_rows, fit_kmeans, require_distinct_rows
from segmentation_pipeline.analysis.clustering.labelling import Assignment, assign
from segmentation_pipeline.errors import UnusableDataError
from segmentation_pipeline.model import FittedModel


def _matrix(n: int = 300, width: int = 5, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(n, width)).astype(np.float32)


def _model(k: int = 4, width: int = 5, seed: int = 1) -> FittedModel:
    centers = np.random.default_rng(seed).normal(size=(k, width))
    return FittedModel("kmeans", centers, tuple(range(k)))


def _blobs(seed: int = 0) -> NDArray[np.float32]:
    """Three round groups of 100, far apart."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(center, 0.3, (100, 3)) for center in (0, 4, 9)]).astype(np.float32)


def _rows(assignment: Assignment, rows: Any) -> tuple[NDArray[Any], ...]:
    return tuple(
        values[rows] for values in (assignment.labels, assignment.distance, assignment.second_labels, assignment.margin)
    )


@given(n=st.integers(1, 60), k=st.integers(2, 9), width=st.integers(1, 20), seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=50)
def test_assignment_is_brute_force(n: int, k: int, width: int, seed: int) -> None:
    """Label, distance, second label and margin are those of all distances computed one by one."""
    matrix, model = _matrix(n, width, seed), _model(k, width, seed + 1)
    distances = np.array([[np.linalg.norm(row - center) for center in model.centers] for row in matrix.astype(float)])
    order = np.argsort(distances, axis=1, kind="stable")
    nearest, second = (np.take_along_axis(distances, order[:, [rank]], axis=1)[:, 0] for rank in (0, 1))

    assignment = assign(matrix, model)

    np.testing.assert_array_equal(assignment.labels, order[:, 0])
    np.testing.assert_array_equal(assignment.second_labels, order[:, 1])
    np.testing.assert_allclose(assignment.distance, nearest, rtol=1e-12)
    np.testing.assert_allclose(assignment.margin, 1 - nearest / second, rtol=1e-9, atol=1e-12)


@given(
    rows=st.lists(st.integers(0, 299), min_size=1, max_size=40),
    width=st.sampled_from([1, 2, 3, 7, 8, 9, 16, 33, 64, 130]),
    block=st.sampled_from([1, 2, 3, 7, 64]),
)
@settings(deadline=None, max_examples=50)
def test_a_row_gets_the_same_answer_in_any_batch(rows: list[int], width: int, block: int) -> None:
    """Alone, repeated, in another order and in blocks of any size, a row has bit for bit the same assignment."""
    matrix, model = _matrix(width=width), _model(width=width)
    together = assign(matrix, model)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(labelling, "BLOCK_ROWS", block)
        some = assign(matrix[rows], model)

    for ours, theirs in zip(_rows(some, slice(None)), _rows(together, rows), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("width", [3, 8, 37, 130])
def test_the_layout_of_the_matrix_does_not_matter(width: int) -> None:
    """A matrix in Fortran order or with strides gets bit for bit the answer of a C-ordered one."""
    matrix, model = _matrix(width=width), _model(width=width)
    expected = assign(matrix, model)
    strided = np.repeat(np.repeat(matrix, 2, axis=0), 2, axis=1)[::2, ::2]

    for other in (np.asfortranarray(matrix), strided):
        np.testing.assert_array_equal(other, matrix)
        for ours, theirs in zip(_rows(assign(other, model), slice(None)), _rows(expected, slice(None)), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_a_model_labels_the_same_after_json() -> None:
    """Saved as JSON text and read again, a model returns bit for bit the same assignment."""
    matrix = _matrix()
    model = fit_kmeans(matrix, 4, n_init=10, seed=3).model

    again = FittedModel.from_json(json.loads(json.dumps(model.to_json())))

    np.testing.assert_array_equal(again.centers, model.centers)
    for ours, theirs in zip(
        _rows(assign(matrix, again), slice(None)), _rows(assign(matrix, model), slice(None)), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_labels_are_the_models_own() -> None:
    """Rows get the model's own labels, such as segment ids, not the positions of its prototypes."""
    model = FittedModel("kmeans", np.array([[0.0], [10.0], [20.0]]), (7, 3, 12))

    assignment = assign(np.array([[1], [12], [19]], dtype=np.float32), model)

    assert assignment.labels.tolist() == [7, 3, 12]
    assert assignment.second_labels.tolist() == [3, 12, 3]


def test_several_prototypes_can_share_a_label() -> None:
    """A segment of two prototypes takes the rows near either of them."""
    model = FittedModel("kmeans", np.array([[0.0], [10.0], [20.0]]), (1, 2, 1))

    assert assign(np.array([[1], [9], [19]], dtype=np.float32), model).labels.tolist() == [1, 2, 1]


def test_a_tie_goes_to_the_first() -> None:
    """A row as far from two prototypes belongs to the first, with margin 0."""
    model = FittedModel("kmeans", np.array([[1.0], [-1.0], [1.0]]), (5, 6, 7))

    assignment = assign(np.array([[0], [1]], dtype=np.float32), model)

    assert assignment.labels.tolist() == [5, 5]
    assert assignment.second_labels.tolist() == [6, 7]
    assert assignment.distance.tolist() == [1.0, 0.0]
    assert assignment.margin.tolist() == [0.0, 0.0]


def test_a_row_on_its_prototype_is_deep_inside() -> None:
    """A row at its prototype, away from the others, has distance 0 and margin 1."""
    assignment = assign(np.array([[0]], dtype=np.float32), FittedModel("kmeans", np.array([[0.0], [2.0]]), (0, 1)))

    assert (assignment.distance.tolist(), assignment.margin.tolist()) == ([0.0], [1.0])


def test_one_prototype_has_no_second() -> None:
    """With a single prototype the second label is -1 and the margin 1."""
    assignment = assign(_matrix(n=3), _model(k=1))

    assert assignment.labels.tolist() == [0, 0, 0]
    assert assignment.second_labels.tolist() == [-1, -1, -1]
    assert assignment.margin.tolist() == [1.0, 1.0, 1.0]


def test_no_rows_have_no_labels() -> None:
    """Zero rows have zero labels."""
    assert assign(_matrix(n=0), _model()).labels.shape == (0,)


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


def test_the_same_seed_gives_the_same_centers() -> None:
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


@given(n=st.integers(0, 30), width=st.integers(1, 3), seed=st.integers(0, 100), block=st.sampled_from([1, 4, 100]))
@settings(deadline=None, max_examples=40)
def test_distinct_rows_are_counted_over_blocks(n: int, width: int, seed: int, block: int) -> None:
    """The count is numpy's for the whole matrix, whatever the size of the blocks."""
    matrix = np.random.default_rng(seed).integers(-1, 2, (n, width)).astype(np.float32)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kmeans, "BLOCK_ROWS", block)
        counted = count_distinct_rows(matrix, enough=10**6)

    assert counted == len(np.unique(matrix, axis=0))


def test_minus_zero_is_zero() -> None:
    """Rows that differ only in the sign of a zero are the same row."""
    assert count_distinct_rows(np.array([[0.0], [-0.0]], dtype=np.float32), enough=9) == 1


def test_counting_stops_when_there_are_enough() -> None:
    """A count that has reached what is wanted stops reading."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kmeans, "FIRST_BLOCK_ROWS", 10)
        assert count_distinct_rows(_matrix(n=300), enough=5) == 10


def test_enough_distinct_rows_are_not_refused() -> None:
    """Exactly as many distinct rows as wanted pass; one row less does not."""
    matrix = np.repeat(_matrix(n=3), 2, axis=0)

    require_distinct_rows(matrix, 3)
    with pytest.raises(UnusableDataError, match="n_distinct_rows=3 should be >= n_clusters=4"):
        require_distinct_rows(matrix, 4)
