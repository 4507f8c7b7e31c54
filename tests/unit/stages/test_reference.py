"""What an earlier model, or the history, says of today's customers."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from segmentation_pipeline.model import FittedModel, Snapshot
from segmentation_pipeline.spec import FeatureSpec
from segmentation_pipeline.stages.alignment import UNASSIGNED
from segmentation_pipeline.stages.clustering import assign
from segmentation_pipeline.stages.encoding import fit_encoding, transform
from segmentation_pipeline.stages.reference import by_history, by_model, missing_columns

FEATURES = [
    FeatureSpec(column="spend", kind="numeric", transform="log1p"),
    FeatureSpec(column="country", kind="categorical"),
]
THEN = pd.DataFrame({"spend": [1.0, 2.0, 100.0, 200.0], "country": ["UK", "UK", "DE", "DE"]})


def _snapshot(
    features: list[FeatureSpec] = FEATURES, frame: pd.DataFrame = THEN, labels: tuple[int, ...] = (4, 9)
) -> Snapshot:
    """A snapshot of two segments, one around the first rows and one around the last."""
    encoding = fit_encoding(frame, features)
    matrix = transform(frame, encoding).matrix.astype(np.float64)
    centers = np.stack([matrix[:2].mean(axis=0), matrix[2:].mean(axis=0)])
    return Snapshot(
        snapshot_id=1, segmentation="shop", partition="2024-01-01", as_of=datetime(2024, 2, 1, tzinfo=UTC), version=1,
        status="published", k=2, n_rows=4, n_assigned=4, parent_snapshot_id=None, run_id="run", code_version="1",
        metrics={}, encoding=encoding.to_json(), model=FittedModel("kmeans", centers, labels).to_json(),
        created_at=datetime(2024, 2, 1, tzinfo=UTC),
    )  # fmt: skip


def _today(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"spend": [150.0, 1.5, 3.0], "country": ["DE", "UK", "UK"]} | columns)


def test_todays_customers_are_labelled_by_the_saved_model() -> None:
    """Each row of today gets the segment that the snapshot's own encoding and prototypes give it."""
    reference = by_model("parent", _snapshot(), _today(), sizes={4: 2, 9: 2})

    assert reference.labels.tolist() == [9, 4, 4]
    assert (reference.through, reference.segment_ids, reference.sizes) == ("parent", (4, 9), {4: 2, 9: 2})


def test_the_rows_of_then_are_labelled_as_then() -> None:
    """One model, one answer: the snapshot's own rows get the labels they had."""
    snapshot = _snapshot()
    matrix = transform(THEN, fit_encoding(THEN, FEATURES)).matrix

    assert (
        by_model("parent", snapshot, THEN).labels.tolist()
        == assign(matrix, FittedModel.from_json(snapshot.model)).labels.tolist()
    )


def test_a_retired_segments_snapshot_passes_on_that_segment_only() -> None:
    """The ids a reference may pass on can be named; the labels stay what the model says."""
    reference = by_model("retired", _snapshot(), _today(), segment_ids=[9])

    assert reference.segment_ids == (9,)
    assert reference.labels.tolist() == [9, 4, 4]


def test_rows_the_old_encoding_cannot_take_have_no_opinion() -> None:
    """A null or a value outside the old transform's domain leaves its row without a label, and without a warning."""
    reference = by_model("parent", _snapshot(), _today(spend=[np.nan, 1.5, -3.0]))

    assert reference.labels.tolist() == [UNASSIGNED, 4, UNASSIGNED]


def test_a_value_at_the_edge_of_the_old_transform_has_no_opinion() -> None:
    """log1p of -1 is minus infinity: such a row is left out as well."""
    assert by_model("parent", _snapshot(), _today(spend=[-1.0, 1.5, 150.0])).labels.tolist() == [UNASSIGNED, 4, 9]


@pytest.mark.parametrize("spend", [["150", "1.5", "none"], pd.Series(["150", "1.5", "none"], dtype="object")])
def test_a_column_that_has_become_text_is_read_as_numbers(spend: Any) -> None:
    """A numeric feature of then that is text today is read where it can be; other rows have no label."""
    assert by_model("parent", _snapshot(), _today(spend=spend)).labels.tolist() == [9, 4, UNASSIGNED]


def test_a_null_that_was_filled_then_is_filled_again() -> None:
    """An encoding that fills nulls labels rows with nulls."""
    filling = [FeatureSpec(column="spend", kind="numeric", missing="median")]
    snapshot = _snapshot(filling, pd.DataFrame({"spend": [1.0, 2.0, 3.0, 300.0]}))

    assert by_model("parent", snapshot, pd.DataFrame({"spend": [np.nan, 400.0]})).labels.tolist() == [4, 9]


def test_a_new_country_does_not_stop_the_old_model() -> None:
    """A category that the snapshot never saw is labelled by the other features."""
    assert by_model("parent", _snapshot(), _today(country=["🍣", "🍣", "UK"])).labels.tolist() == [9, 4, 4]


def test_columns_the_source_has_lost_are_named() -> None:
    """The columns that the old encoding reads and today's rows lack are named, in its order."""
    snapshot = _snapshot()

    assert missing_columns(snapshot, _today()) == []
    assert missing_columns(snapshot, _today().drop(columns=["country"])) == ["country"]
    assert missing_columns(snapshot, pd.DataFrame({"other": [1]})) == ["spend", "country"]


def test_a_date_where_the_old_encoding_reads_days_is_lacking() -> None:
    """A column of days then that is no feature today comes as dates, which say nothing without that as_of."""
    features = [*FEATURES, FeatureSpec(column="joined", kind="date")]
    snapshot = _snapshot(features, THEN.assign(joined=[1.0, 2.0, 50.0, 60.0]))

    assert missing_columns(snapshot, _today(joined=[55.0, 1.0, 2.0])) == []
    assert missing_columns(snapshot, _today(joined=pd.to_datetime(["2024-01-01"] * 3))) == ["joined"]


@pytest.mark.parametrize(
    ("known", "today"),
    [
        ([11, 12, 13], [13, 99, 11]),
        (["a", "b", "c"], ["c", "zz", "a"]),
        ([2**53, 2**53 + 1, 2**53 + 2], [2**53 + 2, 5, 2**53]),
    ],
)
@pytest.mark.parametrize("dtype", ["int64", "int32", "float64"])
def test_customers_keep_the_segment_they_had(known: list[Any], today: list[Any], dtype: str) -> None:
    """By history each customer is labelled by the own earlier segment, newcomers not at all."""
    history = pd.Series(np.array([4, 9, 9], dtype=dtype), index=pd.Index(known))

    reference = by_history("parent", _snapshot(), history, pd.Series(today), sizes={4: 1})

    assert reference.labels.tolist() == [9, UNASSIGNED, 4]
    assert reference.labels.dtype == np.int64
    assert (reference.segment_ids, reference.sizes) == ((4, 9), {4: 1})


def test_an_empty_history_says_nothing() -> None:
    """Without any earlier assignment nobody has a label."""
    reference = by_history("parent", _snapshot(), pd.Series([], dtype="int64"), pd.Series([1, 2]))

    assert reference.labels.tolist() == [UNASSIGNED, UNASSIGNED]
