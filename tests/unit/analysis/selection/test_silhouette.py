"""Silhouettes against scikit-learn's, on samples, and with centroids."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import silhouette_samples as reference

from segmentation_pipeline.analysis.selection.silhouette import silhouette_samples
from segmentation_pipeline.analysis.selection.silhouette_estimate import draw_stratified, estimate_silhouette
from segmentation_pipeline.analysis.selection.simplified_silhouette import simplified_silhouette


def groups(n: int, d: int, k: int, *, seed: int = 0, spread: float = 4.0) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping Gaussian groups of unlike size."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(k, size=n, p=(weights := np.arange(1, k + 1)) / weights.sum())
    labels[:k] = np.arange(k)
    return rng.normal(scale=spread, size=(k, d))[labels] + rng.normal(size=(n, d)), labels


@settings(max_examples=60, deadline=None)
@given(data=st.data(), n=st.integers(4, 60), d=st.integers(1, 6))
def test_equals_scikit_learn(data: st.DataObject, n: int, d: int) -> None:
    """Any matrix and any labels have scikit-learn's silhouettes, singletons included."""
    cell = st.floats(-100, 100, width=32).map(lambda value: round(value, 2))
    matrix = data.draw(hnp.arrays(np.float64, (n, d), elements=cell))
    labels = data.draw(hnp.arrays(np.int64, n, elements=st.integers(0, min(4, n - 2))))
    labels[0], labels[1] = 0, 1
    found = silhouette_samples(matrix, [labels])[0]
    np.testing.assert_allclose(found, reference(matrix, labels), atol=1e-6)
    assert found.mean() == pytest.approx(float(reference(matrix, labels).mean()), abs=1e-6)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(300, 900), d=st.integers(1, 30), k=st.integers(2, 9))
def test_means_equal_scikit_learn_to_a_millionth(seed: int, n: int, d: int, k: int) -> None:
    """On groups of rows the mean silhouette is scikit-learn's to 1e-6."""
    matrix, labels = groups(n, d, k, seed=seed)
    found = silhouette_samples(matrix.astype(np.float32), [labels])[0]
    assert found.mean() == pytest.approx(float(reference(matrix, labels).mean()), abs=1e-6)


def test_all_labelings_of_one_pass_are_as_if_alone() -> None:
    """Several labelings in one pass have the silhouettes of each alone, whatever the size of the blocks."""
    matrix, labels = groups(500, 3, 6)
    labelings = [labels, labels // 2, labels % 2]
    together = silhouette_samples(matrix, labelings, block_rows=17)
    for alone, found in zip(labelings, together, strict=True):
        np.testing.assert_allclose(found, silhouette_samples(matrix, [alone])[0], atol=1e-6)


def test_labels_may_be_any_integers() -> None:
    """Negative and far apart labels name clusters as well as 0, 1, 2."""
    matrix, labels = groups(200, 2, 3)
    renamed = np.array([10**9, -7, 3])[labels]
    first, second = silhouette_samples(matrix, [labels, renamed])
    np.testing.assert_allclose(first, second, atol=1e-12)


def test_tight_groups_far_from_each_other_keep_their_precision() -> None:
    """Groups a millionth as wide as they are apart are kept apart inside, where float32 alone would round."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(4), 50)
    offsets = np.array([[0.0, 0.0], [1e-4, 0.0], [500.0, 500.0], [500.0, 500.0002]])
    matrix = offsets[labels] + rng.normal(scale=2e-5, size=(200, 2))
    far = silhouette_samples(matrix, [labels // 2, labels])[1]
    np.testing.assert_allclose(far[:100], reference(matrix, labels)[:100], atol=0.02)


def test_a_large_offset_does_not_cost_precision() -> None:
    """Rows far from the origin have the silhouettes of the centred ones."""
    matrix, labels = groups(300, 4, 3)
    np.testing.assert_allclose(
        silhouette_samples(matrix + 1e6, [labels])[0], silhouette_samples(matrix, [labels])[0], atol=1e-5
    )


def test_rows_alone_in_their_cluster_score_zero() -> None:
    """A singleton has no distance to its own cluster, so it scores 0 and not 1."""
    matrix = np.array([[0.0], [0.1], [9.0]])
    labels = np.array([0, 0, 1])
    assert silhouette_samples(matrix, [labels])[0][2] == 0
    assert simplified_silhouette(matrix, np.array([[0.05], [9.0]]), labels)[2] == 0


def test_equal_rows_score_zero_across_clusters_and_one_within() -> None:
    """Duplicates of one point score 0 when they are split, 1 when they are a cluster of their own."""
    same = np.zeros((6, 2))
    assert silhouette_samples(same, [np.array([0, 0, 0, 1, 1, 1])])[0].tolist() == [0] * 6
    apart = np.repeat([[0.3, 0.7], [5.1, 2.2]], 3, axis=0)
    np.testing.assert_allclose(silhouette_samples(apart, [np.repeat([0, 1], 3)])[0], 1.0)


@pytest.mark.parametrize(
    ("matrix", "labels", "message"),
    [
        (np.zeros((3, 1)), np.zeros(3, dtype=int), "1 cluster on 3 rows"),
        (np.zeros((3, 1)), np.arange(2), r"shape \(2,\), expected \(3,\)"),
        (np.array([[0.0], [np.nan]]), np.arange(2), "not finite"),
        (np.zeros(3), np.arange(3), "1 dimensions, expected 2"),
    ],
)
def test_what_has_no_silhouette_is_refused(matrix: np.ndarray, labels: np.ndarray, message: str) -> None:
    """One cluster, labels of another length and values that are not finite are errors that say so."""
    with pytest.raises(ValueError, match=message):
        silhouette_samples(matrix, [labels])


@settings(max_examples=50, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 400), min_size=1, max_size=8),
    size=st.integers(1, 500),
    floor=st.integers(1, 60),
    seed=st.integers(0, 1000),
)
def test_the_sample_keeps_its_floors_and_its_weights(sizes: list[int], size: int, floor: int, seed: int) -> None:
    """No row comes twice, every cluster has its floor, and the weights add up to the sizes of the clusters."""
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    sample = draw_stratified(labels, size=size, floor=floor, rng=np.random.default_rng(seed))
    drawn = labels[sample.indices]
    assert len(np.unique(sample.indices)) == len(sample.indices)
    np.testing.assert_allclose(np.bincount(drawn, weights=sample.weights, minlength=len(sizes)), sizes)
    assert (np.bincount(drawn, minlength=len(sizes)) >= np.minimum(sizes, min(floor, sum(sizes)))).all()
    assert len(drawn) <= max(size, sum(min(floor, n_rows) for n_rows in sizes))


def test_the_estimate_is_right_within_its_error() -> None:
    """Over many samples the estimate scatters about the exact mean as its standard error says."""
    matrix, labels = groups(4000, 4, 6, spread=2.0)
    exact = silhouette_samples(matrix, [labels])[0].mean()
    found = [
        estimate_silhouette(matrix, labels, size=500, floor=40, rng=np.random.default_rng(seed)) for seed in range(40)
    ]
    means = np.array([estimate.mean for estimate in found])
    errors = np.array([estimate.standard_error for estimate in found])
    assert means.mean() == pytest.approx(exact, abs=0.01)
    assert 0.7 < errors.mean() / means.std() < 1.4
    assert (np.abs(means - exact) < 2 * errors).mean() > 0.8


def test_an_estimate_on_all_rows_is_exact() -> None:
    """With a sample as large as the data the mean is exact and its error 0."""
    matrix, labels = groups(200, 3, 3)
    found = estimate_silhouette(matrix, labels, size=200, rng=np.random.default_rng(0))
    assert found.mean == pytest.approx(float(reference(matrix, labels).mean()), abs=1e-6)
    assert (found.standard_error, len(found.indices)) == (0, 200)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), k=st.integers(2, 7), block_rows=st.integers(1, 300))
def test_the_simplified_silhouette_is_its_definition(seed: int, k: int, block_rows: int) -> None:
    """It compares the own centroid with the nearest other one, in blocks or not."""
    matrix, labels = groups(120, 3, k, seed=seed)
    centers = np.array([matrix[labels == cluster].mean(axis=0) for cluster in range(k)])
    distances = np.linalg.norm(matrix[:, None] - centers, axis=2)
    a = distances[np.arange(120), labels]
    distances[np.arange(120), labels] = np.inf
    b = distances.min(axis=1)
    wanted = np.where(np.bincount(labels)[labels] == 1, 0.0, (b - a) / np.maximum(a, b))
    np.testing.assert_allclose(simplified_silhouette(matrix, centers, labels, block_rows=block_rows), wanted, atol=1e-7)


def test_a_tie_between_centroids_scores_zero() -> None:
    """Centroids that coincide with each other, or with the row as well, score 0 and not NaN."""
    found = simplified_silhouette(np.array([[1.0], [1.0], [0.0], [0.0]]), np.zeros((2, 1)), np.array([0, 0, 1, 1]))
    assert found.tolist() == [0, 0, 0, 0]


def test_the_simplified_silhouette_refuses_what_it_cannot_compare() -> None:
    """One centroid, or labels beyond the centroids, are errors that say so."""
    with pytest.raises(ValueError, match="1 centroids"):
        simplified_silhouette(np.zeros((2, 1)), np.zeros((1, 1)), np.zeros(2, dtype=int))
    with pytest.raises(ValueError, match=r"run from 0 to 2, expected 0\.\.1"):
        simplified_silhouette(np.zeros((2, 1)), np.zeros((2, 1)), np.array([0, 2]))
