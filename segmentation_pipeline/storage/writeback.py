"""Publishing a snapshot: history, target, status and pointer in one transaction."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql
from psycopg.rows import tuple_row

from segmentation_pipeline.errors import NotAcceptedError, ParentChangedError
from segmentation_pipeline.storage import assignments, decisions, snapshots
from segmentation_pipeline.storage.database import driver_connection, qualified
from segmentation_pipeline.storage.target import check_target, columns_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg
    import sqlalchemy as sa

    from segmentation_pipeline.model import Json, Snapshot
    from segmentation_pipeline.spec import PublishSpec

_EXAMPLES = 3
# A join that does not fit into work_mem comes in parts, and each goes through all of the target's pages: ten million
# rows took 192 s with the default of 4 MB, 41 s with this. The server allows a hash join twice of it.
_MANY_ROWS = 2_000_000
_WORK_MEM = "128MB"

# Rows that must change, customers who are missing from the target, rows of the target that have a segment and no
# customer (these without a key), and who has no segment on either side: what else the target holds with a segment has
# the right one.
_DIFFERING = """
CREATE TEMPORARY TABLE differing AS
SELECT a.key, a.segment_id, t.segment_id AS before, t.here
FROM (SELECT {key} AS key, segment_id FROM {loaded}) a
FULL JOIN (SELECT {target_key} AS key, {column} AS segment_id, true AS here FROM {target}) t ON t.key = a.key
WHERE a.segment_id IS DISTINCT FROM t.segment_id OR (a.key IS NOT NULL AND a.segment_id IS NULL)
"""
_COUNTS = """
SELECT count(*) FILTER (WHERE here IS NULL), count(*) FILTER (WHERE key IS NULL),
    (SELECT count({column}) FROM {target}) - count(before)
    + count(*) FILTER (WHERE here AND key IS NOT NULL AND segment_id IS NULL AND before IS NULL)
FROM pg_temp.differing
"""


@dataclass(frozen=True, slots=True)
class Receipt:
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


@dataclass(frozen=True, slots=True)
class WrittenSegments:
    """What writing segments did, in rows of the target; `absent` have a segment and are not among those written."""

    changed: int
    unchanged: int
    not_in_target: int
    absent: int
    examples_not_in_target: tuple[str, ...]


def publish(
    connection: sa.Connection, publish_spec: PublishSpec, name: str, snapshot_id: int, rows: assignments.Batches
) -> Receipt:
    """Publish one snapshot inside the open transaction; `rows` as `assignments.load` takes them.

    An older `as_of` than the current one writes history, not the target. What is published already is left as it is.

    Raises:
        NotAcceptedError: its gates failed, it waits for a person, or it was replaced.
        ParentChangedError: its parent is no longer the latest earlier published snapshot.
        TargetError: the target cannot take the segments.
    """
    ledger = snapshots.lock(connection, name)
    candidate = snapshots.snapshot(connection, snapshot_id)
    if ledger is None or candidate is None or candidate.segmentation != name:
        message = f"{name} has no snapshot {snapshot_id}; materialize aligned_segments again"
        raise NotAcceptedError(message)
    if candidate.status == "published":
        return Receipt(
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
    for other in snapshots.earlier_versions(connection, name, candidate.partition):
        if other.status == "published":
            snapshots.set_status(connection, other.snapshot_id, "superseded")
    snapshots.set_status(connection, snapshot_id, "published")
    current = (
        snapshots.snapshot(connection, ledger.current_snapshot_id) if ledger.current_snapshot_id is not None else None
    )
    if current is not None and current.as_of > candidate.as_of:
        return Receipt(
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
) -> Receipt:
    """Bring the target to what `loaded` (a snapshot's assignments) says, touching only the rows that differ."""
    written = write_segments(connection, publish, key_name, loaded)
    cleared = 0
    if publish.absent == "clear" and written.absent:
        cleared = driver_connection(connection).execute(
            sql.SQL(
                "UPDATE {target} t SET {column} = NULL{touch} WHERE t.{column} IS NOT NULL "
                "AND NOT EXISTS (SELECT FROM {loaded} a WHERE a.{key} = t.{target_key})"
            ).format(**_target_parts(publish, key_name, loaded))
        ).rowcount  # fmt: skip
    return Receipt(
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


def write_segments(
    connection: sa.Connection, publish: PublishSpec, key_name: str, loaded: sql.Identifier
) -> WrittenSegments:
    """Write the segments of the table `loaded` to the target, where they differ; in `create` mode with missing rows.

    What differs is found first, in one join that counts as well and that the server runs on all cores: an UPDATE runs
    on one, and has only the rows of that join to look up.
    """
    parts = _target_parts(publish, key_name, loaded)
    cursor = driver_connection(connection).cursor(row_factory=tuple_row)

    def run(statement: str) -> int:
        cursor.execute(sql.SQL(statement).format(**parts))
        return cursor.rowcount

    with _settings_to_join(cursor, loaded):
        run(_DIFFERING)
        run("ANALYZE pg_temp.differing")
        run(_COUNTS)
        missing, absent, unchanged = cursor.fetchone() or (0, 0, 0)
        changed = run(
            "UPDATE {target} t SET {column} = d.segment_id{touch} FROM pg_temp.differing d "
            "WHERE d.here AND t.{target_key} = d.key AND t.{column} IS DISTINCT FROM d.segment_id"
        )
    examples: tuple[str, ...] = ()
    if missing and publish.mode == "create":
        changed += run(
            "INSERT INTO {target} ({target_key}, {column}{touched}) "
            "SELECT key, segment_id{now} FROM pg_temp.differing WHERE here IS NULL"
        )
        missing = 0
    elif missing:
        run("SELECT key::text FROM pg_temp.differing WHERE here IS NULL ORDER BY 1 LIMIT {examples}")
        examples = tuple(str(row[0]) for row in cursor.fetchall())
    run("DROP TABLE pg_temp.differing")
    return WrittenSegments(changed, unchanged, missing, absent, examples)


@contextmanager
def _settings_to_join(cursor: psycopg.Cursor[Any], loaded: sql.Identifier) -> Iterator[None]:
    """Let the server join on all cores, and many rows in few parts; where it may take more memory it stays at that."""
    cursor.execute(
        "SELECT reltuples > %s AND pg_size_bytes(current_setting('work_mem')) < pg_size_bytes(%s) "
        "FROM pg_class WHERE oid = to_regclass(%s)",
        [_MANY_ROWS, _WORK_MEM, loaded.as_string()],
    )
    (takes_more,) = cursor.fetchone() or (False,)
    # the planner believes that most rows differ, and that handing them from core to core would cost more than it saves
    wanted = {"parallel_tuple_cost": "0"} | ({"work_mem": _WORK_MEM} if takes_more else {})
    before = {}
    for name, value in wanted.items():
        cursor.execute("SELECT current_setting(%s), set_config(%s, %s, true)", [name, name, value])
        before[name], _ = cursor.fetchone() or ("", "")
    yield
    for name, value in before.items():
        cursor.execute("SELECT set_config(%s, %s, true)", [name, value])


def clear_segment(connection: sa.Connection, publish: PublishSpec, key: int | str, *, key_type: str) -> int:
    """Empty the segment of one customer in the target, where there is such a table; gives the number of rows."""
    found = columns_of(connection, *qualified(publish.table))
    touched = [publish.updated_column] if publish.updated_column else []
    if not {publish.key, publish.column, *touched} <= found.keys():
        return 0
    statement = sql.SQL(
        "UPDATE {target} SET {column} = NULL{touch} WHERE {target_key} = %s::{kind} AND {column} IS NOT NULL"
    )
    parts = _target_parts(publish, publish.key, sql.Identifier("none"))
    return driver_connection(connection).execute(statement.format(**parts, kind=sql.SQL(key_type)), [key]).rowcount


def _target_parts(publish: PublishSpec, key_name: str, loaded: sql.Identifier) -> dict[str, sql.Composable]:
    touched = [sql.Identifier(publish.updated_column)] if publish.updated_column else []
    return {
        "target": sql.Identifier(*qualified(publish.table)),
        "loaded": loaded,
        "key": sql.Identifier(key_name),
        "target_key": sql.Identifier(publish.key),
        "column": sql.Identifier(publish.column),
        "examples": sql.Literal(_EXAMPLES),
        "touch": sql.SQL(", {} = now()").format(*touched) if touched else sql.SQL(""),
        "touched": sql.SQL(", {}").format(*touched) if touched else sql.SQL(""),
        "now": sql.SQL(", now()" if touched else ""),
    }


def _require_accepted(connection: sa.Connection, candidate: Snapshot) -> None:
    # the gates themselves, not the status alone: a status that was set past the code does not open them
    failed = snapshots.failed_gates(connection, candidate.snapshot_id)
    if candidate.status == "candidate" and not failed:
        return
    approved = decisions.approval_of(connection, candidate.snapshot_id) is not None
    if candidate.status == "waiting" and approved and not failed:
        return
    what = f"snapshot {candidate.snapshot_id} ({candidate.partition} v{candidate.version}) is {candidate.status}"
    gates = f"Its blocking gates failed: {'; '.join(failed)}"
    wait = f"It waits for a person: segmentation approve {candidate.segmentation} {candidate.snapshot_id}"
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
    for other in snapshots.earlier_versions(connection, candidate.segmentation, candidate.partition):
        if other.status == "published" and other.version > candidate.version:
            message = (
                f"snapshot {candidate.snapshot_id} ({candidate.partition} v{candidate.version}) is not published: the "
                f"newer version {other.version} is (snapshot {other.snapshot_id}). Run the partition again for another."
            )
            raise NotAcceptedError(message)


def _require_same_parent(connection: sa.Connection, candidate: Snapshot) -> None:
    parent = snapshots.parent(connection, candidate.segmentation, candidate.as_of)
    now = parent.snapshot_id if parent is not None else None
    if now == candidate.parent_snapshot_id:
        return
    message = (
        f"snapshot {candidate.snapshot_id} ({candidate.partition}) was aligned with parent "
        f"{candidate.parent_snapshot_id}, but the parent is now {now}. Materialize aligned_segments of "
        f"{candidate.partition} again: segmentation run {candidate.segmentation} --partition {candidate.partition}"
    )
    raise ParentChangedError(message)
