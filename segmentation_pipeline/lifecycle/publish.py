"""Publishing a snapshot: history, target, status and pointer in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from segmentation_pipeline.errors import NotAcceptedError, ParentChangedError
from segmentation_pipeline.lifecycle.precedence import describe_changed_parent
from segmentation_pipeline.model.commands import approve_command
from segmentation_pipeline.model.receipts import PublicationReceipt
from segmentation_pipeline.storage.registry import assignments, decisions, scores, snapshots
from segmentation_pipeline.storage.registry.tables import name_assignment_table
from segmentation_pipeline.storage.warehouse.open import target_for

if TYPE_CHECKING:
    from segmentation_pipeline.model import SnapshotHeader
    from segmentation_pipeline.spec import PublishSpec
    from segmentation_pipeline.storage.registry.connection import Connection
    from segmentation_pipeline.storage.registry.snapshots import Ledger
    from segmentation_pipeline.storage.warehouse.base import WrittenSegments


@dataclass(frozen=True, slots=True)
class TargetChange:
    """What bringing the target to a snapshot did: what was written, and the absent customers who were emptied."""

    written: WrittenSegments
    cleared: int


def publish(
    connection: Connection, publish_spec: PublishSpec, name: str, snapshot_id: int, rows: assignments.Batches
) -> PublicationReceipt:
    """Publish one snapshot inside the open transaction; `rows` as `assignments.load` takes them.

    An older `as_of` than the current one writes history, not the target (rule 6). A snapshot that is published already
    is left as it is (rule 5).

    Raises:
        NotAcceptedError: its gates failed, it waits for a person, or it was replaced.
        ParentChangedError: its parent is no longer the latest earlier published snapshot.
        TargetError: the target cannot take the segments.
    """
    ledger = snapshots.lock(connection, name)
    snapshot = snapshots.find_header(connection, snapshot_id)
    if ledger is None or snapshot is None or snapshot.segmentation != name:
        message = f"{name} has no snapshot {snapshot_id}; materialize aligned_segments again"
        raise NotAcceptedError(message)
    if snapshot.status == "published":
        return PublicationReceipt(
            snapshot_id,
            already_published=True,
            became_current=ledger.current_snapshot_id == snapshot_id,
            changed=0,
            unchanged=0,
            not_in_target=0,
            not_in_source=0,
            cleared=0,
        )
    require_publishable(connection, snapshot)
    target_for(publish_spec, connection).check(key_type=ledger.key_type)
    assignments.load(connection, ledger, snapshot_id, rows)
    for other in snapshots.list_versions(connection, name, snapshot.partition):
        if other.status == "published":
            snapshots.set_status(connection, other.snapshot_id, "superseded")
    snapshots.set_status(connection, snapshot_id, "published")
    current = (
        snapshots.find_header(connection, ledger.current_snapshot_id)
        if ledger.current_snapshot_id is not None
        else None
    )
    if current is not None and current.as_of > snapshot.as_of:
        return PublicationReceipt(
            snapshot_id,
            already_published=False,
            became_current=False,
            changed=None,
            unchanged=None,
            not_in_target=None,
            not_in_source=None,
            cleared=None,
        )
    change = make_current(connection, publish_spec, ledger, snapshot_id)
    return PublicationReceipt(
        snapshot_id,
        already_published=False,
        became_current=True,
        changed=change.written.changed,
        unchanged=change.written.unchanged,
        not_in_target=change.written.not_in_target,
        not_in_source=change.written.absent,
        cleared=change.cleared,
        examples_not_in_target=change.written.examples_not_in_target,
    )


def make_current(connection: Connection, publish_spec: PublishSpec, ledger: Ledger, snapshot_id: int) -> TargetChange:
    """Move the pointer to a published snapshot, and bring the target to its segments; rows that agree stay untouched.

    What was scored by another snapshot is emptied.
    """
    snapshots.set_current(connection, ledger.name, snapshot_id)
    scores.clear_scores(connection, ledger.name)
    target, rows = target_for(publish_spec, connection), name_assignment_table(ledger.name, snapshot_id).as_string()
    written = target.write(rows, key=ledger.key_name)
    cleared = 0
    if publish_spec.absent == "clear" and written.absent:
        cleared = target.clear_absent(rows, key=ledger.key_name)
    return TargetChange(written, cleared)


def require_publishable(connection: Connection, snapshot: SnapshotHeader) -> None:
    """Require that a snapshot may be published: accepted, not replaced, and aligned with the present parent (rule 4).

    Raises:
        NotAcceptedError: its gates failed, it waits for a person, or it was replaced.
        ParentChangedError: its parent is no longer the latest earlier published snapshot.
    """
    _require_accepted(connection, snapshot)
    _require_not_replaced(connection, snapshot)
    if (problem := describe_changed_parent(connection, snapshot)) is not None:
        raise ParentChangedError(problem)


def describe_failed_gates(connection: Connection, snapshot_id: int) -> str | None:
    """Return which blocking gates of a snapshot failed, with their messages; None where all passed."""
    failed = [gate for gate in snapshots.read_gates(connection, snapshot_id) if gate.blocks]
    if not failed:
        return None
    return f"Its blocking gates failed: {'; '.join(f'{gate.name}: {gate.message}' for gate in failed)}"


def _require_accepted(connection: Connection, snapshot: SnapshotHeader) -> None:
    # the gates themselves, not the status alone: a status that was set past the code does not open them
    failed = describe_failed_gates(connection, snapshot.snapshot_id)
    approved = decisions.find_approval(connection, snapshot.snapshot_id) is not None
    if failed is None and (snapshot.status == "candidate" or (snapshot.status == "waiting" and approved)):
        return
    advice = {
        "candidate": failed,
        "rejected": failed or "Its blocking gates failed.",
        "waiting": failed or f"It waits for a person: {approve_command(snapshot.segmentation, snapshot.snapshot_id)}",
        "declined": "A person declined it; run the period again for a new version.",
        "superseded": "A newer version of this period was published.",
        "rolled_back": "It was rolled back; run the period again for a new version.",
    }[snapshot.status]
    message = f"{snapshot.label} is {snapshot.status} and is not published. {advice}"
    raise NotAcceptedError(message)


def _require_not_replaced(connection: Connection, snapshot: SnapshotHeader) -> None:
    for other in snapshots.list_versions(connection, snapshot.segmentation, snapshot.partition):
        if other.status == "published" and other.version > snapshot.version:
            message = (
                f"{snapshot.label} is not published: the newer version {other.version} is (snapshot "
                f"{other.snapshot_id}). Run the period again for another."
            )
            raise NotAcceptedError(message)
