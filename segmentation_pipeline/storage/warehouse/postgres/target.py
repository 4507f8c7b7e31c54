"""PostgreSQL as a target: whether it can take segments, the statement to run where it cannot, and the writing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import errors, sql

from segmentation_pipeline.errors import TargetError
from segmentation_pipeline.storage.warehouse.postgres.connection import get_driver_connection
from segmentation_pipeline.storage.warehouse.postgres.tables import read_columns, split_table_name
from segmentation_pipeline.storage.warehouse.postgres.types import COLUMN_TYPES, INTEGER_TYPES
from segmentation_pipeline.storage.warehouse.postgres.write import clear_absent, clear_customer, write_segments

if TYPE_CHECKING:
    import psycopg
    import sqlalchemy as sa

    from segmentation_pipeline.model import KeyType
    from segmentation_pipeline.spec import PublishSpec
    from segmentation_pipeline.storage.warehouse.base import Columns, WrittenSegments


@dataclass(frozen=True, slots=True)
class PostgresTarget:
    """The target table of `spec` in a PostgreSQL database, inside the open transaction of `connection`."""

    spec: PublishSpec
    connection: sa.Connection

    def check(self, *, key_type: KeyType) -> None:
        """Raise an error where the target cannot take segments; make what is missing in `create` mode.

        Raises:
            TargetError: the table or a column is missing or has a wrong type, or may not be updated.
        """
        driver, place = get_driver_connection(self.connection), split_table_name(self.spec.table)
        wanted = list_written_columns(self.spec)
        found = read_columns(driver, *place)
        # only where something is missing: ALTER TABLE locks out the target's readers even when it has nothing to do
        if self.spec.mode == "create" and not wanted.keys() <= found.keys():
            _create_target(driver, self.spec, wanted, key_type=key_type)
            found = read_columns(driver, *place)
        _require_columns(self.spec, wanted, found)
        _require_comparable_keys(driver, self.spec, COLUMN_TYPES[key_type], found[self.spec.key])
        _require_privileges(driver, self.spec, list(wanted))

    def write(self, rows: str, *, key: str) -> WrittenSegments:
        """Write the segments of the table `rows`, where the target differs; in `create` mode add missing rows."""
        return write_segments(self.connection, self.spec, rows, key=key)

    def clear_absent(self, rows: str, *, key: str) -> int:
        """Empty the segment of the customers that are not in the table `rows`; return the number of target rows."""
        return clear_absent(self.connection, self.spec, rows, key=key)

    def clear_customer(self, key: int | str, *, key_type: KeyType) -> int:
        """Empty the segment of one customer, where there is such a table; return the number of target rows."""
        return clear_customer(self.connection, self.spec, key, key_type=key_type)


def list_written_columns(publish: PublishSpec) -> Columns:
    """Return the columns that are written, with the types that missing ones get."""
    return {publish.column: "integer"} | ({publish.updated_column: "timestamptz"} if publish.updated_column else {})


def _create_target(
    driver: psycopg.Connection[Any], publish: PublishSpec, wanted: Columns, *, key_type: KeyType
) -> None:
    """Create the target table with its key, and add the columns it lacks."""
    schema_name, name = split_table_name(publish.table)
    table = sql.Identifier(schema_name, name)
    if driver.execute("SELECT FROM pg_namespace WHERE nspname = %s", [schema_name]).fetchone() is None:
        statement = sql.SQL("CREATE SCHEMA {};").format(sql.Identifier(schema_name)).as_string()
        message = f"the schema of the target {publish.table} does not exist. Run:  {statement}"
        raise TargetError(message)
    driver.execute(
        sql.SQL("CREATE TABLE IF NOT EXISTS {} ({} {} PRIMARY KEY)").format(
            table, sql.Identifier(publish.key), sql.SQL(COLUMN_TYPES[key_type])
        )
    )
    for column, kind in wanted.items():
        driver.execute(
            sql.SQL("ALTER TABLE {} ADD COLUMN IF NOT EXISTS {} {}").format(
                table, sql.Identifier(column), sql.SQL(kind)
            )
        )


def _require_columns(publish: PublishSpec, wanted: Columns, found: Columns) -> None:
    if not found:
        message = f"the target table {publish.table} does not exist; create it, or set publish.mode: create"
        raise TargetError(message)
    if publish.key not in found:
        message = f"the target {publish.table} has no column {publish.key} (publish.key); it has {', '.join(found)}"
        raise TargetError(message)
    missing = [
        f"ADD COLUMN {sql.Identifier(column).as_string()} {kind}"
        for column, kind in wanted.items()
        if column not in found
    ]
    if missing:
        table = sql.Identifier(*split_table_name(publish.table)).as_string()
        message = f"the target {publish.table} lacks columns. Run:  ALTER TABLE {table} {', '.join(missing)};"
        raise TargetError(message)
    if found[publish.column] not in INTEGER_TYPES:
        message = f"{publish.table}.{publish.column} is {found[publish.column]}; a segment id needs an integer column"
        raise TargetError(message)


def _require_comparable_keys(driver: psycopg.Connection[Any], publish: PublishSpec, source: str, target: str) -> None:
    try:
        with driver.transaction():
            driver.execute(sql.SQL("SELECT NULL::{} = NULL::{}").format(sql.SQL(source), sql.SQL(target)))
    except errors.UndefinedFunction:
        message = (
            f"{publish.table}.{publish.key} is {target}, and the source's key is {source}, which PostgreSQL does not "
            f"compare. Cast the key in the source query to {target}."
        )
        raise TargetError(message) from None


def _require_privileges(driver: psycopg.Connection[Any], publish: PublishSpec, columns: list[str]) -> None:
    table = sql.Identifier(*split_table_name(publish.table)).as_string()
    rows = driver.execute(
        "SELECT name FROM unnest(%s::text[]) name WHERE NOT has_column_privilege(%s, name, 'UPDATE')", [columns, table]
    ).fetchall()
    missing = [str(name) for (name,) in rows]
    if missing:
        names = ", ".join(sql.Identifier(column).as_string() for column in missing)
        message = (
            f"this role may not update {', '.join(missing)} of {publish.table}. As its owner, run:  "
            f"GRANT UPDATE ({names}) ON {table} TO <role>;"
        )
        raise TargetError(message)
