"""A person's decisions about snapshots that wait for one: approve, decline, and what waits for the decision.

Every function takes the connection of an open transaction. Those that decide lock the segmentation first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from segmentation_pipeline.errors import DecisionPendingError, DecisionRefusedError
from segmentation_pipeline.lifecycle.precedence import describe_changed_parent
from segmentation_pipeline.lifecycle.publish import describe_failed_gates
from segmentation_pipeline.model.commands import (
    approve_command,
    decline_command,
    rollback_command,
    run_command,
    status_command,
)
from segmentation_pipeline.storage.registry import decisions, snapshots

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segmentation_pipeline.model import Decision, Period, Snapshot, SnapshotHeader
    from segmentation_pipeline.model.decision import Action
    from segmentation_pipeline.storage.registry.connection import Connection


@dataclass(frozen=True, slots=True)
class ApprovedSnapshot:
    """An approved snapshot; `already`: it had been approved before, and only its publication is missing."""

    snapshot: SnapshotHeader
    decision: Decision
    already: bool


def approve(connection: Connection, name: str, snapshot_id: int, *, who: str, reason: str | None) -> ApprovedSnapshot:
    """Approve a waiting snapshot; its publication, which is a run of its own, then sets it to published.

    Approving again before that changes nothing, so that a publication that did not happen can be launched again.

    Raises:
        DecisionRefusedError: it does not wait, was replaced, or was aligned with a snapshot that is no longer its
            parent.
    """
    snapshot = _require_waiting(connection, name, snapshot_id, participle="approved")
    for other in snapshots.list_versions(connection, name, snapshot.partition):
        if other.version > snapshot.version and other.status != "rejected":
            message = (
                f"{snapshot.label} is not the newest: version {other.version} (snapshot {other.snapshot_id}) is "
                f"{other.status}. Decide about that one."
            )
            raise DecisionRefusedError(message)
    if (problem := describe_changed_parent(connection, snapshot)) is not None:
        raise DecisionRefusedError(problem)
    before = decisions.find_approval(connection, snapshot_id)
    if before is not None:
        return ApprovedSnapshot(snapshot, before, already=True)
    decision = record_decision(connection, snapshot_id, "approve", who=who, reason=reason)
    return ApprovedSnapshot(snapshot, decision, already=False)


def decline(connection: Connection, name: str, snapshot_id: int, *, who: str, reason: str | None) -> SnapshotHeader:
    """Decline a waiting snapshot, so that it is not published, and return it as it is now.

    Raises:
        DecisionRefusedError: it does not wait.
    """
    snapshot = _require_waiting(connection, name, snapshot_id, participle="declined")
    set_declined(connection, snapshot_id, who=who, reason=reason)
    return snapshots.find_header(connection, snapshot_id) or snapshot


def set_declined(connection: Connection, snapshot_id: int, *, who: str, reason: str | None) -> None:
    """Set a waiting snapshot to declined, with its decision; the caller holds the lock."""
    record_decision(connection, snapshot_id, "decline", who=who, reason=reason)
    snapshots.set_status(connection, snapshot_id, "declined")


def replace_waiting(connection: Connection, name: str, partition: str, *, by: int, who: str) -> None:
    """Decline the waiting snapshots of a partition in favour of the newer version `by`."""
    newer = _require_own(connection, name, by)
    for other in snapshots.list_waiting(connection, name):
        if other.partition == partition and other.snapshot_id != by:
            set_declined(connection, other.snapshot_id, who=who, reason=f"replaced by version {newer.version}")


def record_decision(
    connection: Connection, snapshot_id: int, action: Action, *, who: str, reason: str | None
) -> Decision:
    """Keep a decision with the name of the person who made it.

    Raises:
        DecisionRefusedError: there is no name.
    """
    if not who.strip():
        message = "`who` is empty; a decision is kept with the name of the person who made it"
        raise DecisionRefusedError(message)
    return decisions.record_decision(
        connection, snapshot_id, action, who=who.strip(), reason=(reason or "").strip() or None
    )


def require_none_pending(connection: Connection, name: str, period: Period) -> None:
    """Require that no snapshot of an earlier partition waits: else a new segment could get two ids (rule 10).

    Raises:
        DecisionPendingError: one waits; the message names it, its reasons and the commands.
    """
    waiting = snapshots.list_waiting(connection, name)
    pending = next((snapshot for snapshot in waiting if snapshot.as_of < period.as_of), None)
    if pending is None:
        return
    if (decision := decisions.find_approval(connection, pending.snapshot_id)) is not None:
        message = (
            f"{pending.label} was approved by {decision.who} and is not published yet, so {period.partition} cannot "
            f"be aligned. Publish it:  {approve_command(name, pending.snapshot_id)}"
        )
        raise DecisionPendingError(message)
    raise DecisionPendingError(describe_waiting(pending, consequence=f"so {period.partition} cannot be aligned"))


def find_undecided(connection: Connection, snapshot_id: int) -> Snapshot | None:
    """Return the snapshot if it waits and nobody has approved it yet; None if its publication may go on."""
    snapshot = snapshots.find_snapshot(connection, snapshot_id)
    if snapshot is None or snapshot.status != "waiting":
        return None
    return snapshot if decisions.find_approval(connection, snapshot_id) is None else None


def describe_waiting(snapshot: Snapshot, *, consequence: str = "") -> str:
    """Return that a snapshot waits, what follows from that, why it waits, and the commands that decide."""
    choice = describe_choice(snapshot.segmentation, snapshot.snapshot_id, snapshot.metrics.reasons_to_wait)
    return f"{snapshot.label} waits for a person{f', {consequence}' if consequence else ''}: {choice}"


def describe_choice(name: str, snapshot_id: int, reasons: Sequence[str]) -> str:
    """Return the reasons why a snapshot waits, and the two commands that decide about it."""
    approve_it, decline_it = approve_command(name, snapshot_id), decline_command(name, snapshot_id)
    return f"{'; '.join(reasons)}. Decide:  {approve_it}  or  {decline_it}"


def require_snapshot(connection: Connection, name: str, snapshot_id: int) -> SnapshotHeader:
    """Lock the segmentation and return the snapshot that a person named.

    Raises:
        DecisionRefusedError: there is no such snapshot, or it is another segmentation's.
    """
    snapshots.lock(connection, name)
    return _require_own(connection, name, snapshot_id)


def _require_own(connection: Connection, name: str, snapshot_id: int) -> SnapshotHeader:
    snapshot = snapshots.find_header(connection, snapshot_id)
    if snapshot is None:
        message = f"{name} has no snapshot {snapshot_id}; `{status_command(name)}` lists them"
        raise DecisionRefusedError(message)
    if snapshot.segmentation != name:
        message = (
            f"snapshot {snapshot_id} is of {snapshot.segmentation}; `{status_command(name)}` lists those of {name}"
        )
        raise DecisionRefusedError(message)
    return snapshot


def _require_waiting(connection: Connection, name: str, snapshot_id: int, *, participle: str) -> SnapshotHeader:
    snapshot = require_snapshot(connection, name, snapshot_id)
    if snapshot.status == "waiting":
        return snapshot
    again = f"For a new version:  {run_command(name, snapshot.partition)}"
    advice = {
        "candidate": f"It does not wait for a person: a run publishes it by itself. {again}",
        "rejected": f"{describe_failed_gates(connection, snapshot_id)}. {again}",
        "published": f"To undo it, make an earlier one current:  {rollback_command(name)}",
        "declined": f"{_describe_decline(connection, snapshot_id)}. {again}",
        "superseded": "A newer version of its partition was published.",
        "rolled_back": again,
    }[snapshot.status]
    message = f"{snapshot.label} is {snapshot.status}, so it cannot be {participle}. {advice}"
    raise DecisionRefusedError(message)


def _describe_decline(connection: Connection, snapshot_id: int) -> str:
    made = decisions.list_decisions_about(connection, snapshot_id)
    decision = next((decision for decision in made if decision.action == "decline"), None)
    if decision is None:
        return "It is not noted who declined it"
    why = f" ({decision.reason})" if decision.reason else ""
    return f"{decision.who} declined it on {decision.at:%Y-%m-%d}{why}"
