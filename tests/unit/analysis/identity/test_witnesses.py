"""What an earlier model, or the history, says about today's customers."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from segmentation_pipeline.analysis.clustering.labelling import assign
from segmentation_pipeline.analysis.features.encoding import fit_encoding, transform
from segmentation_pipeline.analysis.identity.evidence import Reference
from segmentation_pipeline.analysis.identity.overlap import Overlap
from segmentation_pipeline.analysis.identity.witnesses import (
    EarlierCustomers,
    consult,
    find_missing_columns,
    look_up_segments,
)
from segmentation_pipeline.model import UNASSIGNED, EarlierSnapshot, FittedModel, Snapshot, SnapshotMetrics, Through
from segmentation_pipeline.spec import FeatureSpec

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
        metrics=SnapshotMetrics(), encoding=encoding, model=FittedModel("kmeans", centers, labels),
        created_at=datetime(2024, 2, 1, tzinfo=UTC),
    )  # fmt: skip


def _today(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"spend": [150.0, 1.5, 3.0], "country": ["DE", "UK", "UK"]} | columns)


def _consult(
    snapshot: Snapshot,
    frame: pd.DataFrame,
    *,
    ids: tuple[int, ...] = (4, 9),
    keys: Any = None,
    history: pd.Series | None = None,
    through: Through = "parent",
) -> Reference:
    """The snapshot's opinion, where each row of today is a cluster of its own."""
    customers = pd.Series(range(len(frame)) if keys is None else keys)
    earlier = EarlierCustomers(
        EarlierSnapshot(through, snapshot, ids, {4: 2, 9: 2}),
        lambda: look_up_segments(history, customers) if history is not None else None,
    )
    return consult(earlier, frame, np.arange(len(frame)), k=len(frame))


def _read(overlap: Overlap | None) -> list[int]:
    """The segment of each row, where each row is a cluster of its own."""
    assert overlap is not None
    assert overlap.counts.sum(axis=1).tolist() == overlap.cluster_sizes.tolist()
    return [overlap.segment_ids[row.argmax()] if row.any() else UNASSIGNED for row in overlap.counts]


def _labels(snapshot: Snapshot, frame: pd.DataFrame) -> list[int]:
    return _read(_consult(snapshot, frame).by_model)


def test_todays_customers_are_labelled_by_the_saved_model() -> None:
    """Each row of today gets its segment by the snapshot's own encoding and prototypes."""
    reference = _consult(_snapshot(), _today())

    assert _read(reference.by_model) == [9, 4, 4]
    assert reference.by_history is None
    assert (reference.through, reference.segment_ids, reference.sizes) == ("parent", (4, 9), {4: 2, 9: 2})


def test_the_rows_of_then_are_labelled_as_they_were_then() -> None:
    """One model, one answer: the snapshot's own rows get the labels they had."""
    snapshot = _snapshot()
    matrix = transform(THEN, fit_encoding(THEN, FEATURES)).matrix

    assert _labels(snapshot, THEN) == assign(matrix, snapshot.model).labels.tolist()


def test_a_retired_segments_snapshot_passes_on_that_segment_only() -> None:
    """The ids a reference may pass on can be named; the labels stay what the model says."""
    reference = _consult(_snapshot(), _today(), ids=(9,))

    assert (reference.segment_ids, reference.all_segment_ids) == ((9,), (4, 9))
    assert _read(reference.by_model) == [9, 4, 4]


def test_rows_the_old_encoding_cannot_take_have_no_opinion() -> None:
    """A null or a value outside the old transform's domain leaves its row without a label, and without a warning."""
    assert _labels(_snapshot(), _today(spend=[np.nan, 1.5, -3.0])) == [UNASSIGNED, 4, UNASSIGNED]


def test_a_value_at_the_edge_of_the_old_transform_has_no_opinion() -> None:
    """log1p of -1 is minus infinity: such a row is left out as well."""
    assert _labels(_snapshot(), _today(spend=[-1.0, 1.5, 150.0])) == [UNASSIGNED, 4, 9]


@pytest.mark.parametrize("spend", [["150", "1.5", "none"], pd.Series(["150", "1.5", "none"], dtype="object")])
def test_a_column_that_has_become_text_is_read_as_numbers(spend: Any) -> None:
    """A numeric feature of then that is text today is read where it can be; other rows have no label."""
    assert _labels(_snapshot(), _today(spend=spend)) == [9, 4, UNASSIGNED]


def test_a_null_that_was_filled_then_is_filled_again() -> None:
    """An encoding that fills nulls labels rows with nulls."""
    filling = [FeatureSpec(column="spend", kind="numeric", missing="median")]
    snapshot = _snapshot(filling, pd.DataFrame({"spend": [1.0, 2.0, 3.0, 300.0]}))

    assert _labels(snapshot, pd.DataFrame({"spend": [np.nan, 400.0]})) == [4, 9]


def test_a_new_country_does_not_stop_the_old_model() -> None:
    """A category that the snapshot never saw is labelled by the other features."""
    assert _labels(_snapshot(), _today(country=["🍣", "🍣", "UK"])) == [9, 4, 4]


def test_columns_the_source_has_lost_are_named() -> None:
    """The columns that the old encoding reads and today's rows lack are named, in its order."""
    snapshot = _snapshot()

    assert find_missing_columns(snapshot, _today()) == []
    assert find_missing_columns(snapshot, _today().drop(columns=["country"])) == ["country"]
    assert find_missing_columns(snapshot, pd.DataFrame({"other": [1]})) == ["spend", "country"]


def test_a_date_where_the_old_encoding_reads_days_is_lacking() -> None:
    """A column of days then that is not a feature today comes as dates, which mean nothing without that as_of."""
    features = [*FEATURES, FeatureSpec(column="joined", kind="date")]
    snapshot = _snapshot(features, THEN.assign(joined=[1.0, 2.0, 50.0, 60.0]))

    assert find_missing_columns(snapshot, _today(joined=[55.0, 1.0, 2.0])) == []
    assert find_missing_columns(snapshot, _today(joined=pd.to_datetime(["2024-01-01"] * 3))) == ["joined"]


def test_no_column_is_read_whole_to_know_whether_it_can_be_encoded() -> None:
    """Numbers and categories can always be encoded: looking for lacking columns must not load a large table."""

    class Table:
        columns = ("spend", "country")

        def __getitem__(self, column: str) -> pd.Series:
            raise AssertionError(f"{column} was read")

    assert find_missing_columns(_snapshot(), Table()) == []  # type: ignore[arg-type]


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
    """The history labels each customer with his own earlier segment, and newcomers not at all."""
    history = pd.Series(np.array([4, 9, 9], dtype=dtype), index=pd.Index(known))

    reference = _consult(_snapshot(), _today(), keys=today, history=history)

    assert _read(reference.by_history) == [9, UNASSIGNED, 4]
    assert look_up_segments(history, pd.Series(today)).dtype == np.int32


def test_the_history_is_the_only_witness_where_a_feature_is_gone() -> None:
    """Without a column of the old encoding its model and the place have no opinion."""
    history = pd.Series([4, 9], index=[0, 1])

    reference = _consult(_snapshot(), _today().drop(columns=["country"]), history=history)

    assert reference.by_model is None
    assert reference.likeness is None
    assert _read(reference.by_history) == [4, 9, UNASSIGNED]


def test_a_model_with_several_prototypes_of_a_segment_sees_no_places() -> None:
    """Two prototypes of one segment label the rows, and there is no likeness by place."""
    reference = _consult(_snapshot(labels=(4, 4)), _today(), ids=(4, 9))

    assert _read(reference.by_model) == [4, 4, 4]
    assert reference.likeness is None


def test_only_the_parent_counts_who_moved() -> None:
    """Moves by history and by the parent's model are counted for the parent, not for other snapshots."""
    history = pd.Series([9, 9, 4], index=[0, 1, 2])
    moves = _consult(_snapshot(), _today(), history=history).moves

    assert moves is not None
    assert dict(moves.customers) == {(9, 0): 1, (9, 1): 1, (4, 2): 1}
    assert moves.moved == {(9, 1): 1}
    assert _consult(_snapshot(), _today(), history=history, through="retired").moves is None


def test_an_empty_history_says_nothing() -> None:
    """Without any earlier assignment no customer has a label."""
    reference = _consult(_snapshot(), _today(), history=pd.Series([], dtype="int64"))

    assert _read(reference.by_history) == [UNASSIGNED] * 3
