"""Scoring by a saved snapshot: the fit's answers again, rejected rows with reasons, and what no longer fits by name."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from segmentation_pipeline.analysis.features.encoding import fit_encoding
from segmentation_pipeline.analysis.features.validation import validate
from segmentation_pipeline.model import Encoding, FittedModel, Snapshot, SnapshotMetrics
from segmentation_pipeline.spec import FeatureSpec
from segmentation_pipeline.steps.score import NOT_ENCODED, find_redefined, find_unreadable, read_fitted_features, score

AS_OF = datetime(2024, 7, 1, tzinfo=UTC)
FEATURES = (
    FeatureSpec(column="spend", kind="numeric", transform="auto"),
    FeatureSpec(column="joined", kind="date"),
    FeatureSpec(column="active", kind="boolean"),
    FeatureSpec(column="plan", kind="categorical"),
)


def _frame(n: int = 60) -> pd.DataFrame:
    number = np.arange(n)
    return pd.DataFrame(
        {
            "id": number,
            "spend": np.exp(number % 7.0),
            "joined": pd.to_datetime("2024-06-01") - pd.to_timedelta(number % 30, unit="D"),
            "active": number % 2 == 0,
            "plan": np.where(number % 3 == 0, "gold", "basic"),
        }
    )


def _snapshot(frame: pd.DataFrame, features: tuple[FeatureSpec, ...] = FEATURES, *, recorded: bool = True) -> Snapshot:
    valid = validate(frame, features, key="id", as_of=AS_OF)
    encoding = fit_encoding(valid.rows, features)
    centers = np.zeros((2, len(encoding.names)))
    centers[1] = 1.0
    model = FittedModel("kmeans", centers, (7, 3))
    dumped = [feature.model_dump() for feature in features]
    through_json: Any = json.loads(json.dumps([dumped, encoding.to_json(), model.to_json()]))
    return Snapshot(
        5, "shop", "2024-06-01", AS_OF, 1, "published", 2, len(frame), len(frame), None, "run", "1",
        AS_OF, SnapshotMetrics.from_json({"features": through_json[0]} if recorded else {}),
        Encoding.from_json(through_json[1]), FittedModel.from_json(through_json[2]),
    )  # fmt: skip


def _score(frame: pd.DataFrame, snapshot: Snapshot) -> Any:
    return score(frame, snapshot, read_fitted_features(snapshot, "auto"), key="id", as_of=AS_OF)


def test_a_row_gets_the_same_answer_whatever_rows_surround_it() -> None:
    """Customers scored alone, in another order and with others have the same segment, distance and margin to the bit."""
    frame = _frame()
    snapshot = _snapshot(frame)
    everybody = _score(frame, snapshot)
    assert everybody.keys.tolist() == list(range(60))
    assert set(everybody.assignment.labels) == {7, 3}
    order = np.random.default_rng(0).permutation(60)
    shuffled = _score(frame.iloc[order], snapshot)
    np.testing.assert_array_equal(shuffled.assignment.labels, everybody.assignment.labels[order])
    np.testing.assert_array_equal(shuffled.assignment.distance, everybody.assignment.distance[order])
    alone = _score(frame.iloc[[17]], snapshot)
    assert (alone.assignment.labels[0], alone.assignment.margin[0]) == (
        everybody.assignment.labels[17],
        everybody.assignment.margin[17],
    )


def test_unusable_rows_are_rejected_as_at_the_fit() -> None:
    """Nulls, duplicates and dates after as_of are rejected with their reasons, the rest is scored, and they add up."""
    frame = _frame()
    snapshot = _snapshot(frame)
    frame.loc[0, "spend"] = np.nan
    frame.loc[1, "joined"] = pd.Timestamp("2024-08-01")
    frame.loc[3, "id"] = 2
    scored = _score(frame, snapshot)
    assert scored.reasons == (
        ("spend: null",), ("joined: after as_of",), ("key is duplicated",), ("key is duplicated",),
    )  # fmt: skip
    assert scored.rejected["id"].tolist() == [0, 1, 2, 2]
    assert scored.reason_counts == {"key is duplicated": 2, "spend: null": 1, "joined: after as_of": 1}
    assert len(scored.keys) + len(scored.rejected) == len(frame)


def test_a_value_without_the_transform_that_the_fit_chose_is_rejected() -> None:
    """`transform: auto` took log1p, which a number below -1 does not have."""
    frame = _frame()
    snapshot = _snapshot(frame)
    assert snapshot.encoding.features[0].transform == "log1p"
    frame.loc[4, "spend"] = -3.0
    scored = _score(frame, snapshot)
    assert scored.reasons == (("spend: log1p needs > -1",),)
    assert np.isfinite(scored.assignment.distance).all()


def test_a_winsorized_value_is_pulled_in_and_needs_no_rejection() -> None:
    """Far below the fit's values a winsorized one is the lowest of them, also under a transform that `auto` took."""
    features = (FeatureSpec(column="spend", kind="numeric", transform="auto", outliers="winsorize"),)
    frame = _frame()
    snapshot = _snapshot(frame, features)
    frame.loc[4, "spend"] = -3.0
    scored = _score(frame, snapshot)
    assert scored.reasons == ()
    assert scored.assignment.distance[4] == pytest.approx(
        scored.assignment.distance[frame["spend"].argsort()[1]], abs=0.1
    )


@pytest.mark.parametrize(
    ("value", "reason"), [(1e300, "spend: beyond 1e+100"), (1e90, NOT_ENCODED), (1e30, NOT_ENCODED)]
)
def test_a_value_beyond_float32_is_rejected(value: float, reason: str) -> None:
    """A number that the matrix cannot hold, or that no distance can be computed from, rejects its row alone."""
    frame = _frame()
    snapshot = _snapshot(frame, (FeatureSpec(column="spend", kind="numeric"),))
    frame.loc[9, "spend"] = value
    scored = _score(frame, snapshot)
    assert scored.reasons == ((reason,),)
    assert scored.rejected["id"].tolist() == [9]
    assert 9 not in scored.keys.tolist()
    assert len(scored.keys) == len(scored.assignment.labels) == 59


def test_unknown_categories_are_counted() -> None:
    """A plan that was not there at the fit is counted, and its customer has a segment all the same."""
    frame = _frame()
    snapshot = _snapshot(frame)
    frame.loc[[3, 4], "plan"] = "platinum"
    scored = _score(frame, snapshot)
    assert scored.unknown == {"plan": 2}
    assert scored.no_longer == ()
    assert len(scored.keys) == 60


def test_categories_that_are_all_unknown_no_longer_match() -> None:
    """A column whose values were all renamed is named; a few unknown values are not."""
    frame = _frame()
    snapshot = _snapshot(frame)
    frame["plan"] = "tier " + frame["plan"]
    assert _score(frame, snapshot).no_longer == (
        "plan has 60 values, none of which was there at the fit, such as tier gold",
    )
    assert _score(frame.head(3), snapshot).no_longer == ()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spend": None}, "spend is not in the source"),
        ({"spend": pd.to_datetime("2024-01-01")}, "spend was numeric, and 60 of 60 values are not, such as 2024-01-01"),
        ({"spend": "much"}, "spend was numeric, and 60 of 60 values are not, such as much"),
        ({"joined": 17}, "joined was date, and 60 of 60 values are not, such as 17"),
        ({"joined": "yesterday"}, "joined was date, and 60 of 60 values are not, such as yesterday"),
        ({"active": "perhaps"}, "active was boolean, and 60 of 60 values are not, such as perhaps"),
        ({"spend": np.nan}, "spend is null in all 60 rows"),
    ],
)
def test_a_column_that_no_longer_matches_is_named(change: dict[str, Any], message: str) -> None:
    """Columns that are gone, empty or of another kind are each named, with a value."""
    frame = _frame()
    ((column, value),) = change.items()
    frame = frame.drop(columns=column) if value is None else frame.assign(**{column: value})
    (found,) = find_unreadable(frame, FEATURES, as_of=AS_OF)
    assert found.startswith(message)


@pytest.mark.parametrize(
    "change",
    [
        {"spend": "12.50"},
        {"spend": pd.Series(["much"] * 30 + ["1"] * 30)},
        {"active": "yes"},
        {"joined": "2024-01-01"},
        {"plan": 5},
    ],
)
def test_what_can_be_read_as_at_the_fit_still_matches(change: dict[str, Any]) -> None:
    """Numbers and dates in text are read, and a column that is bad by half has rows to reject."""
    assert find_unreadable(_frame().assign(**change), FEATURES, as_of=AS_OF) == []


def test_every_column_that_no_longer_matches_is_told_at_once() -> None:
    """Two columns that are gone are two findings."""
    found = find_unreadable(_frame()[["id", "active"]], FEATURES, as_of=AS_OF)
    assert found == ["spend is not in the source", "joined is not in the source", "plan is not in the source"]


def test_features_that_were_redefined_are_told() -> None:
    """A column added, one removed and one of another kind are each named; other options are the fit's business."""
    snapshot = _snapshot(_frame())
    listed = [
        FeatureSpec(column="spend", kind="numeric", transform="none", weight=3),
        FeatureSpec(column="active", kind="categorical"),
        FeatureSpec(column="plan", kind="categorical"),
        FeatureSpec(column="tenure", kind="numeric"),
    ]
    assert find_redefined(snapshot, listed) == [
        "joined is no longer a feature",
        "tenure is a new feature",
        "active was boolean, and is categorical now",
    ]
    assert find_redefined(snapshot, FEATURES) == []
    assert find_redefined(snapshot, "auto") == []


def test_a_snapshot_that_did_not_record_its_features_takes_the_listed_ones() -> None:
    """An older snapshot is read by the features of the defs.yaml; with `auto` there is nothing to go by."""
    snapshot = _snapshot(_frame(), recorded=False)
    assert [feature.column for feature in read_fitted_features(snapshot, FEATURES)] == [
        "spend",
        "joined",
        "active",
        "plan",
    ]
    assert read_fitted_features(snapshot, "auto") == ()


def test_the_fit_s_checks_hold_not_today_s() -> None:
    """What the fit recorded decides over the features that the defs.yaml lists today."""
    snapshot = _snapshot(_frame())
    today = [feature.model_copy(update={"missing": "median"}) if feature.is_number else feature for feature in FEATURES]
    assert [feature.missing for feature in read_fitted_features(snapshot, today)] == ["reject"] * 4
