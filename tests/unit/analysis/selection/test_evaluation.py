"""Every K on every row in one pass: the numbers are those of scikit-learn and of the rows one by one."""

from __future__ import annotations

import functools
import operator
import pickle
from dataclasses import fields
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from segmentation_pipeline.analysis.arrays import distances
from segmentation_pipeline.analysis.clustering.algorithms.kmeans import fit_kmeans
from segmentation_pipeline.analysis.clustering.labelling import assign
from segmentation_pipeline.analysis.selection import evaluation_sums
from segmentation_pipeline.analysis.selection.evaluation import evaluate_fits, finish_evaluations
from segmentation_pipeline.analysis.selection.evaluation_sums import (
    EvaluationSums,
    SpreadSums,
    add_up,
    add_up_spreads,
    pick_scored_rows,
    place_anchors,
    sum_fits,
    sum_spreads,
)
from segmentation_pipeline.analysis.selection.simplified_silhouette import simplified_silhouette

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from segmentation_pipeline.analysis.selection.evaluation import Evaluation
    from segmentation_pipeline.analysis.selection.evaluation_sums import Totals

RNG = np.random.default_rng(3)
MATRIX = (RNG.normal(size=(900, 5)) + np.repeat(RNG.normal(size=(6, 5)) * 4, 150, axis=0) + 100).astype(np.float32)
FITS = [fit_kmeans(MATRIX, k, n_init=10, seed=k) for k in (2, 3, 6, 9)]


@pytest.mark.parametrize("block_rows", [64, 10_000])
def test_every_figure_is_what_it_is_alone(block_rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Labels, inertia, both indices and the simplified silhouettes equal the plain computation, however it is blocked."""
    monkeypatch.setattr(distances, "BLOCK_ROWS", block_rows)
    evaluated = evaluate_fits(MATRIX, [fit.centers for fit in FITS])
    for fit, found, labels in zip(FITS, evaluated.evaluations, evaluated.labels, strict=True):
        own = assign(MATRIX, fit.model)
        np.testing.assert_array_equal(labels, own.labels)
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
    monkeypatch.setattr(evaluation_sums, "SCORED_ROWS", 100)
    fits = [FITS[0], FITS[2]]
    evaluated = evaluate_fits(MATRIX, [fit.centers for fit in fits])
    rows = np.linspace(0, len(MATRIX) - 1, 100).astype(np.int64)
    for fit, found, labels in zip(fits, evaluated.evaluations, evaluated.labels, strict=True):
        whole = simplified_silhouette(MATRIX, fit.centers, labels.astype(np.int64))
        np.testing.assert_allclose(found.scores, whole[rows], atol=1e-7)
        assert found.simplified_silhouette == pytest.approx(whole.mean())


@given(st.integers(0, 10_000), st.integers(2, 5), st.integers(6, 40))
@settings(max_examples=40, deadline=None)
def test_few_distinct_rows_have_finite_figures(seed: int, k: int, n: int) -> None:
    """Ties, clusters of one and clusters without rows have scikit-learn's figures, or a finite number."""
    rng = np.random.default_rng(seed)
    matrix = rng.integers(0, 3, size=(n, 2)).astype(np.float32)
    centers = rng.integers(0, 3, size=(k, 2)).astype(np.float64)

    evaluated = evaluate_fits(matrix, [centers])

    (found,), (assigned,) = evaluated.evaluations, evaluated.labels
    assert np.isfinite(
        [found.inertia, found.simplified_silhouette, found.davies_bouldin, found.calinski_harabasz]
    ).all()
    apart = np.square(matrix[:, None].astype(float) - centers).sum(axis=2)
    np.testing.assert_allclose(apart[np.arange(n), assigned], apart.min(axis=1), atol=1e-9)
    assert found.inertia == pytest.approx(apart.min(axis=1).sum(), abs=1e-9)
    _, labels = np.unique(assigned, return_inverse=True)
    if 2 <= len(np.unique(labels)) < n:
        assert found.davies_bouldin == pytest.approx(
            metrics.davies_bouldin_score(matrix.astype(float), labels), abs=1e-6
        )


def test_the_inertia_of_one_cluster_is_the_total_variance() -> None:
    """K = 1's inertia is n times the variance over all columns."""
    total = len(MATRIX) * MATRIX.astype(np.float64).var(axis=0).sum()

    for found in evaluate_fits(MATRIX, [FITS[0].centers, FITS[2].centers]).evaluations:
        assert found.inertia_of_one == pytest.approx(total)


def test_of_two_centers_in_one_place_the_first_has_the_rows() -> None:
    """The first of them has the rows, and a row that is as near to another center scores 0."""
    matrix = np.array([[0.0], [0.0], [4.0]], dtype=np.float32)

    evaluated = evaluate_fits(matrix, [np.array([[4.0], [0.0], [0.0]])])

    (found,), (labels,) = evaluated.evaluations, evaluated.labels
    assert labels.tolist() == [1, 1, 0]
    assert found.scores.tolist() == [0.0, 0.0, 0.0]  # the last is alone
    assert found.shares.tolist() == pytest.approx([1 / 3, 2 / 3, 0.0])


GRID = 64


def _evaluate_parts(
    matrix: NDArray[np.float32], centers: list[NDArray[np.float64]], cuts: list[int]
) -> tuple[Totals, tuple[Evaluation, ...]]:
    """Evaluate as an engine does: kernels over the parts between the cuts, merged in order."""
    anchors = place_anchors(centers, n_rows=len(matrix), scored=matrix[pick_scored_rows(len(matrix))])
    anchors = pickle.loads(pickle.dumps(anchors))  # an engine sends it to other processes
    places = [slice(start, stop) for start, stop in zip([0, *cuts], [*cuts, len(matrix)], strict=True)]
    sums = (sum_fits(place, matrix[place], anchors=anchors) for place in places)
    totals = add_up(functools.reduce(operator.add, sums, EvaluationSums()).blocks, anchors)
    spreads = (sum_spreads(place, matrix[place], anchors=anchors, means=totals.means) for place in places)
    merged = functools.reduce(operator.add, spreads, SpreadSums())
    return totals, finish_evaluations(anchors, totals, add_up_spreads(merged.blocks, totals))


def _bits(evaluations: tuple[Evaluation, ...]) -> Iterator[list[bytes]]:
    for evaluation in evaluations:
        yield [np.asarray(getattr(evaluation, field.name)).tobytes() for field in fields(evaluation)]


@st.composite
def _rows_and_centers(draw: st.DrawFn) -> tuple[NDArray[np.float32], list[NDArray[np.float64]]]:
    """Rows with ties and clusters of one, and some of them as the centers of one to three fits."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    n_rows, n_columns = draw(st.integers(6, 700)), draw(st.integers(1, 5))
    scale = draw(st.sampled_from([1.0, 3.0, 1e4]))
    matrix = (rng.normal(size=(n_rows, n_columns)) * scale).round(draw(st.sampled_from([0, 6]))).astype(np.float32)
    ks = draw(st.lists(st.integers(2, 6), min_size=1, max_size=3))
    return matrix, [matrix[rng.choice(n_rows, k, replace=False)].astype(np.float64) for k in ks]


@given(_rows_and_centers(), st.data())
@settings(max_examples=60, deadline=None)
def test_the_blocks_of_the_grid_may_be_grouped_at_will(
    data: tuple[NDArray[np.float32], list[NDArray[np.float64]]], choices: st.DataObject
) -> None:
    """Parts of whole blocks, evaluated one by one and merged in order, have the bits of all rows at once."""
    matrix, centers = data
    edges = range(GRID, len(matrix), GRID)
    cuts = sorted(choices.draw(st.sets(st.sampled_from(edges)))) if edges else []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distances, "BLOCK_ROWS", GRID)
        patch.setattr(evaluation_sums, "SCORED_ROWS", 150)
        whole = evaluate_fits(matrix, centers)
        totals, parts = _evaluate_parts(matrix, centers, cuts)

    assert list(_bits(parts)) == list(_bits(whole.evaluations))
    sizes = [np.bincount(labels, minlength=len(own)) for labels, own in zip(whole.labels, centers, strict=True)]
    np.testing.assert_array_equal(totals.counts, np.concatenate(sizes))


@given(_rows_and_centers(), st.data())
@settings(max_examples=60, deadline=None)
def test_counts_are_the_same_wherever_the_rows_are_cut(
    data: tuple[NDArray[np.float32], list[NDArray[np.float64]]], choices: st.DataObject
) -> None:
    """Parts that are not cut on the grid have the same counts, and figures that differ by rounding only."""
    matrix, centers = data
    cuts = sorted(choices.draw(st.sets(st.integers(1, len(matrix) - 1), max_size=8)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distances, "BLOCK_ROWS", GRID)
        patch.setattr(evaluation_sums, "SCORED_ROWS", 150)
        whole = evaluate_fits(matrix, centers)
        totals, parts = _evaluate_parts(matrix, centers, cuts)

    sizes = [np.bincount(labels, minlength=len(own)) for labels, own in zip(whole.labels, centers, strict=True)]
    np.testing.assert_array_equal(totals.counts, np.concatenate(sizes))
    for part, found in zip(parts, whole.evaluations, strict=True):
        assert part.shares.tolist() == found.shares.tolist()
        np.testing.assert_allclose(part.scores, found.scores, atol=1e-9)
        assert part.inertia == pytest.approx(found.inertia, rel=1e-9, abs=1e-6)
        assert part.simplified_silhouette == pytest.approx(found.simplified_silhouette, abs=1e-9)
