"""Trying a range of K: the figures are scikit-learn's, the choice is sound, a seed repeats it."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn import metrics

from segmentation_pipeline.analysis.clustering.labelling import assign
from segmentation_pipeline.analysis.selection import candidate_silhouettes
from segmentation_pipeline.analysis.selection import sweep as sweep_module
from segmentation_pipeline.analysis.selection.silhouette_estimate import estimate_silhouette
from segmentation_pipeline.analysis.selection.sweep import NOT_JUDGED, Sweep, run_sweep
from segmentation_pipeline.errors import UnusableDataError
from segmentation_pipeline.model import SweepResult
from segmentation_pipeline.spec import FitSpec, SweepSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _blobs(n: int = 100, seed: int = 0) -> NDArray[np.float32]:
    """Three round groups of `n` customers, far apart."""
    rng = np.random.default_rng(seed)
    centers = [(0, 0, 0), (6, 0, 0), (0, 6, 0)]
    return np.concatenate([rng.normal(center, 0.5, (n, 3)) for center in centers]).astype(np.float32)


def _sweep(matrix: NDArray[np.float32], *, seed: int = 7, fit: dict[str, Any] | None = None, **sweep: Any) -> Sweep:
    return run_sweep(matrix, SweepSpec(**{"k_max": 6, **sweep}), FitSpec(**(fit or {})), seed=seed)


@pytest.mark.parametrize("policy", ["default", "silhouette", "davies_bouldin"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_three_groups_are_three(policy: str, seed: int) -> None:
    """Every policy finds the three groups that are plainly there, and states its reason."""
    result = _sweep(_blobs(seed=seed), policy=policy, seed=seed).result

    assert result.k == 3
    assert result.chosen.k == 3
    assert "K = 3" in result.reason


def test_every_k_of_the_range_is_shown() -> None:
    """There is a candidate and a fit for each K, in order."""
    swept = _sweep(_blobs(), k_min=3, k_max=7)

    assert [candidate.k for candidate in swept.result.candidates] == [3, 4, 5, 6, 7]
    assert [fit.k for fit in swept.fits] == [3, 4, 5, 6, 7]
    assert [swept.fit_of(k).k for k in (3, 7)] == [3, 7]


def test_the_figures_are_scikit_learns() -> None:
    """Inertia, silhouette, Davies-Bouldin and Calinski-Harabasz are those of the candidate's own labels."""
    matrix = _blobs()
    wide = matrix.astype(np.float64)

    swept = _sweep(matrix)

    for candidate in swept.result.candidates:
        labels = assign(matrix, swept.fit_of(candidate.k).model).labels
        means = np.array([wide[labels == label].mean(axis=0) for label in range(candidate.k)])
        assert candidate.inertia == pytest.approx(np.square(wide - means[labels]).sum(), rel=1e-5)
        assert candidate.silhouette == pytest.approx(metrics.silhouette_score(wide, labels), abs=1e-5)
        assert candidate.davies_bouldin == pytest.approx(metrics.davies_bouldin_score(wide, labels), rel=1e-5)
        assert candidate.calinski_harabasz == pytest.approx(metrics.calinski_harabasz_score(wide, labels), rel=1e-5)
        shares = np.bincount(labels) / len(labels)
        assert (candidate.smallest_share, candidate.largest_share) == (shares.min(), shares.max())


def test_inertia_falls_with_k() -> None:
    """More clusters never fit worse."""
    inertias = [candidate.inertia for candidate in _sweep(_blobs()).result.candidates]

    assert inertias == sorted(inertias, reverse=True)


def test_the_same_seed_repeats_the_sweep() -> None:
    """The seed repeats every figure and every center, and is recorded."""
    matrix = _blobs()

    one, two = _sweep(matrix, seed=11), _sweep(matrix, seed=11)

    assert one.result == two.result
    assert one.result.seed == 11
    for first, second in zip(one.fits, two.fits, strict=True):
        np.testing.assert_array_equal(first.centers, second.centers)


def test_a_fixed_k_is_taken_and_the_others_are_shown() -> None:
    """`fit.k` decides whatever the figures say, outside the range too, and the reason says so."""
    inside, outside = _sweep(_blobs(), fit={"k": 5}), _sweep(_blobs(), fit={"k": 8})

    assert (inside.result.k, outside.result.k) == (5, 8)
    assert [candidate.k for candidate in outside.result.candidates] == [2, 3, 4, 5, 6, 8]
    assert "fixed" in inside.result.reason


def test_k_stops_at_the_distinct_rows() -> None:
    """A K above the number of distinct rows is left out, whatever the range says."""
    matrix = np.repeat(_blobs(n=2)[:4], 30, axis=0)

    assert [candidate.k for candidate in _sweep(matrix).result.candidates] == [2, 3, 4]


def test_as_many_clusters_as_customers_are_not_tried() -> None:
    """The silhouette needs a row more than clusters, so K stops below the number of rows."""
    assert [candidate.k for candidate in _sweep(_blobs(n=2)[:5]).result.candidates] == [2, 3, 4]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_refused(value: float) -> None:
    """The error names its place: no fit would report it, and no distance to it means anything."""
    matrix = _blobs()
    matrix[41, 2] = value

    with pytest.raises(UnusableDataError, match=rf"Row 41 of the matrix has {value} in column 2"):
        _sweep(matrix)


def test_all_the_same_customers_cannot_be_clustered() -> None:
    """Rows that are all equal are refused with the numbers and what to do."""
    with pytest.raises(UnusableDataError) as refused:
        _sweep(np.ones((1500, 3), dtype=np.float32))

    assert "1,500 customers with 1 distinct rows cannot be split into 2 clusters" in str(refused.value)
    assert "Add features or customers, or lower sweep.k_min" in str(refused.value)


def test_a_fixed_k_above_the_distinct_rows_is_refused() -> None:
    """A fixed K that the rows do not allow is refused and never lowered in silence."""
    matrix = np.repeat(_blobs(n=2)[:4], 30, axis=0)

    with pytest.raises(UnusableDataError, match=r"cannot be split into 5 clusters.*lower fit\.k"):
        _sweep(matrix, fit={"k": 5})


def test_a_sweep_survives_json() -> None:
    """A result as JSON text reads back equal."""
    result = _sweep(_blobs()).result

    assert SweepResult.from_json(json.loads(json.dumps(result.to_json()))) == result


def test_many_rows_are_fitted_on_a_sample_and_judged_on_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the limits a sample is fitted, the figures are of all rows, and the groups are still found."""
    monkeypatch.setattr(sweep_module, "FIT_ROWS", 90)
    monkeypatch.setattr(candidate_silhouettes, "EXACT_ROWS", 90)
    matrix = _blobs()

    swept = _sweep(matrix)

    assert (swept.result.n_rows, swept.result.n_sampled) == (300, 90)
    assert swept.result.k == 3
    assignment = assign(matrix, swept.fit_of(3).model)
    assert swept.result.chosen.inertia == pytest.approx(np.square(assignment.distance).sum(), rel=1e-9)
    assert swept.result.chosen.silhouette == pytest.approx(
        metrics.silhouette_score(matrix, assignment.labels), abs=0.05
    )


def test_what_does_not_choose_k_can_be_left_out() -> None:
    """Without `judge` the fits are the same, and stability and structure say that they were not looked at."""
    matrix = _blobs()
    sweep, fit = SweepSpec(k_max=5), FitSpec()

    whole, quick = run_sweep(matrix, sweep, fit, seed=7), run_sweep(matrix, sweep, fit, seed=7, judge=False)

    assert quick.result.k == whole.result.k
    assert all(np.array_equal(quick.fit_of(k).centers, whole.fit_of(k).centers) for k in range(2, 6))
    assert all(candidate.stability is not None for candidate in whole.result.candidates)
    assert all(candidate.stability is None for candidate in quick.result.candidates)
    assert whole.result.structure.verdict == "structure"
    assert quick.result.structure == NOT_JUDGED


@pytest.mark.parametrize("n_judged", [None, 600])
def test_the_silhouettes_that_are_shown_are_the_candidates_own(
    n_judged: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sample's values are those of the chosen K's rows, stratified, and its weights add up to each cluster."""
    if n_judged is not None:  # as on large data: the silhouettes are an estimate
        monkeypatch.setattr(candidate_silhouettes, "EXACT_ROWS", n_judged)
        monkeypatch.setattr(candidate_silhouettes, "estimate_silhouette", partial(estimate_silhouette, size=n_judged))
    monkeypatch.setattr(candidate_silhouettes, "SHOWN_ROWS", 200)
    matrix = np.concatenate([_blobs(400), _blobs(20, seed=1)[:20] + 9]).astype(np.float32)

    swept = _sweep(matrix, fit={"k": 4})

    shown, labels = swept.silhouettes, swept.labels
    np.testing.assert_array_equal(labels, assign(matrix, swept.fit_of(4).model).labels)
    assert len(shown.silhouettes) <= 240
    assert np.bincount(shown.clusters).min() == np.bincount(labels).min() == 20  # a small one is taken whole
    np.testing.assert_allclose(np.bincount(shown.clusters, weights=shown.weights), np.bincount(labels))
    exact = metrics.silhouette_samples(matrix.astype(np.float64), labels)
    by_cluster = [exact[labels == cluster].mean() for cluster in range(4)]
    np.testing.assert_allclose(swept.result.cluster_silhouettes, by_cluster, atol=1e-5 if n_judged is None else 0.02)
    total = np.average(swept.result.cluster_silhouettes, weights=np.bincount(labels))
    assert total == pytest.approx(swept.result.chosen.silhouette)
    if n_judged is None:
        assert np.isin(np.round(shown.silhouettes, 5), np.round(exact, 5)).all()
