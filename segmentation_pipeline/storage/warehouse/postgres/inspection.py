"""A first look at a table: its columns, its key, and a sample of its rows as every stage reads them."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from psycopg import sql

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.storage.warehouse.base import InspectedTable
from segmentation_pipeline.storage.warehouse.postgres.connection import get_driver_connection, transaction
from segmentation_pipeline.storage.warehouse.postgres.tables import join_table_name, read_columns, split_table_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

    from segmentation_pipeline.model import Period
    from segmentation_pipeline.storage.warehouse.base import Source

SAMPLE_ROWS: Final = 20_000
_EXAMPLES: Final = 3
_PARTS: Final = 1_000_000
_SYSTEM_SCHEMAS: Final = ["pg_catalog", "information_schema", "pg_toast", "segmentation"]


def inspect_table(source: Source, table: str, key: str, *, period: Period, variable: str) -> InspectedTable:
    """Return a sample of `table` (`schema.table`), whose customers `key` should identify, without changing anything.

    `source` extracts the sample from the database that `variable` names.

    Raises:
        SourceError: the table or column does not exist, or the key is null or repeated; the message says what is there.
        ConfigurationError: the database cannot be reached.
    """
    schema_name, name = split_table_name(table)
    with transaction(variable) as connection:
        driver = get_driver_connection(connection)
        driver.execute("SET TRANSACTION READ ONLY")
        columns = read_columns(driver, schema_name, name)
        if not columns:
            raise SourceError(_describe_missing_table(driver, table, schema_name, name))
        _require_select(driver, schema_name, name)
        if key not in columns:
            raise SourceError(_describe_missing_column(table, key, list(columns)))
        n_rows = _require_unique_key(driver, sql.Identifier(schema_name, name), table, key)
        n_distinct = _read_estimates(driver, schema_name, name, n_rows)
    sample = source.extract_frame(_write_sample_query(schema_name, name, key, n_rows), period)
    return InspectedTable(
        join_table_name(schema_name, name), key, n_rows, sample.rows, sample.extracted.column_types, n_distinct
    )


def _describe_missing_table(driver: psycopg.Connection[Any], table: str, schema_name: str, name: str) -> str:
    """Write the message of a table that does not exist, with the tables whose names are close to it."""
    rows = driver.execute(
        "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname <> ALL(%s) ORDER BY 1, 2",
        [_SYSTEM_SCHEMAS],
    ).fetchall()
    there = {f"{schema}.{relation}": relation for schema, relation in rows}
    near = get_close_matches(f"{schema_name}.{name}", list(there), n=2)
    near += [full for full, relation in there.items() if relation.lower() == name.lower() and full not in near]
    near += [full for full, relation in there.items() if get_close_matches(name, [relation]) and full not in near]
    if near:
        return f"there is no table {table}; did you mean {' or '.join(near[:3])}?"
    listed = f"there is {_list_names(list(there))}" if there else "the database has no tables"
    return f"there is no table {table}; {listed}. Is it another database? SEGMENTATION_DATABASE_URL names the one used."


def _describe_missing_column(table: str, column: str, columns: Sequence[str]) -> str:
    """Write the message of a column that does not exist, with the columns whose names are close to it."""
    by_lower = {name.lower(): name for name in columns}
    near = [by_lower[name] for name in get_close_matches(column.lower(), list(by_lower), n=2)]
    return f"{table} has no column {column}; " + (
        f"did you mean {' or '.join(near)}?" if near else f"it has {_list_names(columns)}."
    )


def _list_names(names: Sequence[str], most: int = 12) -> str:
    """Join the first names and say how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _require_select(driver: psycopg.Connection[Any], schema_name: str, name: str) -> None:
    table = sql.Identifier(schema_name, name)
    row = driver.execute(
        "SELECT has_schema_privilege(%s, 'USAGE'), current_user, "
        "has_schema_privilege(%s, 'USAGE') AND has_table_privilege(%s, 'SELECT')",
        [schema_name, schema_name, table.as_string(driver)],
    ).fetchone()
    if row is None or row[2]:
        return
    role = sql.Identifier(str(row[1]))
    statement = (
        sql.SQL("GRANT SELECT ON {} TO {};").format(table, role)
        if row[0]
        else sql.SQL("GRANT USAGE ON SCHEMA {0} TO {2}; GRANT SELECT ON {1} TO {2};").format(
            sql.Identifier(schema_name), table, role
        )
    )
    message = f"this role may not read {schema_name}.{name}. As its owner, run:  {statement.as_string(driver)}"
    raise SourceError(message)


def _require_unique_key(driver: psycopg.Connection[Any], place: sql.Identifier, table: str, key: str) -> int:
    """Return the number of rows; raise SourceError where a row has no key or the key of another row."""
    parts = {"table": place, "key": sql.Identifier(key)}
    counted = driver.execute(
        sql.SQL("SELECT count(*), count({key}), count(DISTINCT {key}::text) FROM {table}").format(**parts)
    ).fetchone()
    n_rows, n_present, n_values = counted or (0, 0, 0)
    if n_rows == 0:
        message = f"{table} has no rows; there is nothing to look at yet"
        raise SourceError(message)
    if n_rows == n_present == n_values:
        return int(n_rows)
    faults = [f"{n_rows - n_present:,} of {n_rows:,} rows have no value"] if n_present < n_rows else []
    if n_values < n_present:
        repeated = sql.SQL(
            "SELECT t.{key}::text, count(*), count(*) OVER () FROM {table} t WHERE t.{key} IS NOT NULL "
            "GROUP BY t.{key} HAVING count(*) > 1 ORDER BY t.{key} LIMIT {n}"
        ).format(**parts, n=sql.Literal(_EXAMPLES))
        rows = driver.execute(repeated).fetchall()
        examples = ", ".join(f"{value} in {count:,} rows" for value, count, _ in rows)
        faults.append(f"{rows[0][2]:,} of its {n_values:,} values occur more than once (first: {examples})")
    quoted = parts["key"].as_string(driver)
    message = (
        f"{table}.{key} cannot be the key: {'; '.join(faults)}. Name a column that identifies one customer; or, if a "
        f"row is an order or a visit, make a view with one row per customer (SELECT {quoted}, count(*) AS orders, ... "
        f"WHERE {quoted} IS NOT NULL GROUP BY {quoted}) and name that as --table."
    )
    raise SourceError(message)


def _read_estimates(driver: psycopg.Connection[Any], schema_name: str, name: str, n_rows: int) -> dict[str, int]:
    """Return the last ANALYZE's estimate of the different values of the columns; the server's negatives are shares."""
    rows = driver.execute(
        "SELECT attname, n_distinct FROM pg_stats WHERE schemaname = %s AND tablename = %s", [schema_name, name]
    )
    return {str(column): round(-number * n_rows if number < 0 else number) for column, number in rows}


def _write_sample_query(schema_name: str, name: str, key: str, n_rows: int) -> str:
    """Write the query of a sample that is the same every time: it is chosen by a hash of the key."""
    table = sql.SQL("SELECT * FROM {}").format(sql.Identifier(schema_name, name))
    if n_rows <= SAMPLE_ROWS:
        return table.as_string()
    below = sql.Literal(round(SAMPLE_ROWS / n_rows * _PARTS))
    part = sql.SQL(" WHERE abs(hashtextextended({}::text, 0) % {}) < {}").format(
        sql.Identifier(key), sql.Literal(_PARTS), below
    )
    return (table + part).as_string()
