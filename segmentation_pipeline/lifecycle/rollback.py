"""Making an earlier snapshot current again: history, target, statuses and pointer in one transaction."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from segmentation_pipeline.errors import DecisionRefusedError
from segmentation_pipeline.lifecycle.publish import rewrite_target
from segmentation_pipeline.model.commands import run_command
from segmentation_pipeline.storage.registry import assignments, decisions, snapshots
from segmentation_pipeline.storage.registry.decisions import label
from segmentation_pipeline.storage.warehouse.postgres import target

if TYPE_CHECKING:
    from segmentation_pipeline.model import Json, Snapshot
    from segmentation_pipeline.spec import PublishSpec


@dataclass(frozen=True, slots=True)
class RollbackReceipt:
    """What a rollback did. `emptied` are the target's customers whom the restored snapshot does not know."""

    snapshot_id: int
    partition: str
    changed: int
    unchanged: int
    emptied: int
    not_in_target: int
    rolled_back: tuple[int, ...]
    declined: tuple[int, ...]

    def to_json(self) -> Json:
        """Give plain values for the UI."""
        return {**asdict(self), "rolled_back": list(self.rolled_back), "declined": list(self.declined)}


def rollback(
    connection: sa.Connection, publish: PublishSpec, name: str, snapshot_id: int, *, who: str, reason: str | None
) -> RollbackReceipt:
    """Make a snapshot current again inside the open transaction (rule 11).

    What is newer by (as_of, version) is `rolled_back` where it was published and declined where it waited.

    Raises:
        DecisionRefusedError: the snapshot was never published, is current, or its assignments are gone.
        TargetError: the target cannot take the segments.
    """
    restored = decisions.require_snapshot(connection, name, snapshot_id)
    ledger = snapshots.lock(connection, name)
    assert ledger is not None  # noqa: S101  who has a snapshot is registered
    _require_restorable(connection, restored, current=ledger.current_snapshot_id)
    target.check_target(connection, publish, key_type=ledger.key_type)
    newer = [
        each
        for each in snapshots.list_snapshots(connection, name)
        if (each.as_of, each.version) > (restored.as_of, restored.version)
    ]
    rolled_back = [each.snapshot_id for each in newer if each.status == "published"]
    declined = [each.snapshot_id for each in newer if each.status == "waiting"]
    for each in rolled_back:
        snapshots.set_status(connection, each, "rolled_back")
    why = f"rolled back to {label(restored)}" + (f": {reason}" if reason else "")
    for each in declined:
        decisions.decline_one(connection, each, who=who, reason=why)
    if restored.status != "published":
        snapshots.set_status(connection, snapshot_id, "published")
    snapshots.set_current(connection, name, snapshot_id)
    assignments.forget_scores(connection, name)
    receipt = rewrite_target(
        connection,
        publish.model_copy(update={"absent": "clear"}),
        ledger.key_name,
        assignments.assignment_table(name, snapshot_id),
        snapshot_id,
    )
    decisions.record_rollback(connection, snapshot_id, who=who, reason=reason)
    return RollbackReceipt(
        snapshot_id,
        restored.partition,
        changed=receipt.changed,
        unchanged=receipt.unchanged,
        emptied=receipt.cleared,
        not_in_target=receipt.not_in_target,
        rolled_back=tuple(rolled_back),
        declined=tuple(declined),
    )


def _require_restorable(connection: sa.Connection, snapshot: Snapshot, *, current: int | None) -> None:
    if snapshot.snapshot_id == current:
        message = f"{label(snapshot)} is the current one already; there is nothing to roll back"
        raise DecisionRefusedError(message)
    if snapshot.status not in {"published", "superseded"}:
        message = (
            f"{label(snapshot)} is {snapshot.status}; only what was published and not rolled back can be made current "
            f"again. For a new version:  {run_command(snapshot.segmentation, snapshot.partition)}"
        )
        raise DecisionRefusedError(message)
    table = assignments.assignment_table(snapshot.segmentation, snapshot.snapshot_id)
    if connection.scalar(sa.text("SELECT to_regclass(:table)"), {"table": table.as_string()}) is None:
        message = (
            f"the customers of {label(snapshot)} are gone (retention.assignments), so it cannot be made current again. "
            f"Run the partition again:  {run_command(snapshot.segmentation, snapshot.partition)}"
        )
        raise DecisionRefusedError(message)
