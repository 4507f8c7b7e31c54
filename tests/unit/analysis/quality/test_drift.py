"""Drift since the parent: stability indices, and the shift of the segments in original units."""

import functools
import json
import pickle
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segmentation_pipeline.analysis.quality.drift import (
    LARGE,
    BinCounts,
    ValueCounts,
    count_bins,
    count_values,
    describe_distributions,
    measure_drift,
    stability_index,
)
from segmentation_pipeline.spec import FeatureSpec

FEATURES = [FeatureSpec(column="spend", kind="numeric"), FeatureSpec(column="channel", kind="categorical")]


def _frame(*, shift: float = 0.0, web: int = 500, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"spend": rng.normal(100 + shift, 20, 1000), "channel": ["web"] * web + ["app"] * (1000 - web)})


def _drift(then: pd.DataFrame, now: pd.DataFrame, **given: object):
    sizes = {"sizes_before": {1: 500, 2: 500}, "sizes_now": {1: 500, 2: 500}}
    # through JSON, as it comes back from the database
    described = json.loads(json.dumps(describe_distributions(then, FEATURES)))
    features = [feature for feature in FEATURES if feature.column in now.columns]
    return measure_drift(described, now, features, **{"profiles_before": {}, "profiles_now": {}, **sizes, **given})


def test_the_index_is_the_symmetric_divergence() -> None:
    """Two bins of 50 and 50 compared with 90 and 10: 0.4 ln(1.8) + 0.4 ln(5)."""
    assert stability_index([50, 50], [90, 10]) == pytest.approx(0.4 * np.log(1.8) + 0.4 * np.log(5))


@given(st.lists(st.integers(0, 1000), min_size=2, max_size=12))
def test_the_same_counts_have_not_drifted(counts: list[int]) -> None:
    """Equal counts have the index 0, whatever they are; the index is always a number that JSON can hold."""
    assert stability_index(counts, counts) == pytest.approx(0.0)
    assert np.isfinite(stability_index(counts, counts[::-1]))


def test_another_sample_of_the_same_customers_is_no_drift() -> None:
    """Chance moves the index a little, far below the limit for small."""
    found = _drift(_frame(), _frame(seed=1))

    assert all(index < 0.05 for index in found.features.values())
    assert found.shares == pytest.approx(0.0)


def test_a_shifted_feature_is_the_one_that_drifts() -> None:
    """One standard deviation more of spend is a large drift of spend and no drift of the channel."""
    found = _drift(_frame(), _frame(shift=20))

    assert found.features["spend"] > LARGE
    assert found.features["channel"] == pytest.approx(0.0)


def test_a_category_that_appears_drifts() -> None:
    """Values the parent never saw fall into the rest, which was empty."""
    now = _frame().assign(channel=["store"] * 400 + ["web"] * 600)

    assert _drift(_frame(), now).features["channel"] > LARGE


def test_nulls_count_as_a_place_of_their_own() -> None:
    """A feature that goes missing for half of the customers has drifted."""
    now = _frame()
    now.loc[:499, "spend"] = np.nan

    assert _drift(_frame(), now).features["spend"] > LARGE


def test_a_column_that_is_gone_is_left_out() -> None:
    """A column that the source no longer has cannot be compared."""
    assert set(_drift(_frame(), _frame().drop(columns=["channel"])).features) == {"spend"}


def test_a_column_of_another_kind_is_left_out() -> None:
    """A number then and a category today cannot be compared."""
    described, now = describe_distributions(_frame(), FEATURES), _frame().assign(spend="much")
    features = [FeatureSpec(column="spend", kind="categorical"), FEATURES[1]]

    found = measure_drift(described, now, features, sizes_before={}, sizes_now={}, profiles_before={}, profiles_now={})

    assert set(found.features) == {"channel"}


def test_segment_shares_drift() -> None:
    """A segment that goes from half of the customers to a tenth is a large drift of the shares; a birth counts too."""
    assert _drift(_frame(), _frame(), sizes_now={1: 900, 2: 100}).shares > LARGE
    assert _drift(_frame(), _frame(), sizes_now={1: 500, 2: 250, 3: 250}).shares > LARGE


def test_a_segments_shift_is_in_original_units() -> None:
    """A segment's mean spend of 80 that is 120 now has moved by two standard deviations of everybody."""
    found = _drift(
        _frame(),
        _frame(),
        profiles_before={1: {"spend": {"mean": 80.0}, "channel": {"shares": {}}}, 2: {"spend": {"mean": 1.0}}},
        profiles_now={1: {"spend": {"mean": 120.0}}, 3: {"spend": {"mean": 5.0}}},
    )

    (shift,) = found.shifts
    assert (shift.segment_id, shift.column, shift.before, shift.now) == (1, "spend", 80.0, 120.0)
    assert shift.z == pytest.approx(2.0, rel=0.1)


CUTS = st.sets(st.integers(1, 999), max_size=8).map(lambda cuts: [0, *sorted(cuts), 1000])


@given(edges=CUTS)
@settings(deadline=None, max_examples=50)
def test_the_counts_of_a_column_are_the_same_for_any_cut(edges: list[int]) -> None:
    """Counts of parts, which went through another process, add up to those of the whole column."""
    frame = _frame(web=333)
    frame.loc[::7, "spend"] = np.nan
    frame.loc[::11, "channel"] = None
    distributions = describe_distributions(_frame(seed=3), FEATURES)
    for column in ("spend", "channel"):
        parts = [frame[column].iloc[start:stop] for start, stop in pairwise(edges)]
        bins = [pickle.loads(pickle.dumps(count_bins(part, distributions[column]))) for part in parts]
        assert functools.reduce(BinCounts.merge, bins) == count_bins(frame[column], distributions[column])
    values = [pickle.loads(pickle.dumps(count_values(part))) for part in parts]
    merged = functools.reduce(ValueCounts.merge, values).finish()
    assert json.dumps(merged) == json.dumps(count_values(frame["channel"]).finish())


def test_values_beyond_the_fiftieth_are_counted_together() -> None:
    """The most frequent values have their own count, ties by name; the others are the rest."""
    texts = pd.Series([f"text {number:02d}" for number in range(60)] + ["text 59"], dtype="str")

    described = count_values(texts).finish()

    assert list(described["values"])[:2] == ["text 59", "text 00"]
    assert (len(described["values"]), described["rest"]) == (50, 10)
