"""What a segment is like, and its plain name."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from segmentation_pipeline.analysis.profiles.profile import (
    SegmentProfile,
    name_segment,
    profile_segments,
    score_segments,
)
from segmentation_pipeline.spec import FeatureSpec

SPEND = FeatureSpec(column="spend", kind="numeric")
COUNTRY = FeatureSpec(column="country", kind="categorical", missing="category")


def _profiles(
    columns: dict[str, Any], segments: list[int], *, features: list[FeatureSpec], **named: Any
) -> dict[int, SegmentProfile]:
    distance = np.asarray(named.pop("distance", np.ones(len(segments))), dtype=float)
    return profile_segments(pd.DataFrame(columns), np.array(segments), distance, features=features, **named)


def test_numbers_are_described_in_their_own_units() -> None:
    """A numeric feature has the segment's mean, median and distance from everybody in standard deviations."""
    spend = [10.0, 20.0, 60.0, 100.0, 110.0]

    profiles = _profiles({"spend": spend}, [1, 1, 1, 2, 2], features=[SPEND])

    assert profiles[1].figures["spend"]["mean"] == 30.0
    assert profiles[1].figures["spend"]["median"] == 20.0
    assert profiles[1].figures["spend"]["z"] == pytest.approx((30 - np.mean(spend)) / np.std(spend))
    assert profiles[2].figures["spend"]["z"] == pytest.approx((105 - np.mean(spend)) / np.std(spend))


def test_categories_are_described_by_their_shares() -> None:
    """A categorical feature has the share of each value in the segment and among everybody, nulls by name."""
    profiles = _profiles({"country": ["UK", "UK", "🍣", None]}, [1, 1, 1, 2], features=[COUNTRY])

    assert profiles[1].figures["country"] == {
        "shares": {"UK": pytest.approx(2 / 3), "🍣": pytest.approx(1 / 3)},
        "everybody": {"UK": 0.5, "🍣": 0.25},
    }
    assert profiles[2].figures["country"] == {"shares": {"(missing)": 1.0}, "everybody": {"(missing)": 0.25}}


def test_customers_shares_and_radius() -> None:
    """A profile counts customers, their share of the assigned, and the root mean square distance."""
    profiles = _profiles({"spend": [1.0, 2.0, 3.0, 4.0]}, [1, 1, 5, 5], features=[SPEND], distance=[3, 4, 0, 0])

    assert {segment: (own.n_customers, own.share) for segment, own in profiles.items()} == {1: (2, 0.5), 5: (2, 0.5)}
    assert profiles[1].radius == pytest.approx(np.sqrt(12.5))
    assert profiles[5].radius == 0.0


def test_unassigned_customers_are_not_everybody() -> None:
    """Customers without a segment have no profile and do not count among everybody."""
    profiles = _profiles({"spend": [0.0, 2.0, 1e9]}, [1, 2, -1], features=[SPEND])

    assert set(profiles) == {1, 2}
    assert profiles[1].share == 0.5
    assert (profiles[1].figures["spend"]["z"], profiles[2].figures["spend"]["z"]) == (-1.0, 1.0)


def test_outcomes_are_described_and_do_not_name() -> None:
    """An outcome has figures, as a share if it is true or false, and is never part of the name."""
    profiles = _profiles(
        {"spend": [1.0, 1.0, 1.0, 1.0], "converted": [True, True, False, False], "profit": [5, 7, -5, -7]},
        [1, 1, 2, 2],
        features=[SPEND],
        outcomes=["converted", "profit"],
    )

    assert profiles[1].figures["converted"]["mean"] == 1.0
    assert profiles[2].figures["profit"]["mean"] == -6.0
    assert profiles[1].name == "average customers"


@pytest.mark.parametrize("value", [0.1, 1e9 + 0.1, 0.0, -3.3])
def test_a_constant_sets_nobody_apart(value: float) -> None:
    """The rounding error of a constant's mean is not a spread: z is 0 and the name does not mention it."""
    profiles = _profiles({"spend": [value] * 1003}, [1] * 3 + [2] * 1000, features=[SPEND])

    assert [profile.figures["spend"]["z"] for profile in profiles.values()] == [0.0, 0.0]
    assert [profile.name for profile in profiles.values()] == ["average customers"] * 2


def test_a_segment_without_a_value_is_named_by_the_rest() -> None:
    """A segment whose values of one feature are all null has no figures there and is named by the others."""
    features = [FeatureSpec(column=name, kind="numeric", missing="median") for name in ("spend", "age", "visits")]

    profiles = _profiles(
        {"visits": [3.0, 3.0, 1.0, 1.0], "age": [np.nan, np.nan, 30.0, 40.0], "spend": [9.0, 3.0, 1.0, 5.0]},
        [1, 1, 2, 2],
        features=features,
    )

    assert np.isnan(profiles[1].figures["age"]["mean"])
    assert profiles[1].name == "high visits, high spend"


def test_integers_with_nulls_are_numbers() -> None:
    """A nullable integer outcome, as an artifact holds it, has figures of its known values."""
    orders = pd.array([1, 3, None, 5], dtype="Int64")

    profiles = _profiles({"spend": [1.0] * 4, "orders": orders}, [1, 1, 2, 2], features=[SPEND], outcomes=["orders"])

    assert (profiles[1].figures["orders"]["mean"], profiles[2].figures["orders"]["median"]) == (2.0, 5.0)


def test_a_name_has_the_largest_differences_of_a_segment() -> None:
    """The strongest differences come first, three at most, weak ones are left out."""
    figures = {
        "age": {"z": 0.3},
        "recency_days": {"z": -1.2},
        "spend": {"z": 2.0},
        "visits": {"z": 0.5},
        "returns": {"z": 0.4},
    }

    assert name_segment(figures) == "high spend, low recency days, high visits"


@pytest.mark.parametrize(
    ("shares", "everybody", "name"),
    [
        ({"web": 0.9, "shop": 0.1}, {"web": 0.5, "shop": 0.5}, "mostly channel web"),
        ({"web": 0.4, "shop": 0.6}, {"web": 0.1, "shop": 0.9}, "more channel web"),
        ({"web": 0.5, "shop": 0.5}, {"web": 0.5, "shop": 0.5}, "average customers"),
        ({"web": 1.0}, {"web": 1.0}, "average customers"),
        ({"true": 0.9, "false": 0.1}, {"true": 0.4, "false": 0.6}, "mostly channel"),
        ({"false": 0.9, "true": 0.1}, {"false": 0.4, "true": 0.6}, "mostly not channel"),
        ({}, {}, "average customers"),
    ],
)
def test_a_name_mentions_a_category_that_stands_out(
    shares: dict[str, float], everybody: dict[str, float], name: str
) -> None:
    """A value that is more common than among everybody is named, `mostly` if more than half have it."""
    assert name_segment({"channel": {"shares": shares, "everybody": everybody}}) == name


def test_categories_and_booleans_name_segments() -> None:
    """A segment is named by text and true-or-false features as they are in the rows."""
    profiles = _profiles(
        {"country": ["UK", "UK", "DE", "DE"], "active": [True, True, False, False]},
        [1, 1, 2, 2],
        features=[COUNTRY, FeatureSpec(column="active", kind="boolean")],
    )

    assert profiles[1].name == "mostly country UK, mostly active"
    assert profiles[2].name == "mostly not active, mostly country DE"


def test_without_assigned_customers_there_are_no_profiles() -> None:
    """Without an assigned customer there are no profiles."""
    assert _profiles({"spend": [1.0, 2.0]}, [-1, -1], features=[SPEND]) == {}


def test_scores_compare_segments_in_standard_deviations() -> None:
    """Numbers have their z, each value of a category the z of its 0/1 column; of two values one says everything."""
    features = [SPEND, COUNTRY, FeatureSpec(column="active", kind="boolean")]
    columns = {
        "spend": [1.0, 1.0, 3.0, 3.0],
        "country": ["UK", "DE", "DE", "FR"],
        "active": [True, True, False, False],
        "profit": [1.0, 2.0, 3.0, 4.0],
    }
    profiles = _profiles(columns, [1, 1, 2, 2], features=features, outcomes=["profit"])

    scores = score_segments(profiles, features=features)

    assert list(scores[1]) == ["spend", "country is DE", "country is FR", "country is UK", "active"]
    assert (scores[1]["spend"], scores[2]["spend"]) == (-1.0, 1.0)
    assert (scores[1]["active"], scores[2]["active"]) == (1.0, -1.0)
    # no customer of segment 1 is from FR, a quarter of all customers is
    assert scores[1]["country is FR"] == pytest.approx(-0.25 / np.sqrt(0.25 * 0.75))
    assert scores[1]["country is DE"] == scores[2]["country is DE"] == 0.0


def test_a_segment_without_a_value_has_no_score() -> None:
    """Where all values are null the score is NaN, not zero."""
    age = FeatureSpec(column="age", kind="numeric", missing="median")
    profiles = _profiles({"age": [np.nan, np.nan, 30.0, 40.0]}, [1, 1, 2, 2], features=[age])
    assert np.isnan(score_segments(profiles, features=[age])[1]["age"])
