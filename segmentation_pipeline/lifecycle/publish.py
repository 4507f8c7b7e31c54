"""Publishing a snapshot: history, target, status and pointer in one transaction."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from psycopg import sql

from segmentation_pipeline.errors import NotAcceptedError, ParentChangedError
from segmentation_pipeline.model.commands import approve_command, run_command
from segmentation_pipeline.storage.registry import assignments, decisions, snapshots
from segmentation_pipeline.storage.warehouse.postgres.connection import get_driver_connection
from segmentation_pipeline.storage.warehouse.postgres.target import check_target
from segmentation_pipeline.storage.warehouse.postgres.write import target_parts, write_segments

if TYPE_CHECKING:
    import sqlalchemy as sa

    from segmentation_pipeline.model import Json, Snapshot
    from segmentation_pipeline.spec import PublishSpec


@dataclass(frozen=True, slots=True)
class PublicationReceipt:
    """What a publication did. The counts are of target rows; -1 where the target was left alone."""

    snapshot_id: int
    already_published: bool
    became_current: bool
    changed: int
    unchanged: int
    not_in_target: int
    not_in_source: int
    cleared: int
    examples_not_in_target: tuple[str, ...] = ()

    def to_json(self) -> Json:
        """Give plain values for the artifact and the UI."""
        return {**asdict(self), "examples_not_in_target": list(self.examples_not_in_target)}


def publish(
    connection: sa.Connection, publish_spec: PublishSpec, name: str, snapshot_id: int, rows: assignments.Batches
) -> PublicationReceipt:
    """Publish one snapshot inside the open transaction; `rows` as `assignments.load` takes them.

    An older `as_of` than the current one writes history, not the target. What is published already is left as it is.

    Raises:
        NotAcceptedError: its gates failed, it waits for a person, or it was replaced.
        ParentChangedError: its parent is no longer the latest earlier published snapshot.
        TargetError: the target cannot take the segments.
    """
    ledger = snapshots.lock(connection, name)
    candidate = snapshots.find_snapshot(connection, snapshot_id)
    if ledger is None or candidate is None or candidate.segmentation != name:
        message = f"{name} has no snapshot {snapshot_id}; materialize aligned_segments again"
        raise NotAcceptedError(message)
    if candidate.status == "published":
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
    _require_accepted(connection, candidate)
    _require_newest(connection, candidate)
    _require_same_parent(connection, candidate)
    check_target(connection, publish_spec, key_type=ledger.key_type)
    loaded = assignments.load(connection, ledger, snapshot_id, rows)
    for other in snapshots.list_versions(connection, name, candidate.partition):
        if other.status == "published":
            snapshots.set_status(connection, other.snapshot_id, "superseded")
    snapshots.set_status(connection, snapshot_id, "published")
    current = (
        snapshots.find_snapshot(connection, ledger.current_snapshot_id)
        if ledger.current_snapshot_id is not None
        else None
    )
    if current is not None and current.as_of > candidate.as_of:
        return PublicationReceipt(
            snapshot_id,
            already_published=False,
            became_current=False,
            changed=-1,
            unchanged=-1,
            not_in_target=-1,
            not_in_source=-1,
            cleared=-1,
        )
    snapshots.set_current(connection, name, snapshot_id)
    assignments.forget_scores(connection, name)
    return rewrite_target(connection, publish_spec, ledger.key_name, loaded, snapshot_id)


def rewrite_target(
    connection: sa.Connection, publish: PublishSpec, key_name: str, loaded: sql.Identifier, snapshot_id: int
) -> PublicationReceipt:
    """Bring the target to what `loaded` (a snapshot's assignments) says, touching only the rows that differ."""
    written = write_segments(connection, publish, key_name, loaded)
    cleared = 0
    if publish.absent == "clear" and written.absent:
        cleared = get_driver_connection(connection).execute(
            sql.SQL(
                "UPDATE {target} t SET {column} = NULL{touch} WHERE t.{column} IS NOT NULL "
                "AND NOT EXISTS (SELECT FROM {loaded} a WHERE a.{key} = t.{target_key})"
            ).format(**target_parts(publish, key_name, loaded))
        ).rowcount  # fmt: skip
    return PublicationReceipt(
        snapshot_id,
        already_published=False,
        became_current=True,
        changed=written.changed,
        unchanged=written.unchanged,
        not_in_target=written.not_in_target,
        not_in_source=written.absent,
        cleared=cleared,
        examples_not_in_target=written.examples_not_in_target,
    )


def _require_accepted(connection: sa.Connection, candidate: Snapshot) -> None:
    # the gates themselves, not the status alone: a status that was set past the code does not open them
    failed = snapshots.failed_gates(connection, candidate.snapshot_id)
    if candidate.status == "candidate" and not failed:
        return
    approved = decisions.find_approval(connection, candidate.snapshot_id) is not None
    if candidate.status == "waiting" and approved and not failed:
        return
    what = f"snapshot {candidate.snapshot_id} ({candidate.partition} v{candidate.version}) is {candidate.status}"
    gates = f"Its blocking gates failed: {'; '.join(failed)}"
    wait = f"It waits for a person: {approve_command(candidate.segmentation, candidate.snapshot_id)}"
    advice = {
        "candidate": gates,
        "rejected": gates,
        "waiting": gates if failed else wait,
        "declined": "A person declined it; run the partition again for a new version.",
        "superseded": "A newer version of this partition was published.",
        "rolled_back": "It was rolled back; run the partition again for a new version.",
    }[candidate.status]
    message = f"{what} and is not published. {advice}"
    raise NotAcceptedError(message)


def _require_newest(connection: sa.Connection, candidate: Snapshot) -> None:
    for other in snapshots.list_versions(connection, candidate.segmentation, candidate.partition):
        if other.status == "published" and other.version > candidate.version:
            message = (
                f"snapshot {candidate.snapshot_id} ({candidate.partition} v{candidate.version}) is not published: the "
                f"newer version {other.version} is (snapshot {other.snapshot_id}). Run the partition again for another."
            )
            raise NotAcceptedError(message)


def _require_same_parent(connection: sa.Connection, candidate: Snapshot) -> None:
    parent = snapshots.find_parent(connection, candidate.segmentation, candidate.as_of)
    now = parent.snapshot_id if parent is not None else None
    if now == candidate.parent_snapshot_id:
        return
    message = (
        f"snapshot {candidate.snapshot_id} ({candidate.partition}) was aligned with parent "
        f"{candidate.parent_snapshot_id}, but the parent is now {now}. Materialize aligned_segments of "
        f"{candidate.partition} again: {run_command(candidate.segmentation, candidate.partition)}"
    )
    raise ParentChangedError(message)
