"""The statements that write segments to the target: only the rows that differ, counted in the same join."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from psycopg import sql
from psycopg.rows import tuple_row

from segmentation_pipeline.storage.warehouse.base import WrittenSegments
from segmentation_pipeline.storage.warehouse.postgres.connection import get_driver_connection
from segmentation_pipeline.storage.warehouse.postgres.tables import read_columns, split_table_name
from segmentation_pipeline.storage.warehouse.postgres.types import to_compared_type

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg
    import sqlalchemy as sa

    from segmentation_pipeline.model import KeyType
    from segmentation_pipeline.spec import PublishSpec

_EXAMPLES: Final = 3
# A join that does not fit into work_mem is done in parts, and every part reads all of the target's pages: ten million
# rows took 192 s with the default of 4 MB, 41 s with this. The server allows a hash join twice as much.
_MANY_ROWS: Final = 2_000_000
_WORK_MEM: Final = "128MB"
# Rows that must change, customers that are missing from the target, rows of the target that have a segment and no
# customer (these without a key), and customers that have no segment on either side. All other rows of the target that
# have a segment have the right one.
_DIFFERING: Final = """
CREATE TEMPORARY TABLE differing AS
SELECT a.key, a.segment_id, t.segment_id AS before, t.here
FROM (SELECT {key} AS key, segment_id FROM {loaded}) a
FULL JOIN (SELECT {target_key} AS key, {column} AS segment_id, true AS here FROM {target}) t ON t.key = a.key
WHERE a.segment_id IS DISTINCT FROM t.segment_id OR (a.key IS NOT NULL AND a.segment_id IS NULL)
"""
_COUNTS: Final = """
SELECT count(*) FILTER (WHERE here IS NULL), count(*) FILTER (WHERE key IS NULL),
    (SELECT count({column}) FROM {target}) - count(before)
    + count(*) FILTER (WHERE here AND key IS NOT NULL AND segment_id IS NULL AND before IS NULL)
FROM pg_temp.differing
"""


def write_segments(connection: sa.Connection, publish: PublishSpec, rows: str, *, key: str) -> WrittenSegments:
    """Write the segments of the table `rows` to the target, where they differ; in `create` mode add missing rows.

    `rows` is a quoted name. One join finds what differs first; it counts as well, and the server runs it on all cores.
    An UPDATE runs on one core, and has only the rows of that join to look up.
    """
    parts = _name_parts(publish, rows, key=key)
    cursor = get_driver_connection(connection).cursor(row_factory=tuple_row)

    def run(statement: str) -> int:
        cursor.execute(sql.SQL(statement).format(**parts))
        return cursor.rowcount

    with _settings_to_join(cursor, rows):
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
def _settings_to_join(cursor: psycopg.Cursor[Any], rows: str) -> Iterator[None]:
    """Let the server join on all cores, and many rows in few parts; a larger work_mem of its own stays."""
    cursor.execute(
        "SELECT reltuples > %s AND pg_size_bytes(current_setting('work_mem')) < pg_size_bytes(%s) "
        "FROM pg_class WHERE oid = to_regclass(%s)",
        [_MANY_ROWS, _WORK_MEM, rows],
    )
    (takes_more,) = cursor.fetchone() or (False,)
    # the planner expects most rows to differ, and that passing them between cores would cost more than it saves
    wanted = {"parallel_tuple_cost": "0"} | ({"work_mem": _WORK_MEM} if takes_more else {})
    before = {}
    for name, value in wanted.items():
        cursor.execute("SELECT current_setting(%s), set_config(%s, %s, true)", [name, name, value])
        before[name], _ = cursor.fetchone() or ("", "")
    yield
    for name, value in before.items():
        cursor.execute("SELECT set_config(%s, %s, true)", [name, value])


def clear_absent(connection: sa.Connection, publish: PublishSpec, rows: str, *, key: str) -> int:
    """Empty the segment of the customers that are not in the table `rows`; return the number of target rows."""
    statement = sql.SQL(
        "UPDATE {target} t SET {column} = NULL{touch} WHERE t.{column} IS NOT NULL "
        "AND NOT EXISTS (SELECT FROM {loaded} a WHERE a.{key} = t.{target_key})"
    )
    parts = _name_parts(publish, rows, key=key)
    return get_driver_connection(connection).execute(statement.format(**parts)).rowcount


def clear_customer(connection: sa.Connection, publish: PublishSpec, key: int | str, *, key_type: KeyType) -> int:
    """Empty the segment of one customer, where there is such a table; return the number of target rows."""
    driver = get_driver_connection(connection)
    found = read_columns(driver, *split_table_name(publish.table))
    touched = [publish.updated_column] if publish.updated_column else []
    if not {publish.key, publish.column, *touched} <= found.keys():
        return 0
    statement = sql.SQL(
        "UPDATE {target} SET {column} = NULL{touch} WHERE {target_key} = %s::{kind} AND {column} IS NOT NULL"
    )
    parts = _name_parts(publish, "", key=publish.key)
    return driver.execute(statement.format(**parts, kind=sql.SQL(to_compared_type(key_type))), [key]).rowcount


def _name_parts(publish: PublishSpec, rows: str, *, key: str) -> dict[str, sql.Composable]:
    """Return the names in the statements that read the table `rows` and write to the target."""
    touched = [sql.Identifier(publish.updated_column)] if publish.updated_column else []
    return {
        "target": sql.Identifier(*split_table_name(publish.table)),
        "loaded": sql.SQL(rows),
        "key": sql.Identifier(key),
        "target_key": sql.Identifier(publish.key),
        "column": sql.Identifier(publish.column),
        "examples": sql.Literal(_EXAMPLES),
        "touch": sql.SQL(", {} = now()").format(*touched) if touched else sql.SQL(""),
        "touched": sql.SQL(", {}").format(*touched) if touched else sql.SQL(""),
        "now": sql.SQL(", now()" if touched else ""),
    }
