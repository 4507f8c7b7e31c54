"""`<name>_scored`: the customers who are new or in another segment than at the current snapshot's fit.

A row stays until the next snapshot becomes current.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from psycopg import sql

from segmentation_pipeline.storage.registry import assignments
from segmentation_pipeline.storage.registry.tables import has_table, name_assignment_table, name_scored_table
from segmentation_pipeline.storage.warehouse.postgres.connection import get_driver_connection
from segmentation_pipeline.storage.warehouse.postgres.types import COLUMN_TYPES

if TYPE_CHECKING:
    import pyarrow as pa

    from segmentation_pipeline.storage.registry.connection import Connection
    from segmentation_pipeline.storage.registry.snapshots import Ledger

# today's answers, until the transaction ends
TODAY: Final = sql.Identifier("pg_temp", "scored_today")
# a row of `<name>_scored` is deleted where the customer is in the fit's segment again, and where another snapshot
# made it
_DELETE: Final = """
DELETE FROM {scored} o WHERE o.snapshot_id <> {snapshot} OR EXISTS (
  SELECT FROM {today} n JOIN {assignment} a ON a.snapshot_id = {snapshot} AND a.{key} = n.{key}
  WHERE n.{key} = o.{key} AND a.segment_id IS NOT DISTINCT FROM n.segment_id)
"""
# `scored_at` is the moment since which the customer has this segment, so another distance alone does not move it
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
class WrittenScores:
    """What writing scores did: `known` customers were in the fit, of whom `moved` are in another segment now.

    `written` rows of `<name>_scored` were deleted, inserted or changed.
    """

    known: int
    moved: int
    written: int


def write_scores(connection: Connection, ledger: Ledger, snapshot_id: int, rows: pa.Table) -> WrittenScores:
    """Write today's answers of a snapshot where they differ from what is there; they stay in the table `TODAY` too.

    `rows` have the columns that `assignments.load` takes.
    """
    parts: dict[str, sql.Composable] = {
        "today": TODAY,
        "scored": name_scored_table(ledger.name),
        "assignment": name_assignment_table(ledger.name),
        "snapshot": sql.Literal(snapshot_id),
        "key": sql.Identifier(ledger.key_name),
    }
    cursor = get_driver_connection(connection).cursor()

    def run(statement: str) -> int:
        cursor.execute(sql.SQL(statement).format(**parts))
        return cursor.rowcount

    run("CREATE TEMPORARY TABLE scored_today (LIKE {scored}) ON COMMIT DROP")
    run("ALTER TABLE {today} ALTER snapshot_id DROP NOT NULL, ALTER scored_at DROP NOT NULL")
    assignments.copy_rows(
        connection, TODAY, {ledger.key_name: COLUMN_TYPES[ledger.key_type], **assignments.COLUMNS}, rows
    )
    run("ANALYZE {today}")
    known = run("SELECT FROM {today} n JOIN {assignment} a ON a.snapshot_id = {snapshot} AND a.{key} = n.{key}")
    moved = run(
        "SELECT FROM {today} n JOIN {assignment} a ON a.snapshot_id = {snapshot} AND a.{key} = n.{key} "
        "WHERE a.segment_id IS DISTINCT FROM n.segment_id"
    )
    return WrittenScores(known, moved, written=run(_DELETE) + run(_UPSERT))


def clear_scores(connection: Connection, name: str) -> int:
    """Empty `<name>_scored`, because another snapshot becomes current, and return the number of its rows."""
    table = name_scored_table(name)
    if not has_table(connection, table):
        return 0
    return get_driver_connection(connection).execute(sql.SQL("DELETE FROM {}").format(table)).rowcount
