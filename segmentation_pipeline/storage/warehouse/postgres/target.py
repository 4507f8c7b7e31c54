"""The table that segments are written to: whether it can take them, and the statement to run where it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import sqlalchemy as sa
from psycopg import errors, sql

from segmentation_pipeline.errors import TargetError
from segmentation_pipeline.storage.warehouse.postgres.connection import get_driver_connection, split_table_name

if TYPE_CHECKING:
    from segmentation_pipeline.spec import PublishSpec

_INTEGERS: Final = {"smallint", "integer", "bigint"}


def check_target(connection: sa.Connection, publish: PublishSpec, *, key_type: str) -> None:
    """See that the target can take segments, before any work is done; `create` mode makes what is missing.

    Raises:
        TargetError: the table or a column is missing or of a wrong type, or may not be updated.
    """
    schema_name, table_name = split_table_name(publish.table)
    table = sql.Identifier(schema_name, table_name)
    wanted = {publish.column: "integer"}
    if publish.updated_column:
        wanted[publish.updated_column] = "timestamptz"
    found = read_columns(connection, schema_name, table_name)
    # only where something is missing: ALTER TABLE locks out the target's readers even when it has nothing to do
    if publish.mode == "create" and not wanted.keys() <= found.keys():
        _create_target(connection, publish, table, wanted, key_type=key_type)
        found = read_columns(connection, schema_name, table_name)
    if not found:
        message = f"the target table {publish.table} is not there; create it, or set publish.mode: create"
        raise TargetError(message)
    if publish.key not in found:
        message = (
            f"the target {publish.table} has no column {publish.key} (publish.key); it has {', '.join(map(str, found))}"
        )
        raise TargetError(message)
    missing = [
        f"ADD COLUMN {sql.Identifier(each).as_string()} {kind}" for each, kind in wanted.items() if each not in found
    ]
    if missing:
        statement = f"ALTER TABLE {table.as_string()} {', '.join(missing)};"
        message = f"the target {publish.table} lacks columns. Run:  {statement}"
        raise TargetError(message)
    if found[publish.column] not in _INTEGERS:
        message = f"{publish.table}.{publish.column} is {found[publish.column]}; a segment id needs an integer column"
        raise TargetError(message)
    _require_comparable_keys(connection, publish, key_type, found[publish.key])
    _require_privileges(connection, publish, table)


def read_columns(connection: sa.Connection, schema_name: str, table_name: str) -> dict[str, str]:
    """Each column of a table with its type; none where there is no such table."""
    described = get_driver_connection(connection).execute(
        "SELECT a.attname, format_type(a.atttypid, NULL) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
        "JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = %s AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        [schema_name, table_name],
    )
    return {str(name): str(kind) for name, kind in described}


def _create_target(
    connection: sa.Connection, publish: PublishSpec, table: sql.Identifier, wanted: dict[str, str], *, key_type: str
) -> None:
    schema_name, _ = split_table_name(publish.table)
    cursor = get_driver_connection(connection).cursor()
    if cursor.execute("SELECT FROM pg_namespace WHERE nspname = %s", [schema_name]).fetchone() is None:
        statement = sql.SQL("CREATE SCHEMA {};").format(sql.Identifier(schema_name)).as_string()
        message = f"the schema of the target {publish.table} is not there. Run:  {statement}"
        raise TargetError(message)
    # the key's type is one of column_types.KEY_TYPES
    cursor.execute(
        sql.SQL("CREATE TABLE IF NOT EXISTS {} ({} {} PRIMARY KEY)").format(
            table, sql.Identifier(publish.key), sql.SQL(key_type)
        )
    )
    for column, kind in wanted.items():
        cursor.execute(
            sql.SQL("ALTER TABLE {} ADD COLUMN IF NOT EXISTS {} {}").format(
                table, sql.Identifier(column), sql.SQL(kind)
            )
        )


def _require_comparable_keys(connection: sa.Connection, publish: PublishSpec, source: str, target: str) -> None:
    driver = get_driver_connection(connection)
    try:
        with driver.transaction():
            driver.execute(sql.SQL("SELECT NULL::{} = NULL::{}").format(sql.SQL(source), sql.SQL(target)))
    except errors.UndefinedFunction:
        message = (
            f"{publish.table}.{publish.key} is {target}, and the source's key is {source}, which PostgreSQL does not "
            f"compare. Cast the key in the source query to {target}."
        )
        raise TargetError(message) from None


def _require_privileges(connection: sa.Connection, publish: PublishSpec, table: sql.Identifier) -> None:
    columns = [publish.column, *([publish.updated_column] if publish.updated_column else [])]
    missing = [
        column
        for column in columns
        if not connection.scalar(
            sa.text("SELECT has_column_privilege(:table, :column, 'UPDATE')"),
            {"table": table.as_string(), "column": column},
        )
    ]
    if missing:
        names = ", ".join(sql.Identifier(column).as_string() for column in missing)
        message = (
            f"this role may not update {', '.join(missing)} of {publish.table}. As its owner, run:  "
            f"GRANT UPDATE ({names}) ON {table.as_string()} TO <role>;"
        )
        raise TargetError(message)
