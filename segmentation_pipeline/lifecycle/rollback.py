"""Making an earlier snapshot current again: history, target, statuses and pointer in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segmentation_pipeline.errors import DecisionRefusedError
from segmentation_pipeline.lifecycle.decide import record_decision, require_snapshot, set_declined
from segmentation_pipeline.lifecycle.publish import make_current
from segmentation_pipeline.model.commands import run_command
from segmentation_pipeline.model.receipts import RollbackReceipt
from segmentation_pipeline.model.snapshot import SEEN
from segmentation_pipeline.storage.registry import assignments, snapshots
from segmentation_pipeline.storage.warehouse.open import target_for

if TYPE_CHECKING:
    from segmentation_pipeline.model import SnapshotHeader
    from segmentation_pipeline.spec import PublishSpec
    from segmentation_pipeline.storage.registry.connection import Connection


def rollback(
    connection: Connection, publish: PublishSpec, name: str, snapshot_id: int, *, who: str, reason: str | None
) -> RollbackReceipt:
    """Make a snapshot current again inside the open transaction (rule 11).

    A snapshot that is newer by (as_of, version) is marked as `rolled_back` where it was published, and declined where
    it waited.

    Raises:
        DecisionRefusedError: the snapshot was never published, is current, or its assignments are gone.
        TargetError: the target cannot take the segments.
    """
    restored = require_snapshot(connection, name, snapshot_id)
    ledger = snapshots.lock(connection, name)
    assert ledger is not None  # noqa: S101  a segmentation that has a snapshot is registered
    _require_restorable(connection, restored, current=ledger.current_snapshot_id)
    target_for(publish, connection).check(key_type=ledger.key_type)
    newer = [
        snapshot
        for snapshot in snapshots.list_snapshots(connection, name)
        if (snapshot.as_of, snapshot.version) > (restored.as_of, restored.version)
    ]
    rolled_back = [snapshot.snapshot_id for snapshot in newer if snapshot.status == "published"]
    declined = [snapshot.snapshot_id for snapshot in newer if snapshot.status == "waiting"]
    for newer_id in rolled_back:
        snapshots.set_status(connection, newer_id, "rolled_back")
    why = f"rolled back to {restored.label}" + (f": {reason}" if reason else "")
    for newer_id in declined:
        set_declined(connection, newer_id, who=who, reason=why)
    if restored.status != "published":
        snapshots.set_status(connection, snapshot_id, "published")
    change = make_current(connection, publish.model_copy(update={"absent": "clear"}), ledger, snapshot_id)
    record_decision(connection, snapshot_id, "rollback", who=who, reason=reason)
    return RollbackReceipt(
        snapshot_id,
        restored.partition,
        changed=change.written.changed,
        unchanged=change.written.unchanged,
        emptied=change.cleared,
        not_in_target=change.written.not_in_target,
        rolled_back=tuple(rolled_back),
        declined=tuple(declined),
    )


def _require_restorable(connection: Connection, snapshot: SnapshotHeader, *, current: int | None) -> None:
    again = run_command(snapshot.segmentation, snapshot.partition)
    if snapshot.snapshot_id == current:
        message = f"{snapshot.label} is the current one already; there is nothing to roll back"
        raise DecisionRefusedError(message)
    if snapshot.status not in SEEN:
        message = (
            f"{snapshot.label} is {snapshot.status}; only a snapshot that was published and not rolled back can be "
            f"made current again. For a new version:  {again}"
        )
        raise DecisionRefusedError(message)
    if not assignments.has_assignments(connection, snapshot.segmentation, snapshot.snapshot_id):
        message = (
            f"the customers of {snapshot.label} are gone (retention.assignments), so it cannot be made current again. "
            f"Run the period again:  {again}"
        )
        raise DecisionRefusedError(message)
