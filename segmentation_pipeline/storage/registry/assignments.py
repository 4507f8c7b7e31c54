"""The history: which customer is in which segment, by snapshot.

A snapshot's rows are loaded into a table of their own, which is then attached as a partition. That blocks no reader,
and no row is ever rewritten.
"""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
import sqlalchemy as sa
from psycopg import sql
from psycopg.rows import tuple_row

from segmentation_pipeline.model import Reach
from segmentation_pipeline.model.key import is_integer_key
from segmentation_pipeline.storage.registry import schema
from segmentation_pipeline.storage.registry.tables import has_table, name_assignment_table
from segmentation_pipeline.storage.warehouse.postgres import copy as binary_copy
from segmentation_pipeline.storage.warehouse.postgres.connection import get_driver_connection
from segmentation_pipeline.storage.warehouse.postgres.types import COLUMN_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from segmentation_pipeline.storage.registry.connection import Connection
    from segmentation_pipeline.storage.registry.snapshots import Ledger

    Batches: TypeAlias = pa.Table | Iterable[pa.RecordBatch]

# the number of values that the customers of a snapshot are packed into: each stays below PostgreSQL's limit of a
# gigabyte
PACKS: Final = 64
# what is known of a customer in a snapshot, with the types of the history's columns
COLUMNS: Final = {
    "segment_id": "integer",
    "distance": "double precision",
    "second_segment_id": "integer",
    "margin": "double precision",
}


@dataclass(frozen=True, slots=True)
class Reaches:
    """How far the customers of a snapshot were from their segments, by id, and the number of those in no segment."""

    by_segment: dict[int, Reach]
    n_unassigned: int


def load(connection: Connection, ledger: Ledger, snapshot_id: int, rows: Batches) -> sql.Identifier:
    """Load a snapshot's assignments aside, attach them to the history, and return their table.

    `rows` have the columns key, segment_id, distance, second_segment_id and margin.
    """
    table = name_assignment_table(ledger.name, snapshot_id)
    parts = {
        "table": table,
        "parent": name_assignment_table(ledger.name),
        "check": sql.Identifier(f"only_snapshot_{snapshot_id}"),
        "snapshot": sql.Literal(snapshot_id),
        "key": sql.Identifier(ledger.key_name),
    }
    cursor = get_driver_connection(connection).cursor()
    cursor.execute(sql.SQL("CREATE TABLE {table} (LIKE {parent} INCLUDING DEFAULTS)").format(**parts))
    cursor.execute(sql.SQL("ALTER TABLE {table} ALTER COLUMN snapshot_id SET DEFAULT {snapshot}").format(**parts))
    copy_rows(connection, table, {ledger.key_name: COLUMN_TYPES[ledger.key_type], **COLUMNS}, rows)
    cursor.execute(
        sql.SQL(
            "ALTER TABLE {table} ADD PRIMARY KEY (snapshot_id, {key}), "
            "ADD CONSTRAINT {check} CHECK (snapshot_id = {snapshot})"
        ).format(**parts)
    )
    cursor.execute(sql.SQL("ALTER TABLE {parent} ATTACH PARTITION {table} FOR VALUES IN ({snapshot})").format(**parts))
    cursor.execute(sql.SQL("ANALYZE {table}").format(**parts))
    return table


def copy_rows(connection: Connection, table: sql.Identifier, columns: Mapping[str, str], rows: Batches) -> None:
    """Append `columns` of `rows`, named with their PostgreSQL types, to a table."""
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
        # the next block is encoded while the server takes this one
        coming = aside.submit(next, blocks, None)
        while (block := coming.result()) is not None:
            coming = aside.submit(next, blocks, None)
            copy.write(block)


def read_assignments(connection: Connection, ledger: Ledger, snapshot_id: int) -> pd.Series:
    """Return the segment of each assigned customer of a published snapshot, indexed by the key (int64 or text)."""
    is_text = not is_integer_key(ledger.key_type)
    # the server packs thousands of customers into one value: reading them row by row in Python takes longest of all
    query = sql.SQL(
        "SELECT string_agg({packed}, ''::bytea), string_agg(int4send(segment_id), ''::bytea) FROM {table} "
        "WHERE snapshot_id = {snapshot} AND segment_id IS NOT NULL GROUP BY {group}"
    ).format(
        # a text in PostgreSQL has no zero byte
        packed=sql.SQL(r"convert_to({}::text, 'UTF8') || '\x00'::bytea" if is_text else "int8send({}::bigint)").format(
            sql.Identifier(ledger.key_name)
        ),
        table=name_assignment_table(ledger.name),
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


def has_assignments(connection: Connection, name: str, snapshot_id: int) -> bool:
    """Return whether the customers of a snapshot are still kept."""
    return has_table(connection, name_assignment_table(name, snapshot_id))


def read_reaches(connection: Connection, name: str, snapshot_id: int, *, quantile: float) -> Reaches:
    """Return the `quantile` of the distances in each segment of a snapshot, with the number of its customers."""
    rows = get_driver_connection(connection).execute(
        sql.SQL(
            "SELECT segment_id, count(*), percentile_cont({quantile}) WITHIN GROUP (ORDER BY distance) FROM {table} "
            "WHERE snapshot_id = {snapshot} GROUP BY segment_id"
        ).format(
            quantile=sql.Literal(quantile),
            table=name_assignment_table(name),
            snapshot=sql.Literal(snapshot_id),
        )
    )
    found = {segment: (int(str(count)), float(str(limit))) for segment, count, limit in rows}
    n_unassigned, _ = found.pop(None, (0, 0.0))
    return Reaches({int(str(segment)): Reach(*reach) for segment, reach in found.items()}, n_unassigned)


def keep_newest(connection: Connection, ledger: Ledger, n_partitions: int) -> list[int]:
    """Drop the customers of all but the newest published partitions, and return the snapshots whose rows are gone.

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
        table = name_assignment_table(ledger.name, snapshot_id)
        if has_table(connection, table):
            get_driver_connection(connection).execute(sql.SQL("DROP TABLE {}").format(table))
            gone.append(int(snapshot_id))
    return gone


def _csv(batch: pa.RecordBatch) -> bytes:
    """Return CSV as COPY reads it: text quoted, null empty, floats to the last bit."""
    sink = io.BytesIO()
    pacsv.write_csv(batch, sink, pacsv.WriteOptions(include_header=False))
    return sink.getvalue()
