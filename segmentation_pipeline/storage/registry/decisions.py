"""What people decide about snapshots that wait for them; each decision is kept with who, when and why.

Every function takes the connection of an open transaction. Those that decide lock the segmentation first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import sqlalchemy as sa

from segmentation_pipeline.errors import DecisionPendingError, DecisionRefusedError
from segmentation_pipeline.model.commands import (
    approve_command,
    decline_command,
    rollback_command,
    run_command,
    status_command,
)
from segmentation_pipeline.storage.registry import schema, snapshots

if TYPE_CHECKING:
    from datetime import datetime

    from segmentation_pipeline.model import Period, Snapshot

Action = Literal["approve", "decline", "rollback"]
_SNAPSHOT = schema.snapshot.c


@dataclass(frozen=True, slots=True)
class Decision:
    """Who did what to a snapshot, when and why."""

    snapshot_id: int
    action: Action
    who: str
    at: datetime
    reason: str | None


@dataclass(frozen=True, slots=True)
class Approved:
    """An approved snapshot; `already`: it had been approved before and only its publication is missing."""

    snapshot: Snapshot
    decision: Decision
    already: bool


def label(snapshot: Snapshot) -> str:
    """A snapshot as messages name it."""
    return f"snapshot {snapshot.snapshot_id} ({snapshot.partition} v{snapshot.version})"


def reasons_of(snapshot: Snapshot) -> list[str]:
    """Why a person must look at it."""
    return list(snapshot.metrics.get("approval", ()))


def require_none_pending(connection: sa.Connection, name: str, period: Period) -> None:
    """See that no snapshot of an earlier partition waits (rule 10): a newcomer would get two ids.

    Raises:
        DecisionPendingError: one does; the message names it, its reasons and the commands.
    """
    pending = next((each for each in list_waiting(connection, name) if each.as_of < period.as_of), None)
    if pending is None:
        return
    approve_it = approve_command(name, pending.snapshot_id)
    if (decision := find_approval(connection, pending.snapshot_id)) is not None:
        message = (
            f"{label(pending)} was approved by {decision.who} and is not published yet, so {period.partition} cannot "
            f"be aligned. Publish it:  {approve_it}"
        )
        raise DecisionPendingError(message)
    message = (
        f"{label(pending)} waits for a person, so {period.partition} cannot be aligned: "
        f"{'; '.join(reasons_of(pending))}. Decide:  {approve_it}  or  "
        f"{decline_command(name, pending.snapshot_id)}"
    )
    raise DecisionPendingError(message)


def replace_waiting(connection: sa.Connection, name: str, partition: str, *, by: int, who: str) -> None:
    """Decline the waiting snapshots of a partition in favour of the newer version `by`."""
    newer = _mine(connection, name, by)
    for other in list_waiting(connection, name):
        if other.partition == partition and other.snapshot_id != by:
            decline_one(connection, other.snapshot_id, who=who, reason=f"replaced by version {newer.version}")


def approve(connection: sa.Connection, name: str, snapshot_id: int, *, who: str, reason: str | None) -> Approved:
    """Say that a waiting snapshot may be published; the publication itself sets it to published.

    Approving again before that changes nothing, so that a publication that did not happen can be launched again.

    Raises:
        DecisionRefusedError: it does not wait, was replaced, or was aligned with what is no longer its parent.
    """
    snapshot = _waiting(connection, name, snapshot_id, doing="approved")
    for other in snapshots.list_versions(connection, name, snapshot.partition):
        if other.version > snapshot.version and other.status != "rejected":
            message = (
                f"{label(snapshot)} is not the newest: version {other.version} (snapshot {other.snapshot_id}) is "
                f"{other.status}. Decide about that one."
            )
            raise DecisionRefusedError(message)
    parent = snapshots.find_parent(connection, name, snapshot.as_of)
    if (now := parent.snapshot_id if parent is not None else None) != snapshot.parent_snapshot_id:
        message = (
            f"{label(snapshot)} was aligned with the parent {snapshot.parent_snapshot_id}, and the parent is now {now}."
            f" Run the partition again:  {run_command(name, snapshot.partition)}"
        )
        raise DecisionRefusedError(message)
    before = find_approval(connection, snapshot_id)
    if before is not None:
        return Approved(snapshot, before, already=True)
    return Approved(snapshot, _write(connection, snapshot_id, "approve", who=who, reason=reason), already=False)


def decline(connection: sa.Connection, name: str, snapshot_id: int, *, who: str, reason: str | None) -> Snapshot:
    """Say that a waiting snapshot is not published; gives it as it is now.

    Raises:
        DecisionRefusedError: it does not wait.
    """
    snapshot = _waiting(connection, name, snapshot_id, doing="declined")
    decline_one(connection, snapshot_id, who=who, reason=reason)
    return snapshots.find_snapshot(connection, snapshot_id) or snapshot


def decline_one(connection: sa.Connection, snapshot_id: int, *, who: str, reason: str | None) -> None:
    """Set a waiting snapshot to declined, with its decision; the caller holds the lock."""
    _write(connection, snapshot_id, "decline", who=who, reason=reason)
    snapshots.set_status(connection, snapshot_id, "declined")


def record_rollback(connection: sa.Connection, snapshot_id: int, *, who: str, reason: str | None) -> Decision:
    """Note who made a snapshot current again."""
    return _write(connection, snapshot_id, "rollback", who=who, reason=reason)


def list_waiting(connection: sa.Connection, name: str) -> list[Snapshot]:
    """The snapshots that wait for a person, the earliest first."""
    return [each for each in snapshots.list_snapshots(connection, name) if each.status == "waiting"]


def find_approval(connection: sa.Connection, snapshot_id: int) -> Decision | None:
    """The decision that approved a snapshot, if there is one."""
    return next((each for each in _decisions(connection, snapshot_id) if each.action == "approve"), None)


def list_decisions(connection: sa.Connection, name: str) -> list[Decision]:
    """All decisions about a segmentation's snapshots, in order of time."""
    mine = sa.select(_SNAPSHOT.snapshot_id).where(_SNAPSHOT.segmentation == name)
    return _decisions(connection, mine)


def require_snapshot(connection: sa.Connection, name: str, snapshot_id: int) -> Snapshot:
    """The snapshot that a person named, with the segmentation locked.

    Raises:
        DecisionRefusedError: there is no such snapshot, or it is another segmentation's.
    """
    snapshots.lock(connection, name)
    return _mine(connection, name, snapshot_id)


def _mine(connection: sa.Connection, name: str, snapshot_id: int) -> Snapshot:
    snapshot = snapshots.find_snapshot(connection, snapshot_id)
    if snapshot is None:
        message = f"{name} has no snapshot {snapshot_id}; `{status_command(name)}` lists them"
        raise DecisionRefusedError(message)
    if snapshot.segmentation != name:
        message = (
            f"snapshot {snapshot_id} is of {snapshot.segmentation}; `{status_command(name)}` lists those of {name}"
        )
        raise DecisionRefusedError(message)
    return snapshot


def _waiting(connection: sa.Connection, name: str, snapshot_id: int, *, doing: str) -> Snapshot:
    snapshot = require_snapshot(connection, name, snapshot_id)
    if snapshot.status == "waiting":
        return snapshot
    again = f"For a new version:  {run_command(name, snapshot.partition)}"
    advice = {
        "candidate": "It waits for nobody: a run publishes it by itself. " + again,
        "rejected": f"Its blocking gates failed: {'; '.join(snapshots.failed_gates(connection, snapshot_id))}. {again}",
        "published": f"To undo it, make an earlier one current:  {rollback_command(name)}",
        "declined": f"{_declined_by(connection, snapshot_id)}. {again}",
        "superseded": "A newer version of its partition was published.",
        "rolled_back": again,
    }[snapshot.status]
    message = f"{label(snapshot)} is {snapshot.status}, so it cannot be {doing}. {advice}"
    raise DecisionRefusedError(message)


def _declined_by(connection: sa.Connection, snapshot_id: int) -> str:
    decision = next((each for each in _decisions(connection, snapshot_id) if each.action == "decline"), None)
    if decision is None:
        return "Nobody noted who declined it"
    why = f" ({decision.reason})" if decision.reason else ""
    return f"{decision.who} declined it on {decision.at:%Y-%m-%d}{why}"


def _write(connection: sa.Connection, snapshot_id: int, action: Action, *, who: str, reason: str | None) -> Decision:
    if not who.strip():
        message = "`who` is empty; a decision is kept with the name of the person who made it"
        raise DecisionRefusedError(message)
    row = connection.execute(
        sa.insert(schema.decision)
        .values(
            snapshot_id=snapshot_id,
            action=action,
            who=who.strip(),
            at=sa.func.clock_timestamp(),
            reason=(reason or "").strip() or None,
        )
        .returning(*[schema.decision.c[field] for field in Decision.__dataclass_fields__])
    ).one()
    return Decision(**row._mapping)


def _decisions(connection: sa.Connection, which: int | sa.Select[tuple[int]]) -> list[Decision]:
    ids = sa.select(sa.literal(which)) if isinstance(which, int) else which
    rows = connection.execute(
        sa.select(*[schema.decision.c[field] for field in Decision.__dataclass_fields__])
        .where(schema.decision.c.snapshot_id.in_(ids))
        .order_by(schema.decision.c.decision_id)
    )
    return [Decision(**row._mapping) for row in rows]
