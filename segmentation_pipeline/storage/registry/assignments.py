"""`<name>_assignment`, `<name>_rejected`, `<name>_scored` and the views on them: who is in which segment.

The history is list-partitioned by snapshot. A snapshot's rows are loaded into a table of their own and then attached,
which blocks no reader; nothing is ever rewritten. Who was scored since the fit and has another segment than in it, or
was not in it, has a row in `<name>_scored`, until the next snapshot becomes current.
"""

from __future__ import annotations

import io
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
import sqlalchemy as sa
from psycopg import sql
from psycopg.rows import tuple_row

from segmentation_pipeline.model.json import to_plain
from segmentation_pipeline.storage.registry import schema, snapshots
from segmentation_pipeline.storage.warehouse.postgres import copy as binary_copy
from segmentation_pipeline.storage.warehouse.postgres.connection import get_driver_connection

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from segmentation_pipeline.storage.registry.snapshots import Ledger

    Batches: TypeAlias = pa.Table | Iterable[pa.RecordBatch]

# how many values the customers of a snapshot come in: each stays below PostgreSQL's limit of a gigabyte
PACKS = 64
# what is known of a customer in a snapshot, with the types of the history's columns
COLUMNS = {
    "segment_id": "integer",
    "distance": "double precision",
    "second_segment_id": "integer",
    "margin": "double precision",
}

# no reference to segmentation.snapshot: attaching a partition would lock that table against every other segmentation
_TABLES = """
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
# `since`: the as_of of the first published snapshot of the unbroken stretch in the present segment; of who was scored
# into it since the fit, the moment of that
_CURRENT = """
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
_MOVERS = """
CREATE OR REPLACE VIEW {movers} AS
SELECT a.{key}, b.segment_id AS "from", a.segment_id AS "to"
FROM {assignment} a
JOIN {assignment} b ON b.{key} = a.{key}
WHERE a.snapshot_id = (SELECT current_snapshot_id FROM segmentation.segmentation WHERE name = {name})
  AND b.snapshot_id = (SELECT p.parent_snapshot_id FROM segmentation.segmentation l
                       JOIN segmentation.snapshot p ON p.snapshot_id = l.current_snapshot_id WHERE l.name = {name})
  AND a.segment_id IS DISTINCT FROM b.segment_id
"""


def ensure_tables(connection: sa.Connection, name: str, *, key_name: str, key_type: str) -> None:
    """Make the tables and views of a segmentation where they are missing; `key_type` is a PostgreSQL type name."""
    if _has_scores(connection, name):  # the newest of the tables
        return
    snapshots.lock(connection, name)  # two processes must not make them at once
    parts = {
        "assignment": assignment_table(name),
        "scored": scored_table(name),
        "rejected": sql.Identifier(schema.SCHEMA, f"{name}_rejected"),
        "rejected_run": sql.Identifier(f"{name}_rejected_run"),
        "current": sql.Identifier(schema.SCHEMA, f"{name}_current"),
        "movers": sql.Identifier(schema.SCHEMA, f"{name}_movers"),
        "key": sql.Identifier(key_name),
        "key_type": sql.SQL(key_type),  # one of column_types.KEY_TYPES
        "name": sql.Literal(name),
    }
    for statement in (_TABLES, _CURRENT, _MOVERS):
        get_driver_connection(connection).execute(sql.SQL(statement).format(**parts))


def assignment_table(name: str, snapshot_id: int | None = None) -> sql.Identifier:
    """The history table of a segmentation, or the partition of one snapshot."""
    suffix = "" if snapshot_id is None else f"_{snapshot_id}"
    return sql.Identifier(schema.SCHEMA, f"{name}_assignment{suffix}")


def scored_table(name: str) -> sql.Identifier:
    """Who was scored since the current snapshot's fit, and is new or in another segment."""
    return sql.Identifier(schema.SCHEMA, f"{name}_scored")


def forget_scores(connection: sa.Connection, name: str) -> int:
    """Empty `<name>_scored`, for whoever makes another snapshot current; gives the number of rows."""
    if not _has_scores(connection, name):
        return 0
    return get_driver_connection(connection).execute(sql.SQL("DELETE FROM {}").format(scored_table(name))).rowcount


def _has_scores(connection: sa.Connection, name: str) -> bool:
    table = scored_table(name).as_string()
    return connection.scalar(sa.text("SELECT to_regclass(:table)"), {"table": table}) is not None


def load(connection: sa.Connection, ledger: Ledger, snapshot_id: int, rows: Batches) -> sql.Identifier:
    """Load a snapshot's assignments (key, segment_id, distance, second_segment_id, margin) aside and attach them."""
    table = assignment_table(ledger.name, snapshot_id)
    parts = {
        "table": table,
        "parent": assignment_table(ledger.name),
        "check": sql.Identifier(f"only_snapshot_{snapshot_id}"),
        "snapshot": sql.Literal(snapshot_id),
        "key": sql.Identifier(ledger.key_name),
    }
    cursor = get_driver_connection(connection).cursor()
    cursor.execute(sql.SQL("CREATE TABLE {table} (LIKE {parent} INCLUDING DEFAULTS)").format(**parts))
    cursor.execute(sql.SQL("ALTER TABLE {table} ALTER COLUMN snapshot_id SET DEFAULT {snapshot}").format(**parts))
    copy_rows(connection, table, {ledger.key_name: ledger.key_type, **COLUMNS}, rows)
    cursor.execute(
        sql.SQL(
            "ALTER TABLE {table} ADD PRIMARY KEY (snapshot_id, {key}), "
            "ADD CONSTRAINT {check} CHECK (snapshot_id = {snapshot})"
        ).format(**parts)
    )
    cursor.execute(sql.SQL("ALTER TABLE {parent} ATTACH PARTITION {table} FOR VALUES IN ({snapshot})").format(**parts))
    cursor.execute(sql.SQL("ANALYZE {table}").format(**parts))
    return table


def copy_rows(connection: sa.Connection, table: sql.Identifier, columns: Mapping[str, str], rows: Batches) -> None:
    """Append these columns of `rows`, by name with their PostgreSQL types, to a table."""
    names = list(columns)
    parts = {"table": table, "columns": sql.SQL(", ").join(map(sql.Identifier, names))}
    cursor = get_driver_connection(connection).cursor()
    batches = rows.to_batches(max_chunksize=binary_copy.BLOCK_ROWS) if isinstance(rows, pa.Table) else rows
    wanted = (batch.select(names) for batch in batches)
    if set(columns.values()) <= set(binary_copy.FIXED):
        statement = sql.SQL("COPY {table} ({columns}) FROM STDIN (FORMAT binary)").format(**parts)
        blocks = binary_copy.encode(wanted, list(columns.values()))
    else:
        statement = sql.SQL("COPY {table} ({columns}) FROM STDIN (FORMAT csv)").format(**parts)
        blocks = (_csv(batch) for batch in wanted)
    with ThreadPoolExecutor(1) as aside, cursor.copy(statement) as copy:
        # the next block is made while the server takes this one
        coming = aside.submit(next, blocks, None)
        while (block := coming.result()) is not None:
            coming = aside.submit(next, blocks, None)
            copy.write(block)


def segments_in(connection: sa.Connection, ledger: Ledger, snapshot_id: int) -> pd.Series:
    """Each assigned customer's segment in a published snapshot, indexed by the key (int64 or text)."""
    is_text = ledger.key_type in {"uuid", "text"}
    # the server packs thousands of customers into one value: row by row Python would be the slowest of all
    query = sql.SQL(
        "SELECT string_agg({packed}, ''::bytea), string_agg(int4send(segment_id), ''::bytea) FROM {table} "
        "WHERE snapshot_id = {snapshot} AND segment_id IS NOT NULL GROUP BY {group}"
    ).format(
        # no text of PostgreSQL's has a zero byte
        packed=sql.SQL(r"convert_to({}::text, 'UTF8') || '\x00'::bytea" if is_text else "int8send({}::bigint)").format(
            sql.Identifier(ledger.key_name)
        ),
        table=assignment_table(ledger.name),
        snapshot=sql.Literal(snapshot_id),
        group=sql.SQL("abs(hashtext({0}::text)) % {1}" if is_text else "{0} % {1}").format(
            sql.Identifier(ledger.key_name), sql.Literal(PACKS)
        ),
    )
    keys, segments = [], []
    for packed, ids in get_driver_connection(connection).cursor(row_factory=tuple_row).stream(query, binary=True):
        keys.append(
            np.array(packed.decode().split("\0")[:-1], dtype=object)
            if is_text
            else np.frombuffer(packed, dtype=">i8").astype(np.int64)
        )
        segments.append(np.frombuffer(ids, dtype=">i4").astype(np.int32))
    if not keys:
        return pd.Series([], dtype="int32", index=pd.Index([], dtype="object" if is_text else "int64"))
    return pd.Series(np.concatenate(segments), index=pd.Index(np.concatenate(keys)))


def keep_newest(connection: sa.Connection, ledger: Ledger, n_partitions: int) -> list[int]:
    """Drop the customers of all but the newest published partitions; gives the snapshots whose rows are gone.

    The current snapshot and its parent always stay: the views and the next alignment read them.
    """
    snapshot = schema.snapshot.c
    mine = snapshot.segmentation == ledger.name
    newest = (
        sa.select(snapshot.partition)
        .where(mine & (snapshot.status == "published"))
        .order_by(snapshot.partition.desc())
        .limit(n_partitions)
    )
    current = sa.select(snapshot.parent_snapshot_id).where(snapshot.snapshot_id == ledger.current_snapshot_id)
    rows = connection.execute(
        sa.select(snapshot.snapshot_id).where(
            mine
            & snapshot.partition.not_in(newest)
            & (snapshot.snapshot_id != ledger.current_snapshot_id)
            & (snapshot.snapshot_id != sa.func.coalesce(current.scalar_subquery(), -1))
        )
    )
    gone = []
    for (snapshot_id,) in rows.all():
        table = assignment_table(ledger.name, snapshot_id)
        if connection.scalar(sa.text("SELECT to_regclass(:table)"), {"table": table.as_string()}) is not None:
            get_driver_connection(connection).execute(sql.SQL("DROP TABLE {}").format(table))
            gone.append(int(snapshot_id))
    return gone


def forget_rejected(connection: sa.Connection, name: str, *, before: str) -> int:
    """Delete the rejected rows of the partitions before `before`; gives their number."""
    table = sql.Identifier(schema.SCHEMA, f"{name}_rejected")
    if connection.scalar(sa.text("SELECT to_regclass(:table)"), {"table": table.as_string()}) is None:
        return 0
    statement = sql.SQL('DELETE FROM {} WHERE partition COLLATE "C" < %s').format(table)
    return get_driver_connection(connection).execute(statement, [before]).rowcount


def clear_rejected(connection: sa.Connection, name: str, *, run_id: str, partition: str | None = None) -> None:
    """Delete the rejected rows that the same run wrote before, and those of `partition` by whatever run."""
    table = sql.Identifier(schema.SCHEMA, f"{name}_rejected")
    cursor = get_driver_connection(connection).cursor()
    cursor.execute(sql.SQL("DELETE FROM {} WHERE run_id = %s").format(table), [run_id])
    if partition is not None:
        cursor.execute(sql.SQL("DELETE FROM {} WHERE partition = %s").format(table), [partition])


def record_rejected(
    connection: sa.Connection,
    name: str,
    *,
    run_id: str,
    partition: str,
    key: str,
    rejected: pd.DataFrame,
    reasons: Sequence[Sequence[str]],
    store_rows: bool,
) -> None:
    """Append rejected rows of a run, each with every reason."""
    if rejected.empty:
        return
    table = sql.Identifier(schema.SCHEMA, f"{name}_rejected")
    statement = sql.SQL('COPY {} (run_id, partition, key, reasons, "row") FROM STDIN').format(table)
    with get_driver_connection(connection).cursor().copy(statement) as copy:
        for row, why in zip(rejected.to_dict("records"), reasons, strict=True):
            value = to_plain(row[key])
            stored = json.dumps(to_plain(row)) if store_rows else None
            copy.write_row((run_id, partition, None if value is None else str(value), list(why), stored))


def _csv(batch: pa.RecordBatch) -> bytes:
    """CSV as COPY reads it: text quoted, null empty, floats to the last bit."""
    sink = io.BytesIO()
    pacsv.write_csv(batch, sink, pacsv.WriteOptions(include_header=False))
    return sink.getvalue()
