"""Every K on every row in one pass: the numbers are those of scikit-learn and of the rows one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from segmentation_pipeline.analysis.arrays import distances
from segmentation_pipeline.analysis.clustering.algorithms.kmeans import fit_kmeans
from segmentation_pipeline.analysis.clustering.labelling import assign
from segmentation_pipeline.analysis.selection import evaluation
from segmentation_pipeline.analysis.selection.evaluation import evaluate_fits
from segmentation_pipeline.analysis.selection.simplified_silhouette import simplified_silhouette

RNG = np.random.default_rng(3)
MATRIX = (RNG.normal(size=(900, 5)) + np.repeat(RNG.normal(size=(6, 5)) * 4, 150, axis=0) + 100).astype(np.float32)
FITS = [fit_kmeans(MATRIX, k, n_init=10, seed=k) for k in (2, 3, 6, 9)]


@pytest.mark.parametrize("block_rows", [64, 10_000])
def test_every_figure_is_what_it_is_alone(block_rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels, inertia, both indices and the simplified silhouettes equal the plain computation, however it is blocked."""
    monkeypatch.setattr(distances, "BLOCK_ROWS", block_rows)
    for fit, found in zip(FITS, evaluate_fits(MATRIX, [fit.centers for fit in FITS]), strict=True):
        own = assign(MATRIX, fit.model)
        np.testing.assert_array_equal(found.labels, own.labels)
        assert found.inertia == pytest.approx(float((own.distance**2).sum()))
        exact = MATRIX.astype(np.float64)
        assert found.davies_bouldin == pytest.approx(metrics.davies_bouldin_score(exact, own.labels))
        assert found.calinski_harabasz == pytest.approx(metrics.calinski_harabasz_score(exact, own.labels))
        simplified = simplified_silhouette(MATRIX, fit.centers, own.labels)
        assert found.simplified_silhouette == pytest.approx(simplified.mean())
        np.testing.assert_allclose(found.scores, simplified, atol=1e-7)
        np.testing.assert_allclose(found.shares, np.bincount(own.labels, minlength=fit.k) / len(MATRIX))


def test_of_many_rows_a_part_is_scored_for_every_k_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scores are of the same rows for each K, spread over all of them; the mean is of every row."""
    monkeypatch.setattr(evaluation, "SCORED_ROWS", 100)
    first, second = evaluate_fits(MATRIX, [FITS[0].centers, FITS[2].centers])
    rows = np.linspace(0, len(MATRIX) - 1, 100).astype(np.int64)
    for fit, found in ((FITS[0], first), (FITS[2], second)):
        whole = simplified_silhouette(MATRIX, fit.centers, found.labels.astype(np.int64))
        np.testing.assert_allclose(found.scores, whole[rows], atol=1e-7)
        assert found.simplified_silhouette == pytest.approx(whole.mean())


@given(st.integers(0, 10_000), st.integers(2, 5), st.integers(6, 40))
@settings(max_examples=40, deadline=None)
def test_few_distinct_rows_have_finite_figures(seed: int, k: int, n: int) -> None:
    """Ties, clusters of one and clusters without rows have scikit-learn's figures, or a finite number."""
    rng = np.random.default_rng(seed)
    matrix = rng.integers(0, 3, size=(n, 2)).astype(np.float32)
    centers = rng.integers(0, 3, size=(k, 2)).astype(np.float64)

    (found,) = evaluate_fits(matrix, [centers])

    assert np.isfinite(
        [found.inertia, found.simplified_silhouette, found.davies_bouldin, found.calinski_harabasz]
    ).all()
    apart = np.square(matrix[:, None].astype(float) - centers).sum(axis=2)
    np.testing.assert_allclose(apart[np.arange(n), found.labels], apart.min(axis=1), atol=1e-9)
    assert found.inertia == pytest.approx(apart.min(axis=1).sum(), abs=1e-9)
    _, labels = np.unique(found.labels, return_inverse=True)
    if 2 <= len(np.unique(labels)) < n:
        assert found.davies_bouldin == pytest.approx(
            metrics.davies_bouldin_score(matrix.astype(float), labels), abs=1e-6
        )


def test_the_inertia_of_one_cluster_is_the_total_variance() -> None:
    """K = 1's inertia is n times the variance over all columns."""
    total = len(MATRIX) * MATRIX.astype(np.float64).var(axis=0).sum()

    for found in evaluate_fits(MATRIX, [FITS[0].centers, FITS[2].centers]):
        assert found.inertia_of_one == pytest.approx(total)


def test_of_two_centers_in_one_place_the_first_has_the_rows() -> None:
    """The first of them has the rows, and a row that is as near to another center scores 0."""
    matrix = np.array([[0.0], [0.0], [4.0]], dtype=np.float32)

    (found,) = evaluate_fits(matrix, [np.array([[4.0], [0.0], [0.0]])])

    assert found.labels.tolist() == [1, 1, 0]
    assert found.scores.tolist() == [0.0, 0.0, 0.0]  # the last is alone
    assert found.shares.tolist() == pytest.approx([1 / 3, 2 / 3, 0.0])
