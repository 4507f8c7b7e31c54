"""Today's distances compared with those at the fit: what is expected, what matters, and what is not an accident."""

from __future__ import annotations

import functools
import pickle
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from segmentation_pipeline.analysis.quality.distance_drift import (
    FAR_QUANTILE,
    FarCounts,
    count_far,
    judge_far,
    measure_distance_drift,
)
from segmentation_pipeline.model import Reach


def _reaches(labels: np.ndarray, distance: np.ndarray) -> dict[int, Reach]:
    return {
        int(segment): Reach(
            int((labels == segment).sum()), float(np.quantile(distance[labels == segment], FAR_QUANTILE))
        )
        for segment in np.unique(labels[labels >= 0])
    }


def _customers(n: int, rng: np.random.Generator, *, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    labels = rng.integers(1, 4, n)
    return labels, scale * labels * rng.gamma(3.0, 1.0, n)


def test_far_is_beyond_the_fit_s_reach_of_the_own_segment() -> None:
    """Each customer is compared with his own segment; a distance exactly at the limit is not beyond it."""
    labels = np.array([1, 1, 1, 2, 2])
    drift = measure_distance_drift(
        labels, np.array([1.0, 1.1, 9.0, 9.0, 10.0]), {1: Reach(1000, 1.0), 2: Reach(1000, 9.0)}
    )
    assert (drift.n_customers, drift.n_far, drift.share) == (5, 3, 0.6)
    assert drift.by_segment == {1: pytest.approx(2 / 3), 2: 0.5}


def test_one_in_a_hundred_is_expected_of_a_large_fit() -> None:
    """With many customers at the fit 1 % is expected beyond the percentile, and 5 % tolerated."""
    drift = measure_distance_drift(np.ones(100, dtype=int), np.zeros(100), {1: Reach(1_000_000, 1.0)})
    assert drift.expected_share == pytest.approx(0.01, rel=1e-3)
    assert drift.threshold == pytest.approx(0.05, rel=1e-3)


@pytest.mark.parametrize("n_fit", [1, 20, 300])
def test_a_small_fit_s_percentile_is_uncertain(n_fit: int) -> None:
    """Expected share and its error are those of fresh samples beyond the percentile of a fit of that size."""
    rng = np.random.default_rng(n_fit)
    far = [int((rng.random(500) > np.quantile(rng.random(n_fit), FAR_QUANTILE)).sum()) for _ in range(4_000)]
    drift = measure_distance_drift(np.ones(500, dtype=int), np.zeros(500), {1: Reach(n_fit, 1.0)})
    expected = drift.expected_share * 500
    # an interpolated percentile lies between two order statistics
    assert np.mean(far) == pytest.approx(expected, rel=0.1)
    assert np.std(far) == pytest.approx(-expected / drift.z, rel=0.1)


def test_the_fit_s_own_customers_are_no_drift() -> None:
    """Scoring the rows of the fit again finds about one in a hundred, and does not warn."""
    labels, distance = _customers(3_000, np.random.default_rng(0))
    drift = measure_distance_drift(labels, distance, _reaches(labels, distance))
    assert 0.005 < drift.share < 0.015
    assert not drift.drifted


def test_false_alarms_are_rare_in_small_segments() -> None:
    """Of 300 pairs of samples of one population, 40 customers in three segments, hardly any warns."""
    rng = np.random.default_rng(1)
    alarms = 0
    for _ in range(300):
        fit, today = _customers(40, rng), _customers(40, rng)
        alarms += measure_distance_drift(*today, _reaches(*fit)).drifted
    assert alarms <= 9


@pytest.mark.parametrize(("scale", "drifted"), [(1.05, False), (2.0, True)])
def test_customers_who_moved_away_are_a_warning(scale: float, drifted: bool) -> None:
    """Twice as far is a drift; five percent farther is less than what matters."""
    rng = np.random.default_rng(2)
    fit, today = _customers(3_000, rng), _customers(3_000, rng, scale=scale)
    drift = measure_distance_drift(*today, _reaches(*fit))
    assert drift.drifted is drifted
    assert f"{drift.n_far:,} of 3,000 customers" in drift.message
    assert "1.1% are expected" in drift.message


def test_a_small_drift_of_many_customers_does_not_matter() -> None:
    """Thirty thousand customers a tenth farther away are beyond chance, and still no reason to refit."""
    rng = np.random.default_rng(3)
    fit, today = _customers(30_000, rng), _customers(30_000, rng, scale=1.1)
    drift = measure_distance_drift(*today, _reaches(*fit))
    assert drift.z > 5
    assert not drift.drifted


def test_a_few_customers_prove_nothing() -> None:
    """One far customer of five is 20 %, and may be an accident; five of five are not."""
    reaches = {1: Reach(200, 1.0)}
    labels = np.ones(5, dtype=int)
    assert not measure_distance_drift(labels, np.array([0.1, 0.1, 0.1, 0.1, 2.0]), {1: Reach(20, 1.0)}).drifted
    assert measure_distance_drift(labels, np.full(5, 2.0), reaches).drifted


def test_unassigned_customers_are_far() -> None:
    """Unassigned customers count as far, compared with as many as there were at the fit."""
    labels = np.where(np.arange(1_000) < 200, -1, 1)
    distance = np.where(labels < 0, 50.0, 0.5)
    reaches = {1: Reach(900, 1.0)}
    many = measure_distance_drift(labels, distance, reaches, n_unassigned_at_fit=5)
    as_before = measure_distance_drift(labels, distance, reaches, n_unassigned_at_fit=225)
    assert (many.n_far, many.drifted) == (200, True)
    assert (as_before.n_far, as_before.drifted) == (200, False)
    assert as_before.expected_share == pytest.approx(0.2 + 0.8 * 0.01, abs=0.002)


def test_without_customers_there_is_no_drift() -> None:
    """Without rows there is no share and no warning."""
    drift = measure_distance_drift(np.array([], dtype=int), np.array([]), {1: Reach(10, 1.0)})
    assert (drift.share, drift.expected_share, drift.z, drift.drifted) == (0.0, 0.0, 0.0, False)


def test_the_share_beyond_an_order_statistic_is_beta_distributed() -> None:
    """The expected share is the mean of the Beta distribution that the docstring names."""
    n = 101  # the 99th percentile is exactly the 100th of 101
    drift = measure_distance_drift(np.ones(1, dtype=int), np.zeros(1), {1: Reach(n, 1.0)})
    assert drift.expected_share == pytest.approx(1 - stats.beta(100, 2).mean())


@given(cuts=st.sets(st.integers(1, 499), max_size=8))
@settings(deadline=None, max_examples=50)
def test_far_customers_are_the_same_for_any_cut(cuts: set[int]) -> None:
    """Counts of parts, which went through another process, add up to the drift of all customers."""
    labels, distance = _customers(500, np.random.default_rng(4))
    reaches = _reaches(labels, distance)
    labels = np.where(np.arange(500) % 9 == 0, -1, labels)
    parts = [slice(start, stop) for start, stop in pairwise([0, *sorted(cuts), 500])]

    counted = [pickle.loads(pickle.dumps(count_far(labels[part], distance[part], reaches))) for part in parts]

    merged = functools.reduce(FarCounts.merge, counted)
    assert judge_far(merged, reaches, n_unassigned_at_fit=2) == measure_distance_drift(
        labels, distance, reaches, n_unassigned_at_fit=2
    )
