"""Scoring between two fits: who is new or changed segment, in `<name>_scored` and in the target, in one transaction."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

from psycopg import sql

from segmentation_pipeline.errors import ScoringError, SnapshotChangedError
from segmentation_pipeline.model import Reach
from segmentation_pipeline.model.commands import run_command, score_command
from segmentation_pipeline.storage.registry import assignments, snapshots
from segmentation_pipeline.storage.warehouse.postgres import target
from segmentation_pipeline.storage.warehouse.postgres.connection import get_driver_connection
from segmentation_pipeline.storage.warehouse.postgres.write import write_segments

if TYPE_CHECKING:
    import pyarrow as pa
    import sqlalchemy as sa

    from segmentation_pipeline.model import Json, Snapshot
    from segmentation_pipeline.spec import PublishSpec

_TODAY: Final = sql.Identifier("pg_temp", "scored_today")
# a row of `<name>_scored` goes where the customer is again in the fit's segment, and with the snapshot it was made by
_DELETE: Final = """
DELETE FROM {scored} o WHERE o.snapshot_id <> {snapshot} OR EXISTS (
  SELECT FROM {today} n JOIN {assignment} a ON a.snapshot_id = {snapshot} AND a.{key} = n.{key}
  WHERE n.{key} = o.{key} AND a.segment_id IS NOT DISTINCT FROM n.segment_id)
"""
# `scored_at` is since when the customer has this segment, so another distance alone does not move it
_UPSERT: Final = """
INSERT INTO {scored} AS o ({key}, snapshot_id, segment_id, distance, second_segment_id, margin, scored_at)
SELECT n.{key}, {snapshot}, n.segment_id, n.distance, n.second_segment_id, n.margin, now()
FROM {today} n
LEFT JOIN {assignment} a ON a.snapshot_id = {snapshot} AND a.{key} = n.{key}
LEFT JOIN {scored} p ON p.{key} = n.{key}
WHERE (a.{key} IS NULL OR a.segment_id IS DISTINCT FROM n.segment_id)
  AND (p.{key} IS NULL OR (p.segment_id, p.distance, p.second_segment_id, p.margin)
       IS DISTINCT FROM (n.segment_id, n.distance, n.second_segment_id, n.margin))
ON CONFLICT ({key}) DO UPDATE SET segment_id = excluded.segment_id, distance = excluded.distance,
  second_segment_id = excluded.second_segment_id, margin = excluded.margin,
  scored_at = CASE WHEN o.segment_id IS DISTINCT FROM excluded.segment_id THEN excluded.scored_at ELSE o.scored_at END
"""


@dataclass(frozen=True, slots=True)
class ScoringModel:
    """What customers are scored by: the current snapshot, and how far its customers were from their segments."""

    ledger: snapshots.Ledger
    snapshot: Snapshot
    reaches: dict[int, Reach]
    n_unassigned: int


@dataclass(frozen=True, slots=True)
class ScoringReceipt:
    """What a scoring did.

    `scored` customers are assigned or `unassigned`; of them `new` were not in the fit, and `moved` are in another
    segment than there. `changed` and `unchanged` are rows of the target, `written` rows of `<name>_scored`. `kept` are
    the target's customers who have a segment and were not scored: they are not in the source today, or were rejected.
    """

    snapshot_id: int
    scored: int
    unassigned: int
    new: int
    moved: int
    written: int
    changed: int
    unchanged: int
    not_in_target: int
    kept: int
    examples_not_in_target: tuple[str, ...] = ()

    def to_json(self) -> Json:
        """Give plain values for the UI and the command line."""
        return {**asdict(self), "examples_not_in_target": list(self.examples_not_in_target)}


def read_scoring_model(connection: sa.Connection, name: str, *, quantile: float) -> ScoringModel:
    """The current snapshot, with the `quantile` of the fit's distances in each segment.

    Raises:
        ScoringError: nothing was published yet.
    """
    ledger = snapshots.lock(connection, name)
    if ledger is None or ledger.current_snapshot_id is None:
        message = f"{name} has no published snapshot to score by. Publish one first: {run_command(name)}"
        raise ScoringError(message)
    snapshot = snapshots.find_snapshot(connection, ledger.current_snapshot_id)
    assert snapshot is not None  # noqa: S101  snapshots are never deleted
    rows = get_driver_connection(connection).execute(
        sql.SQL(
            "SELECT segment_id, count(*), percentile_cont({quantile}) WITHIN GROUP (ORDER BY distance) FROM {table} "
            "WHERE snapshot_id = {snapshot} GROUP BY segment_id"
        ).format(
            quantile=sql.Literal(quantile),
            table=assignments.assignment_table(name),
            snapshot=sql.Literal(snapshot.snapshot_id),
        )
    )
    found = {segment: (int(str(count)), float(str(limit))) for segment, count, limit in rows}
    n_unassigned, _ = found.pop(None, (0, 0.0))
    return ScoringModel(
        ledger, snapshot, {int(str(each)): Reach(*reach) for each, reach in found.items()}, n_unassigned
    )


def write_scores(
    connection: sa.Connection, publish: PublishSpec, name: str, snapshot_id: int, rows: pa.Table
) -> ScoringReceipt:
    """Write today's answers of a snapshot inside the open transaction; `rows` as `assignments.load` takes them.

    Only rows that differ are touched. Who is not among `rows` keeps the segment, whatever `publish.absent` says: a
    customer's absence is for a fit to see.

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
    target.check_target(connection, publish, key_type=ledger.key_type)
    assignments.ensure_tables(connection, name, key_name=ledger.key_name, key_type=ledger.key_type)
    parts: dict[str, sql.Composable] = {
        "today": _TODAY,
        "scored": assignments.scored_table(name),
        "assignment": assignments.assignment_table(name),
        "snapshot": sql.Literal(snapshot_id),
        "key": sql.Identifier(ledger.key_name),
    }
    cursor = get_driver_connection(connection).cursor()

    def run(statement: str) -> int:
        cursor.execute(sql.SQL(statement).format(**parts))
        return cursor.rowcount

    run("CREATE TEMPORARY TABLE scored_today (LIKE {scored}) ON COMMIT DROP")
    run("ALTER TABLE {today} ALTER snapshot_id DROP NOT NULL, ALTER scored_at DROP NOT NULL")
    assignments.copy_rows(connection, _TODAY, {ledger.key_name: ledger.key_type, **assignments.COLUMNS}, rows)
    run("ANALYZE {today}")
    known = run("SELECT FROM {today} n JOIN {assignment} a ON a.snapshot_id = {snapshot} AND a.{key} = n.{key}")
    moved = run(
        "SELECT FROM {today} n JOIN {assignment} a ON a.snapshot_id = {snapshot} AND a.{key} = n.{key} "
        "WHERE a.segment_id IS DISTINCT FROM n.segment_id"
    )
    written = run(_DELETE) + run(_UPSERT)
    in_target = write_segments(connection, publish, ledger.key_name, _TODAY)
    return ScoringReceipt(
        snapshot_id,
        scored=rows.num_rows,
        unassigned=rows.column("segment_id").null_count,
        new=rows.num_rows - known,
        moved=moved,
        written=written,
        changed=in_target.changed,
        unchanged=in_target.unchanged,
        not_in_target=in_target.not_in_target,
        kept=in_target.absent,
        examples_not_in_target=in_target.examples_not_in_target,
    )
