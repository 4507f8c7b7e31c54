"""The diagnosis: each finding where it belongs, none where it does not, and shapes K-Means cuts through."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.metrics import adjusted_rand_score

from segmentation_pipeline.analysis.clustering.algorithms.hdbscan import choose_min_cluster_size
from segmentation_pipeline.analysis.selection.diagnosis.diagnose import diagnose
from segmentation_pipeline.model import Encoding, FeatureEncoding, Finding

LABELLED = Path(__file__).parents[5] / "shared" / "data" / "labelled"
needs_labelled = pytest.mark.skipif(not LABELLED.is_dir(), reason="the labelled sets in ../shared/data are not here")
Points = NDArray[np.float64]


def _encoding(n_columns: int, **others: Any) -> Encoding:
    fitted = {"center": 1.0, "scale": 2.0} | others
    return Encoding(tuple(FeatureEncoding(f"f{column}", "numeric", 1.0, **fitted) for column in range(n_columns)))


def _diagnose(points: Points, k: int, encoding: Encoding | None = None, **others: Any) -> dict[str, Finding]:
    fit = KMeans(k, n_init=10, random_state=0).fit(points)
    options: dict[str, Any] = {
        "encoding": encoding or _encoding(points.shape[1]),
        "labels": fit.labels_,
        "centers": fit.cluster_centers_,
        "inertias": {},
        "n_iter": 5,
        "converged": True,
        "rng": np.random.default_rng(0),
    }
    found = diagnose(points, **(options | others))
    assert [finding.severity for finding in found] == sorted((finding.severity for finding in found), reverse=True)
    for finding in found:
        assert finding.seen
        assert finding.means
        assert finding.action
        assert finding.message.endswith(".")
    return {finding.name: finding for finding in found}


def _groups(k: int = 3, d: int = 3, *, apart: float = 8.0, n: int = 300, seed: int = 0) -> Points:
    rng = np.random.default_rng(seed)
    centers = np.linalg.qr(rng.normal(size=(max(d, k), d)))[0][:k] * apart
    return _standard(centers[np.arange(n) % k] + rng.normal(size=(n, d)))


def _standard(points: Points) -> Points:
    return np.asarray((points - points.mean(axis=0)) / points.std(axis=0))


def _load(name: str) -> tuple[Points, NDArray[np.int64]]:
    with (
        gzip.open(LABELLED / f"{name}.data.gz", "rt") as data,
        gzip.open(LABELLED / f"{name}.labels0.gz", "rt") as text,
    ):
        return _standard(np.loadtxt(data, ndmin=2)), np.loadtxt(text).astype(np.int64)


def _moons(rng: np.random.Generator, n: int = 600) -> tuple[Points, NDArray[np.int64]]:
    angle, which = rng.uniform(0, np.pi, n), np.arange(n) % 2
    points = np.column_stack([np.cos(angle), np.sin(angle)])
    points[which == 1] = [1, 0.5] - points[which == 1]
    return _standard(points + rng.normal(0, 0.06, points.shape)), which


def test_groups_that_suit_k_means_have_no_finding() -> None:
    """Three plain groups on like scales have no finding."""
    points = _groups()
    inertias = {k: float(KMeans(k, n_init=3, random_state=0).fit(points).inertia_) for k in range(1, 8)}
    assert _diagnose(points, 3, inertias=inertias) == {}


def test_a_feature_on_a_scale_of_its_own_dominates() -> None:
    """Money that was not scaled makes all of the distance, and the finding names it and what to set."""
    points = _groups(d=4) * [1, 1, 500, 1]
    found = _diagnose(points, 3, _encoding(4, center=0.0, scale=1.0))["dominant_feature"]
    assert found.value > 0.99
    assert "f2 makes 100%" in found.seen
    assert "scale: standard" in found.action


def test_a_feature_with_a_great_weight_dominates_too() -> None:
    """A scaled feature that dominates is one with too much weight."""
    assert "weight" in _diagnose(_groups(d=4) * [1, 9, 1, 1], 3)["dominant_feature"].action


def test_a_feature_of_many_categories_counts_as_one() -> None:
    """The columns of a one-hot feature are added up before they are compared with the others."""
    rng = np.random.default_rng(0)
    hot = np.eye(8)[rng.integers(8, size=300)] * 30
    encoding = Encoding(
        (
            FeatureEncoding("country", "categorical", 30.0, categories=tuple("abcdefgh")),
            *_encoding(2).features,
        )
    )
    assert (
        "country makes" in _diagnose(np.hstack([hot, rng.normal(size=(300, 2))]), 3, encoding)["dominant_feature"].seen
    )


def test_outliers_that_own_a_cluster_are_named_with_their_share() -> None:
    """Three customers with a hundred times the spend take a cluster for themselves."""
    points = _groups(2, 2, n=600)
    points[:3] += [0, 90]
    found = _diagnose(points, 3)["outlier_cluster"]
    assert found.value == pytest.approx(3 / 600)
    assert found.algorithm == "kmedoids"
    assert "f1" in found.seen
    assert "log1p" in found.action


def test_outliers_that_pull_a_centroid_are_found() -> None:
    """A tenth of the customers far out on one side moves the centroid away from everybody."""
    points = _groups(2, 2, n=600, apart=60)
    points = points / points.std(axis=0) * 30
    points[:12] += [25, 0]
    found = _diagnose(points, 2)["outlier_pull"]
    assert found.value > 0.25
    assert "f0" in found.seen


def test_overlapping_clusters_are_found() -> None:
    """One cloud cut in four: the silhouette is low and the finding names the worst pair."""
    found = _diagnose(np.random.default_rng(0).normal(size=(400, 6)), 4)["overlap"]
    assert found.value < 0.25
    assert "neighbour is cluster" in found.seen


def test_very_unequal_sizes_are_found() -> None:
    """Ninety percent in one segment is hardly a segmentation."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(500, 2)) * 0.5
    points[:50] += 9
    assert "90.0%" in _diagnose(points, 2)["unequal_sizes"].seen


def test_copies_and_constants_are_found() -> None:
    """A feature twice counts double, and one that never changes counts nothing."""
    points = _groups(d=3)
    wide = np.column_stack([points, points[:, 0] * 0.999, np.full(len(points), 3.0)])
    found = _diagnose(wide, 3)
    assert "f0 and f3 have a correlation of 1.00" in found["near_duplicate_features"].seen
    assert "1 of 5 features" in found["constant_feature"].seen


def test_fewer_distinct_rows_than_clusters_are_found() -> None:
    """Four kinds of customers cannot make ten clusters."""
    points = np.repeat(np.eye(4), 30, axis=0)
    found = _diagnose(points, 3, k_wanted=10)["few_distinct_rows"]
    assert found.value == 4
    assert "4 distinct rows for K = 10" in found.seen
    assert "few_distinct_rows" not in _diagnose(points, 3)


def test_a_single_numeric_feature_recommends_quantiles() -> None:
    """One number is better cut into quantiles; the pipeline says so and changes nothing by itself."""
    found = _diagnose(np.random.default_rng(0).normal(size=(200, 1)), 3)["single_numeric_feature"]
    assert found.algorithm == "quantile"
    assert found.severity == "info"
    assert "algorithm: quantile" in found.action


@pytest.mark.parametrize("d", [2, 5, 12])
def test_an_even_inertia_curve_is_reported(d: int) -> None:
    """Uniform noise has no corner in its curve, groups have."""
    noise = np.random.default_rng(0).uniform(size=(600, d))
    curves = [
        {k: float(KMeans(k, n_init=3, random_state=0).fit(points).inertia_) for k in range(1, 11)}
        for points in (noise, _groups(4, 4))
    ]
    assert "no_inertia_drop" in _diagnose(noise, 3, inertias=curves[0])
    assert "no_inertia_drop" not in _diagnose(_groups(4, 4), 4, inertias=curves[1])


def test_distances_that_concentrate_are_found() -> None:
    """In forty unrelated features everybody is equally far away; in three they are not."""
    rng = np.random.default_rng(0)
    assert "pca" in _diagnose(rng.normal(size=(500, 40)), 3)["distances_concentrate"].action
    assert "distances_concentrate" not in _diagnose(rng.normal(size=(500, 3)), 3)


def test_centroids_of_the_parent_are_found_in_any_order() -> None:
    """The same rows as last month have the same centroids, numbered otherwise."""
    points = _groups()
    centers = KMeans(3, n_init=3, random_state=0).fit(points).cluster_centers_
    assert "same_as_parent" in _diagnose(points, 3, parent_centers=centers[::-1])
    assert "same_as_parent" not in _diagnose(points, 3, parent_centers=centers + 0.01)
    assert "same_as_parent" not in _diagnose(points, 3, parent_centers=centers[:2])


@pytest.mark.parametrize(
    ("n_iter", "converged", "name"), [(300, False, "not_converged"), (1, True, "converged_at_once")]
)
def test_how_the_fit_ended_is_reported(n_iter: int, converged: bool, name: str) -> None:
    """A fit that did not end, or ended where it began: more starts, then fewer clusters."""
    assert [*_diagnose(_groups(), 3, n_iter=n_iter, converged=converged)] == [name]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_moons_are_for_another_algorithm(seed: int) -> None:
    """K-Means cuts both moons; the algorithm that is named does not."""
    points, which = _moons(np.random.default_rng(seed))
    found = _diagnose(points, 2)["shape"]
    assert found.algorithm == "hdbscan"
    assert "algorithm: hdbscan" in found.action
    assert adjusted_rand_score(which, _dense(points)) > 0.9


def test_a_dense_group_in_a_wide_one_is_for_a_gaussian_mixture_or_density() -> None:
    """Unlike densities side by side: K-Means puts the border in the middle, into the wide group."""
    rng = np.random.default_rng(0)
    points = np.vstack([rng.normal(size=(500, 2)) * 1.5, rng.normal(size=(250, 2)) * 0.1 + [3.3, 0]])
    assert _diagnose(_standard(points), 2)["shape"].algorithm in {"gaussian_mixture", "hdbscan"}


@pytest.mark.parametrize("d", [2, 6])
def test_structureless_customers_are_not_for_another_algorithm(d: int) -> None:
    """In one cloud, uniform or normal or skewed, no algorithm finds better groups, so none is named."""
    rng = np.random.default_rng(d)
    for points in (rng.normal(size=(600, d)), rng.uniform(size=(600, d)), np.exp(rng.normal(size=(600, d)))):
        assert "shape" not in _diagnose(_standard(points), 3)


def test_counted_orders_are_not_chains() -> None:
    """The steps of a count, one order or two, are not valleys: log1p of it is still one cloud."""
    rng = np.random.default_rng(0)
    counts = np.log1p(rng.poisson(np.exp(rng.normal(1.5, 0.8, 800))) + 1)
    assert "shape" not in _diagnose(_standard(np.column_stack([counts, rng.normal(size=800)])), 3)


def test_categories_are_not_judged_as_shapes() -> None:
    """Mostly 0/1 columns make dense groups by themselves."""
    points = np.random.default_rng(0).integers(0, 2, size=(400, 6)).astype(np.float64)
    assert "shape" not in _diagnose(points, 3)


def _dense(points: Points) -> NDArray[np.int64]:
    """HDBSCAN with the settings that the pipeline should use."""
    size = choose_min_cluster_size(len(points))
    labels: NDArray[np.int64] = HDBSCAN(min_cluster_size=size, min_samples=5, copy=True).fit(points).labels_
    return labels


@needs_labelled
@pytest.mark.parametrize(
    ("name", "k", "least"), [("chainlink", 2, 0.9), ("target", 6, 0.9), ("jain", 2, 0.9), ("smile", 6, 0.9)]
)
def test_real_shapes_are_flagged_and_the_algorithm_recovers_them(name: str, k: int, least: float) -> None:
    """Chains, a target, moons and a face: flagged, and the named algorithm beats K-Means by far."""
    points, truth = _load(name)
    found = _diagnose(points, k)["shape"]
    assert found.algorithm == "hdbscan"
    recovered = adjusted_rand_score(truth, _dense(points))
    assert recovered >= least
    assert recovered > adjusted_rand_score(truth, KMeans(k, n_init=10, random_state=0).fit(points).labels_)


@needs_labelled
@pytest.mark.parametrize(("name", "k"), [("hepta", 7), ("s1", 15), ("r15", 15), ("unbalance", 8), ("wine", 3)])
def test_sets_that_suit_k_means_are_not_flagged(name: str, k: int) -> None:
    """No set that K-Means recovers is called a shape for another algorithm, whatever the draw."""
    points, _ = _load(name)
    for seed in range(3):
        assert "shape" not in _diagnose(points, k, rng=np.random.default_rng(seed))


def test_what_does_not_fit_together_is_refused() -> None:
    """Labels of another length are an error that shows both."""
    with pytest.raises(ValueError, match=r"matrix \(300, 3\), 2 labels"):
        _diagnose(_groups(), 3, labels=np.array([0, 1]))
