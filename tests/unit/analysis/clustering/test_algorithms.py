"""Every algorithm: what it finds, and that what is saved of it labels rows the same way anywhere."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from kmodes.kprototypes import KPrototypes
from scipy.stats import multivariate_normal
from sklearn.datasets import make_moons
from sklearn.metrics import adjusted_rand_score

from segmentation_pipeline.analysis.clustering.algorithms import kprototypes as mixed
from segmentation_pipeline.analysis.clustering.algorithms.fit import fit_model
from segmentation_pipeline.analysis.clustering.algorithms.resolve import resolve_algorithm
from segmentation_pipeline.analysis.clustering.kmeans import fit_kmeans
from segmentation_pipeline.analysis.clustering.labelling import assign
from segmentation_pipeline.errors import NotEnoughMemoryError, SpecError, UnusableDataError
from segmentation_pipeline.model import Encoding, FeatureEncoding, FittedModel, Memory

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    from segmentation_pipeline.analysis.clustering.algorithms.result import Fit
    from segmentation_pipeline.analysis.clustering.labelling import Assignment

LABELLED = Path(__file__).parents[5] / "shared" / "data" / "labelled"
ALGORITHMS = (
    "kmeans",
    "minibatch_kmeans",
    "kmedoids",
    "kprototypes",
    "gaussian_mixture",
    "quantile",
    "hdbscan",
    "spectral",
)
FRESH = """
import json, sys
import numpy as np
from segmentation_pipeline.model import FittedModel
from segmentation_pipeline.analysis.clustering.labelling import assign
model, rows, answer = sys.argv[1:]
answers = assign(np.load(rows, allow_pickle=False), FittedModel.from_json(json.loads(open(model).read())))
np.savez(answer, labels=answers.labels, distance=answers.distance, second=answers.second_labels, margin=answers.margin)
"""


def _numeric(width: int) -> Encoding:
    return Encoding(tuple(FeatureEncoding(f"n{column}", "numeric", 1.0) for column in range(width)))


def _categories(matrix: NDArray[np.float32], codes: NDArray[np.int64], weight: float = 0.5) -> NDArray[np.float32]:
    one_hot = np.zeros((len(matrix), int(codes.max()) + 1), dtype=np.float32)
    one_hot[np.arange(len(matrix)), codes] = weight
    return np.hstack([matrix, one_hot])


def _mixed(
    n: int = 300, seed: int = 0, weights: tuple[float, float] = (0.5, 0.5)
) -> tuple[NDArray[np.float32], Encoding]:
    """Two numbers and two categories of customers in three groups."""
    rng = np.random.default_rng(seed)
    group = np.arange(n) % 3
    matrix = rng.normal(0, 0.5, (n, 2)).astype(np.float32)
    matrix[:, 0] += group
    first = np.where(rng.random(n) < 0.8, group, rng.integers(0, 3, n))
    second = np.where(rng.random(n) < 0.6, group, rng.integers(0, 4, n))
    encoded = _categories(_categories(matrix, first, weights[0]), second, weights[1])
    encoding = Encoding(
        (
            *_numeric(2).features,
            FeatureEncoding("plan", "categorical", weights[0], categories=("a", "b", "c")),
            FeatureEncoding("city", "categorical", weights[1], categories=("k", "l", "m", "n")),
        )
    )
    return encoded, encoding


def _rows_for(algorithm: str, seed: int = 0) -> tuple[NDArray[np.float32], Encoding]:
    """Rows that the algorithm is for; both halves come from the same source."""
    if algorithm == "kprototypes":
        return _mixed(seed=seed)
    rng = np.random.default_rng(seed)
    if algorithm == "quantile":
        return rng.normal(size=(300, 1)).astype(np.float32), _numeric(1)
    groups = np.concatenate([rng.normal(center, 0.4, (100, 3)) for center in (0, 4, 9)])
    return groups.astype(np.float32), _numeric(3)


def _fit(algorithm: str, matrix: NDArray[np.float32], encoding: Encoding, *, k: int = 3, **more: Any) -> Fit:
    return fit_model(
        matrix, algorithm=algorithm, k=k, encoding=encoding, **({"n_init": 10, "seed": 1, "starts": ()} | more)
    )


def _arrays(assignment: Assignment) -> dict[str, NDArray[Any]]:
    return {
        "labels": assignment.labels,
        "distance": assignment.distance,
        "second": assignment.second_labels,
        "margin": assignment.margin,
    }


def _labelled(name: str) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """A labelled set of the clustering benchmark, standardised; skipped where it does not lie beside the project."""
    if not LABELLED.is_dir():
        pytest.skip(f"the labelled sets are not in {LABELLED}")
    rows, labels = (np.loadtxt(LABELLED / f"{name}.{part}.gz") for part in ("data", "labels0"))
    return ((rows - rows.mean(axis=0)) / rows.std(axis=0)).astype(np.float32), labels


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_fresh_process_labels_the_same_from_json(algorithm: str, tmp_path: Path) -> None:
    """Saved as JSON text and loaded by another process, a model gives the same answers bit for bit, far rows too."""
    matrix, encoding = _rows_for(algorithm)
    fit = _fit(algorithm, matrix, encoding)
    rows = np.concatenate([matrix, _rows_for(algorithm, seed=5)[0], matrix[:20] * 30])
    (tmp_path / "model.json").write_text(json.dumps(fit.model.to_json(), allow_nan=False))
    np.save(tmp_path / "rows.npy", rows)

    subprocess.run(
        [sys.executable, "-c", FRESH, *(str(tmp_path / name) for name in ("model.json", "rows.npy", "answer.npz"))],
        check=True,
    )

    fresh = np.load(tmp_path / "answer.npz", allow_pickle=False)
    for name, ours in _arrays(assign(rows, fit.model)).items():
        np.testing.assert_array_equal(fresh[name], ours)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_one_row_alone_gets_the_answer_of_the_batch(algorithm: str) -> None:
    """A customer's label, distance, second label and margin are the same alone, in reverse and in Fortran order."""
    matrix, encoding = _rows_for(algorithm)
    model = _fit(algorithm, matrix, encoding).model
    everybody = _arrays(assign(matrix, model))

    for row in (0, 17, len(matrix) - 1):
        for name, alone in _arrays(assign(matrix[row : row + 1], model)).items():
            np.testing.assert_array_equal(alone, everybody[name][row : row + 1])
    for other in (matrix[::-1], np.asfortranarray(matrix)[::-1]):
        for name, reversed_rows in _arrays(assign(other, model)).items():
            np.testing.assert_array_equal(reversed_rows, everybody[name][::-1])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_same_seed_gives_the_same_model(algorithm: str) -> None:
    """A fit is repeated exactly by its seed."""
    matrix, encoding = _rows_for(algorithm)

    first, second = (_fit(algorithm, matrix, encoding).model.to_json() for _ in range(2))

    assert first == second


@pytest.mark.parametrize("algorithm", [each for each in ALGORITHMS if each not in {"quantile", "kprototypes"}])
def test_separate_groups_are_found(algorithm: str) -> None:
    """Three groups far apart become three clusters, and nobody in them is left out."""
    matrix, encoding = _rows_for(algorithm)

    fit = _fit(algorithm, matrix, encoding)

    labels = assign(matrix, fit.model).labels
    assert fit.k == 3
    assert adjusted_rand_score(np.repeat([0, 1, 2], 100), labels) == 1.0
    within = sum(
        float(np.square(matrix[labels == each] - matrix[labels == each].mean(axis=0)).sum()) for each in range(3)
    )
    assert fit.inertia == pytest.approx(within, rel=1e-5)


def test_kmeans_is_what_it_was() -> None:
    """Through the one entry point K-Means gives the model, the JSON and the inertia of `fit_kmeans`."""
    matrix, encoding = _rows_for("kmeans")
    starts = [("the sweep's centers", matrix[[0, 150, 250]].astype(np.float64))]

    fit, direct = (
        _fit("kmeans", matrix, encoding, starts=starts),
        fit_kmeans(matrix, 3, n_init=10, seed=1, starts=starts),
    )

    assert fit.model.to_json() == direct.model.to_json()
    assert set(fit.model.to_json()) == {"version", "algorithm", "labels", "centers"}
    assert (fit.inertia, fit.won_by, fit.n_iter) == (direct.inertia, direct.won_by, direct.n_iter)


def test_medoids_are_customers() -> None:
    """A medoid is a row of the matrix, and far customers do not drag it along as they do a mean."""
    matrix, encoding = _rows_for("kmedoids")
    matrix[:4] = 40

    model = _fit("kmedoids", matrix, encoding).model

    assert all((matrix == center.astype(np.float32)).all(axis=1).any() for center in model.centers)
    assert sorted(round(float(center.mean())) for center in model.centers) == [0, 4, 9]


def test_a_large_matrix_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Above their caps k-medoids, K-Prototypes and the shapes are fitted on a sample, and label all rows."""
    from segmentation_pipeline.analysis.clustering.algorithms import centers
    from segmentation_pipeline.analysis.clustering.algorithms import density as shapes

    monkeypatch.setattr(centers, "MEDOID_ROWS", 120)
    monkeypatch.setattr(mixed, "PROTOTYPE_ROWS", 120)
    monkeypatch.setattr(shapes, "SHAPE_ROWS", 120)
    for algorithm in ("kmedoids", "kprototypes", "hdbscan", "spectral"):
        matrix, encoding = _rows_for(algorithm)
        fit = _fit(algorithm, matrix, encoding)
        assert (fit.n_fitted, fit.k) == (120, 3)
        assert len(assign(matrix, fit.model).labels) == 300


@pytest.mark.parametrize("weights", [(0.5, 0.5), (0.5, 1.5)])
def test_kprototypes_labels_as_the_package_does(weights: tuple[float, float]) -> None:
    """The nearest saved prototype is the package's own prediction, unseen rows and unequal weights included."""
    matrix, encoding = _mixed(weights=weights)
    others, _ = _mixed(seed=9, weights=weights)
    parts = mixed.split(matrix, encoding)
    columns = mixed.categorical_columns(parts)
    estimator = mixed.estimator_for(parts, 3, n_init=3, seed=1)
    if weights[0] == weights[1]:  # then it is the package's plain rule with one gamma
        estimator = KPrototypes(3, gamma=2 * weights[0] ** 2, n_init=3, random_state=1)
    estimator.fit(parts.table(matrix), categorical=columns)

    model = FittedModel("kprototypes", parts.centers(estimator.cluster_centroids_, matrix.shape[1]), (0, 1, 2))

    for rows in (matrix, others):
        theirs = estimator.predict(parts.table(rows), categorical=columns)
        np.testing.assert_array_equal(assign(rows, model).labels, theirs)
    # and its distance is the package's cost
    assert float(np.square(assign(matrix, model).distance).sum()) == pytest.approx(estimator.cost_, rel=1e-6)


def test_kprototypes_records_gamma_and_its_prototypes_are_modes() -> None:
    """A mismatch costs 2 w^2 in each feature, and a prototype has exactly one category of each."""
    matrix, encoding = _mixed(weights=(0.5, 1.0))

    model = FittedModel.from_json(json.loads(json.dumps(_fit("kprototypes", matrix, encoding).model.to_json())))

    assert model.gamma == {"plan": 0.5, "city": 2.0}
    assert (np.sort(model.centers[:, 2:5]) == [0, 0, 0.5]).all()
    assert (np.sort(model.centers[:, 5:]) == [0, 0, 0, 1]).all()


def test_kprototypes_with_nothing_but_categories() -> None:
    """Without a number the prototypes are modes alone."""
    matrix, encoding = _mixed()
    only = Encoding(encoding.features[2:])

    fit = _fit("kprototypes", np.ascontiguousarray(matrix[:, 2:]), only)

    assert fit.model.centers.shape == (3, 7)


def test_kprototypes_without_categories_is_refused() -> None:
    """Numbers alone are refused with the features' names."""
    matrix, encoding = _rows_for("kmeans")

    with pytest.raises(SpecError, match=r"n0, n1, n2 are none. Use kmeans or kmedoids"):
        _fit("kprototypes", matrix, encoding)


def test_a_mixture_labels_by_the_likeliest_component() -> None:
    """Labels are those of weight times density, the distance is Mahalanobis', the margin one less the odds."""
    rng = np.random.default_rng(3)
    long = rng.normal(size=(400, 2)) * [6, 0.3]
    matrix = np.concatenate([long, rng.normal(size=(100, 2)) * [0.3, 1] + [0, 4]]).astype(np.float32)
    model = _fit("gaussian_mixture", matrix, _numeric(2), k=2).model
    assert model.weights is not None
    assert model.precisions is not None
    likelihood = np.stack(
        [
            weight * multivariate_normal(center, np.linalg.inv(precision)).pdf(matrix)
            for weight, center, precision in zip(model.weights, model.centers, model.precisions, strict=True)
        ],
        axis=1,
    )

    answer = assign(matrix, model)

    np.testing.assert_array_equal(answer.labels, likelihood.argmax(axis=1))
    np.testing.assert_allclose(answer.margin, 1 - likelihood.min(axis=1) / likelihood.max(axis=1), atol=1e-9)
    label = int(answer.labels[0])
    offset = matrix[0] - model.centers[label]
    assert answer.distance[0] == pytest.approx(float(np.sqrt(offset @ model.precisions[label] @ offset)), rel=1e-9)


def test_a_tight_group_in_a_wide_cloud_is_a_component() -> None:
    """A dense group within a wide one, which K-Means cuts in halves, is told apart by a mixture."""
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1], 300)
    matrix = (rng.normal(size=(600, 2)) * np.where(truth, 0.1, 3.0)[:, None]).astype(np.float32)

    mixture, means = (_fit(name, matrix, _numeric(2), k=2) for name in ("gaussian_mixture", "kmeans"))

    assert adjusted_rand_score(truth, assign(matrix, mixture.model).labels) > 0.95
    assert adjusted_rand_score(truth, assign(matrix, means.model).labels) < 0.2


def test_quantiles_are_equal_parts() -> None:
    """Each part holds its share, in order; a value on an edge belongs above it, and the margin is 0 there."""
    matrix, encoding = _rows_for("quantile")

    fit = _fit("quantile", matrix, encoding, k=4)

    labels = assign(matrix, fit.model).labels
    assert [int(each) for each in np.bincount(labels)] == pytest.approx([75] * 4, abs=1)
    assert (np.diff(labels[np.argsort(matrix[:, 0])]) >= 0).all()
    assert fit.model.edges is not None
    on_edge = assign(np.array([[fit.model.edges[1]]], dtype=np.float32), fit.model)
    assert (on_edge.labels.tolist(), on_edge.second_labels.tolist(), on_edge.margin.tolist()) == ([2], [1], [0.0])


def test_quantiles_keep_equal_values_together() -> None:
    """Many customers with one value leave fewer parts than asked for, and the fit says so."""
    matrix = np.concatenate([np.zeros(50), np.arange(1, 51)]).astype(np.float32)[:, None]

    fit = _fit("quantile", matrix, _numeric(1), k=4)

    assert fit.k == 3
    assert fit.notes == ("3 parts instead of 4: customers with the same value stay together",)
    assert len(set(assign(matrix[:50], fit.model).labels.tolist())) == 1


def test_quantiles_of_hardly_anything_are_refused() -> None:
    """Where almost everybody has the smallest value there is nothing to cut."""
    matrix = np.concatenate([np.zeros(95), np.arange(1, 6)]).astype(np.float32)[:, None]

    with pytest.raises(UnusableDataError, match="n0: 95% of the customers have its smallest value"):
        _fit("quantile", matrix, _numeric(1), k=3)


def test_quantile_needs_exactly_one_number() -> None:
    """Two features, or one category, are refused by name."""
    matrix, encoding = _mixed()

    with pytest.raises(SpecError, match=r"features has 4: n0 \(numeric\), .*plan \(categorical\)"):
        _fit("quantile", matrix, encoding)
    with pytest.raises(SpecError, match=r"features has 1: plan \(categorical\)"):
        _fit("quantile", matrix[:, 2:5].copy(), Encoding(encoding.features[2:3]))


def test_far_customers_are_unassigned() -> None:
    """Beyond the radius a customer has no label, the nearest segment as second, and margin 0."""
    matrix, encoding = _rows_for("hdbscan")
    model = _fit("hdbscan", matrix, encoding).model
    near = int(assign(matrix[-1:], model).labels[0])

    answer = assign(np.array([[60, 60, 60]], dtype=np.float32), model)

    assert (answer.labels.tolist(), answer.second_labels.tolist(), answer.margin.tolist()) == ([-1], [near], [0.0])


@pytest.mark.parametrize("algorithm", ["hdbscan", "spectral"])
def test_shapes_label_new_customers(algorithm: str) -> None:
    """Two moons fitted on one draw are recognised in another, which K-Means cannot do."""
    matrix, _ = make_moons(600, noise=0.05, random_state=0)
    fresh, truth = make_moons(600, noise=0.05, random_state=1)

    fit = _fit(algorithm, matrix.astype(np.float32), _numeric(2), k=2)

    answer = assign(fresh.astype(np.float32), fit.model)
    assert adjusted_rand_score(truth, answer.labels) > 0.95
    assert np.mean(answer.labels < 0) < 0.02
    means = _fit("kmeans", matrix.astype(np.float32), _numeric(2), k=2)
    assert adjusted_rand_score(truth, assign(fresh.astype(np.float32), means.model).labels) < 0.6


@pytest.mark.parametrize("name", ["chainlink", "smile", "jain"])
def test_hdbscan_recovers_the_shapes_that_kmeans_cuts(name: str) -> None:
    """On labelled sets of chains and faces hdbscan reaches an adjusted Rand of 0.9, K-Means with the true K does not."""
    matrix, truth = _labelled(name)
    k = len(set(truth.tolist()))

    shapes, means = (_fit(each, matrix, _numeric(matrix.shape[1]), k=k) for each in ("hdbscan", "kmeans"))

    assert adjusted_rand_score(truth, assign(matrix, shapes.model).labels) >= 0.9
    assert adjusted_rand_score(truth, assign(matrix, means.model).labels) < 0.6


def test_no_dense_groups_are_refused() -> None:
    """Where hdbscan finds fewer than two dense groups the fit fails and says what to use."""
    matrix = np.random.default_rng(0).normal(size=(25, 2)).astype(np.float32)

    with pytest.raises(UnusableDataError, match=r"no two dense groups of at least 5 in 25 customers. Use kmeans"):
        _fit("hdbscan", matrix, _numeric(2))


def test_a_component_that_nobody_belongs_to_is_dropped() -> None:
    """Prototypes that label no row leave the model, with a note, and the others are numbered on."""
    from segmentation_pipeline.analysis.clustering.algorithms.fit import _without_empty
    from segmentation_pipeline.analysis.clustering.algorithms.result import RawFit

    matrix = np.array([[0], [1], [10], [11]], dtype=np.float32)
    model = FittedModel("kmedoids", np.array([[0.0], [99.0], [10.0]]), (0, 1, 2))

    fitted, labels = _without_empty(matrix, RawFit(model, 1, converged=True, won_by="x", n_fitted=4))

    assert fitted.model.labels == (0, 1)
    assert fitted.model.centers.tolist() == [[0.0], [10.0]]
    assert labels.tolist() == assign(matrix, fitted.model).labels.tolist() == [0, 0, 1, 1]
    assert fitted.notes == ("2 clusters instead of 3: nobody was nearest to the others",)


@pytest.mark.parametrize("algorithm", ["kmedoids", "gaussian_mixture", "spectral", "hdbscan"])
def test_fewer_distinct_rows_than_clusters_are_refused(algorithm: str) -> None:
    """Too few distinct rows are refused before any fit."""
    with pytest.raises(UnusableDataError, match="n_distinct_rows=1"):
        _fit(algorithm, np.ones((90, 3), dtype=np.float32), _numeric(3))


def _left(available: int, *, limit: int = 2 * 2**30) -> Memory:
    return Memory("this container", limit, available)


def test_auto_is_kmeans_unless_memory_is_short() -> None:
    """`auto` takes mini-batches where K-Means' copy of the matrix would not fit, and says so; what is named stays."""
    large = {"n_rows": 1_000_000, "n_columns": 100}

    assert resolve_algorithm("auto", **large).algorithm == "kmeans"
    assert resolve_algorithm("auto", **large, memory=_left(2 * 2**30)).algorithm == "kmeans"
    short = resolve_algorithm("auto", **large, memory=_left(400 * 2**20))
    assert short.algorithm == "minibatch_kmeans"
    assert "this container has 2.0 GiB, of which 0.4 GiB are free" in short.reason
    assert resolve_algorithm("hdbscan", **large, memory=_left(400 * 2**20)).algorithm == "hdbscan"


def test_what_does_not_fit_is_refused_with_what_would_help() -> None:
    """A named K-Means is not exchanged in silence: the message says how much is needed and the two ways out."""
    large = {"n_rows": 10_000_000, "n_columns": 37}

    with pytest.raises(NotEnoughMemoryError) as told:
        resolve_algorithm("kmeans", **large, memory=_left(1_600 * 2**20))
    assert str(told.value) == (
        "10,000,000 customers x 37 columns need about 2.4 GiB for kmeans, this container has 2.0 GiB, of which 1.6 GiB "
        "are free: raise the limit to 3 GiB or set fit.algorithm: minibatch_kmeans. Nothing was fitted."
    )
    with pytest.raises(NotEnoughMemoryError, match=r"1\.0 GiB for minibatch_kmeans.*to 3 GiB or take fewer customers"):
        resolve_algorithm("auto", **large, memory=_left(300 * 2**20))
    with pytest.raises(NotEnoughMemoryError, match=r"4\.2 GiB for minibatch_kmeans"):
        resolve_algorithm("auto", **large, memory=_left(1_600 * 2**20), text_keys=True)
    with pytest.raises(NotEnoughMemoryError, match="leave out `pca`"):
        resolve_algorithm("auto", **large, memory=_left(2**30), pca=True)
