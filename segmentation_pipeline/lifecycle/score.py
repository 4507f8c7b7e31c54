"""Scoring between two fits: new customers and those in another segment, in `<name>_scored` and in the target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from segmentation_pipeline.errors import FeaturesChangedError, ScoringError, SnapshotChangedError
from segmentation_pipeline.model.commands import run_command, score_command
from segmentation_pipeline.model.receipts import ScoringReceipt
from segmentation_pipeline.storage.registry import assignments, scores, snapshots
from segmentation_pipeline.storage.registry.rejected import clear_rejected, record_rejected
from segmentation_pipeline.storage.registry.tables import ensure_tables
from segmentation_pipeline.storage.warehouse.open import target_for

if TYPE_CHECKING:
    import pyarrow as pa

    from segmentation_pipeline.model import Reach, Snapshot
    from segmentation_pipeline.spec import PublishSpec, SegmentationSpec
    from segmentation_pipeline.steps.score import Scored
    from segmentation_pipeline.storage.registry.connection import Connection

# what `<name>_rejected` has in place of a period; only the rows of the latest scoring are kept
REJECTED_PARTITION: Final = "scored"


@dataclass(frozen=True, slots=True)
class ScoringModel:
    """What customers are scored by: the current snapshot, and how far its customers were from their segments."""

    ledger: snapshots.Ledger
    snapshot: Snapshot
    reaches: dict[int, Reach]
    n_unassigned: int


def read_scoring_model(connection: Connection, name: str, *, quantile: float) -> ScoringModel:
    """Return the current snapshot, with the `quantile` of the fit's distances in each segment.

    Raises:
        ScoringError: nothing was published yet.
    """
    ledger = snapshots.lock(connection, name)
    if ledger is None or ledger.current_snapshot_id is None:
        message = f"{name} has no published snapshot to score by. Publish one first: {run_command(name)}"
        raise ScoringError(message)
    snapshot = snapshots.find_snapshot(connection, ledger.current_snapshot_id)
    assert snapshot is not None  # noqa: S101  snapshots are never deleted
    reaches = assignments.read_reaches(connection, name, snapshot.snapshot_id, quantile=quantile)
    return ScoringModel(ledger, snapshot, reaches.by_segment, reaches.n_unassigned)


def require_same_key(name: str, ledger: snapshots.Ledger, *, key_name: str, key_type: str) -> None:
    """Refuse to score where the source returns another key than the one that the segmentation was registered with.

    Raises:
        FeaturesChangedError: name or type of the key changed.
    """
    then, now = (ledger.key_name, ledger.key_type), (key_name, key_type)
    if then != now:
        message = (
            f"the key of {name} is {then[0]} ({then[1]}), and now the source returns {now[0]} ({now[1]}). "
            "Nobody was scored. Cast the key in the query."
        )
        raise FeaturesChangedError(message)


def record_rejected_scores(
    connection: Connection, spec: SegmentationSpec, ledger: snapshots.Ledger, scored: Scored, *, run_id: str
) -> None:
    """Keep the rows that could not be scored, in place of those of the scoring before."""
    ensure_tables(connection, spec.name, key_name=ledger.key_name, key_type=ledger.key_type)
    clear_rejected(connection, spec.name, run_id=run_id, partition=REJECTED_PARTITION)
    record_rejected(
        connection,
        spec.name,
        run_id=run_id,
        partition=REJECTED_PARTITION,
        key=spec.source.key,
        rejected=scored.rejected,
        reasons=scored.reasons,
        store_rows=spec.store_rows,
    )


def write_scores(
    connection: Connection, publish: PublishSpec, name: str, snapshot_id: int, rows: pa.Table
) -> ScoringReceipt:
    """Write today's answers of a snapshot inside the open transaction; `rows` as `assignments.load` takes them.

    Only rows that differ are touched. A customer who is not among `rows` keeps the segment, whatever `publish.absent`
    says: only a fit decides about absent customers.

    Raises:
        SnapshotChangedError: another snapshot became current since the labels were computed.
        TargetError: the target cannot take the segments.
    """
    ledger = snapshots.lock(connection, name)
    if ledger is None or ledger.current_snapshot_id != snapshot_id:
        now = ledger.current_snapshot_id if ledger is not None else None
        message = (
            f"the customers of {name} were scored by snapshot {snapshot_id}, and now snapshot {now} is the current "
            f"one: nothing was written. Score again: {score_command(name)}"
        )
        raise SnapshotChangedError(message)
    target = target_for(publish, connection)
    target.check(key_type=ledger.key_type)
    ensure_tables(connection, name, key_name=ledger.key_name, key_type=ledger.key_type)
    kept = scores.write_scores(connection, ledger, snapshot_id, rows)
    in_target = target.write(scores.TODAY.as_string(), key=ledger.key_name)
    return ScoringReceipt(
        snapshot_id,
        scored=rows.num_rows,
        unassigned=rows.column("segment_id").null_count,
        new=rows.num_rows - kept.known,
        moved=kept.moved,
        written=kept.written,
        changed=in_target.changed,
        unchanged=in_target.unchanged,
        not_in_target=in_target.not_in_target,
        kept=in_target.absent,
        examples_not_in_target=in_target.examples_not_in_target,
    )
