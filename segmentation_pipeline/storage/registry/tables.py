"""The tables and views that each segmentation has of its own: their names, and making them.

`<name>_assignment` is the history, list-partitioned by snapshot. `<name>_scored` holds the customers who were scored
after the current snapshot's fit and are new or in another segment than in it. `<name>_rejected` holds rejected rows.
`<name>_current` and `<name>_movers` are views for people.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
from psycopg import sql

from segmentation_pipeline.storage.registry import schema, snapshots
from segmentation_pipeline.storage.warehouse.postgres.connection import get_driver_connection
from segmentation_pipeline.storage.warehouse.postgres.types import COLUMN_TYPES

if TYPE_CHECKING:
    from segmentation_pipeline.model import KeyType
    from segmentation_pipeline.storage.registry.connection import Connection

# no reference to segmentation.snapshot: attaching a partition would lock that table against every other segmentation
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS {assignment} (
    snapshot_id bigint NOT NULL,
    {key} {key_type} NOT NULL,
    segment_id integer,
    distance double precision,
    second_segment_id integer,
    margin double precision,
    PRIMARY KEY (snapshot_id, {key})
) PARTITION BY LIST (snapshot_id);
CREATE TABLE IF NOT EXISTS {rejected} (
    run_id text NOT NULL,
    partition text NOT NULL,
    key text,
    reasons text[] NOT NULL,
    "row" jsonb,
    rejected_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS {rejected_run} ON {rejected} (run_id);
CREATE TABLE IF NOT EXISTS {scored} (
    {key} {key_type} PRIMARY KEY,
    snapshot_id bigint NOT NULL,
    segment_id integer,
    distance double precision,
    second_segment_id integer,
    margin double precision,
    scored_at timestamptz NOT NULL
);
"""
# `since`: the as_of of the first published snapshot of the unbroken stretch in the present segment; for a customer who
# was scored into it after the fit, the moment of that scoring
_CURRENT: Final = """
CREATE OR REPLACE VIEW {current} AS
SELECT a.{key}, a.segment_id, s.name,
    (SELECT min(h.as_of) FROM segmentation.snapshot h JOIN {assignment} b USING (snapshot_id)
      WHERE h.segmentation = {name} AND h.status = 'published' AND b.{key} = a.{key}
        AND b.segment_id IS NOT DISTINCT FROM a.segment_id
        AND h.as_of > coalesce(
          (SELECT max(g.as_of) FROM segmentation.snapshot g JOIN {assignment} c USING (snapshot_id)
            WHERE g.segmentation = {name} AND g.status = 'published' AND c.{key} = a.{key}
              AND c.segment_id IS DISTINCT FROM a.segment_id), '-infinity')) AS since
FROM {assignment} a
LEFT JOIN segmentation.segment s ON s.segmentation = {name} AND s.segment_id = a.segment_id
WHERE a.snapshot_id = (SELECT current_snapshot_id FROM segmentation.segmentation WHERE name = {name})
  AND NOT EXISTS (SELECT FROM {scored} o WHERE o.{key} = a.{key} AND o.snapshot_id = a.snapshot_id)
UNION ALL
SELECT o.{key}, o.segment_id, s.name, o.scored_at
FROM {scored} o
LEFT JOIN segmentation.segment s ON s.segmentation = {name} AND s.segment_id = o.segment_id
WHERE o.snapshot_id = (SELECT current_snapshot_id FROM segmentation.segmentation WHERE name = {name})
"""
_MOVERS: Final = """
CREATE OR REPLACE VIEW {movers} AS
SELECT a.{key}, b.segment_id AS "from", a.segment_id AS "to"
FROM {assignment} a
JOIN {assignment} b ON b.{key} = a.{key}
WHERE a.snapshot_id = (SELECT current_snapshot_id FROM segmentation.segmentation WHERE name = {name})
  AND b.snapshot_id = (SELECT p.parent_snapshot_id FROM segmentation.segmentation l
                       JOIN segmentation.snapshot p ON p.snapshot_id = l.current_snapshot_id WHERE l.name = {name})
  AND a.segment_id IS DISTINCT FROM b.segment_id
"""


def ensure_tables(connection: Connection, name: str, *, key_name: str, key_type: KeyType) -> None:
    """Make the tables and views of a segmentation where they are missing."""
    if has_table(connection, name_scored_table(name)):  # the newest of the tables
        return
    snapshots.lock(connection, name)  # two processes must not make them at once
    parts = {
        "assignment": name_assignment_table(name),
        "scored": name_scored_table(name),
        "rejected": name_rejected_table(name),
        "rejected_run": sql.Identifier(f"{name}_rejected_run"),
        "current": sql.Identifier(schema.SCHEMA, f"{name}_current"),
        "movers": sql.Identifier(schema.SCHEMA, f"{name}_movers"),
        "key": sql.Identifier(key_name),
        "key_type": sql.SQL(COLUMN_TYPES[key_type]),
        "name": sql.Literal(name),
    }
    for statement in (_TABLES, _CURRENT, _MOVERS):
        get_driver_connection(connection).execute(sql.SQL(statement).format(**parts))


def has_table(connection: Connection, table: sql.Identifier) -> bool:
    """Return whether there is such a table."""
    return connection.scalar(sa.text("SELECT to_regclass(:table)"), {"table": table.as_string()}) is not None


def name_assignment_table(name: str, snapshot_id: int | None = None) -> sql.Identifier:
    """Return the name of a segmentation's history table, or of the partition that holds one snapshot."""
    suffix = "" if snapshot_id is None else f"_{snapshot_id}"
    return sql.Identifier(schema.SCHEMA, f"{name}_assignment{suffix}")


def name_scored_table(name: str) -> sql.Identifier:
    """Return the name of the table of the customers who were scored after the current snapshot's fit."""
    return sql.Identifier(schema.SCHEMA, f"{name}_scored")


def name_rejected_table(name: str) -> sql.Identifier:
    """Return the name of the table of rejected rows."""
    return sql.Identifier(schema.SCHEMA, f"{name}_rejected")
