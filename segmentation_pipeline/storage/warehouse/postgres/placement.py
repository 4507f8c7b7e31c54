"""Where the segments of a table can be written, and the statement that makes another place possible."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from psycopg import sql

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.storage.warehouse.base import ProposedTarget
from segmentation_pipeline.storage.warehouse.postgres.connection import get_driver_connection, transaction
from segmentation_pipeline.storage.warehouse.postgres.tables import join_table_name, read_columns, split_table_name
from segmentation_pipeline.storage.warehouse.postgres.types import INTEGER_TYPES

if TYPE_CHECKING:
    import psycopg

    from segmentation_pipeline.storage.warehouse.base import InspectedTable

SEGMENT_COLUMN: Final = "segment_id"


def propose_target(inspected: InspectedTable, name: str, *, variable: str, wanted: str | None = None) -> ProposedTarget:
    """Return where the segments of `inspected` work at once: in `wanted`, the table itself, or a table of their own.

    The table itself takes them where it has a segment column that this role may update. Otherwise they get a table of
    their own, and `statement` adds such a column to the table itself.

    Raises:
        SourceError: `wanted` is a table without a column that could be the key.
    """
    with transaction(variable) as connection:
        driver = get_driver_connection(connection)
        driver.execute("SET TRANSACTION READ ONLY")
        if wanted is not None:
            return _propose_wanted(driver, wanted, inspected.key)
        place = split_table_name(inspected.table)
        columns = read_columns(driver, *place)
        if columns.get(SEGMENT_COLUMN) in INTEGER_TYPES and _may_update(driver, place):
            return ProposedTarget(inspected.table, inspected.key, "update")
        is_table = driver.execute(
            "SELECT c.relkind IN ('r', 'p') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = %s AND c.relname = %s",
            place,
        ).fetchone()
        can_add = is_table is not None and is_table[0] and SEGMENT_COLUMN not in columns
        statement = _write_column_statement(place) if can_add else None
        own_table = f"{_choose_schema(driver, place[0])}.{name}_segments"
        return ProposedTarget(own_table, inspected.key, "create", statement)


def _propose_wanted(driver: psycopg.Connection[Any], wanted: str, key: str) -> ProposedTarget:
    """Return the proposal for a table that the user named, which may not exist yet."""
    place = split_table_name(wanted)
    columns = read_columns(driver, *place)
    if not columns:
        return ProposedTarget(wanted, key, "create")
    keys = [key] if key in columns else _read_primary_key(driver, place)
    if len(keys) != 1:
        message = (
            f"the target {wanted} has no column {key} and no primary key of one column; it has {', '.join(columns)}. "
            "Name another table, or set publish.key in the defs.yaml by hand."
        )
        raise SourceError(message)
    statement = None if SEGMENT_COLUMN in columns else _write_column_statement(place)
    return ProposedTarget(join_table_name(*place), keys[0], "update", statement)


def _may_update(driver: psycopg.Connection[Any], place: tuple[str, str]) -> bool:
    row = driver.execute(
        "SELECT has_column_privilege(%s, %s, 'UPDATE')", [sql.Identifier(*place).as_string(driver), SEGMENT_COLUMN]
    ).fetchone()
    return bool(row and row[0])


def _write_column_statement(place: tuple[str, str]) -> str:
    """Write the statement that adds the segment column to a table."""
    return sql.SQL("ALTER TABLE {} ADD COLUMN {} integer;").format(
        sql.Identifier(*place), sql.Identifier(SEGMENT_COLUMN)
    ).as_string()  # fmt: skip


def _read_primary_key(driver: psycopg.Connection[Any], place: tuple[str, str]) -> list[str]:
    """Return the columns of a table's primary key; an empty list where it has none."""
    rows = driver.execute(
        "SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey) "
        "WHERE i.indisprimary AND i.indrelid = to_regclass(%s)",
        [sql.Identifier(*place).as_string(driver)],
    )
    return [str(row[0]) for row in rows]


def _choose_schema(driver: psycopg.Connection[Any], own: str) -> str:
    """Return `public`, or the table's own schema where this role may create tables only there."""
    rows = driver.execute(
        "SELECT nspname FROM pg_namespace WHERE nspname = ANY(%s) AND has_schema_privilege(oid, 'CREATE')",
        [["public", own]],
    ).fetchall()
    allowed = {str(row[0]) for row in rows}
    return "public" if "public" in allowed or own not in allowed else sql.Identifier(own).as_string(driver)
