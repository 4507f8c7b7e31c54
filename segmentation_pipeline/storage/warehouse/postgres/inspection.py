"""A first look at somebody's table: its columns, a sample as every stage reads it, its key, where segments could go."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final, Literal

from psycopg import sql

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.spec import SourceSpec
from segmentation_pipeline.storage.warehouse.postgres.connection import (
    get_driver_connection,
    split_table_name,
    transaction,
)
from segmentation_pipeline.storage.warehouse.postgres.source import extract_frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    import psycopg

    from segmentation_pipeline.model import Period

SAMPLE_ROWS: Final = 20_000
SEGMENT_COLUMN: Final = "segment_id"
_EXAMPLES: Final = 3
_PARTS: Final = 1_000_000
_INTEGERS: Final = frozenset({"smallint", "integer", "bigint"})
_PLAIN: Final = "^[a-z_][a-z0-9_$]*$"
_NOT_THEIRS: Final = ["pg_catalog", "information_schema", "pg_toast", "segmentation"]


@dataclass(frozen=True, slots=True)
class Target:
    """Where the segments of a table can be written, and the statement that makes another place possible."""

    table: str
    key: str
    mode: Literal["update", "create"]
    statement: str | None = None


@dataclass(frozen=True, slots=True)
class InspectedTable:
    """A table as it was found: a sample of its rows (all, where they are few) and what the server knows beside it.

    `column_types` are PostgreSQL's; `n_distinct` its estimate of the different values of a column, where it has one.
    """

    table: str
    key: str
    n_rows: int
    sample: pd.DataFrame
    column_types: dict[str, str]
    n_distinct: dict[str, int] = field(default_factory=dict)


def inspect_table(table: str, key: str, *, period: Period, variable: str) -> InspectedTable:
    """Look at `table` (`schema.table`), whose customers `key` should identify, without changing anything.

    Raises:
        SourceError: no such table or column, or the key is null or there more than once; with what there is instead.
        ConfigurationError: the database cannot be reached.
    """
    schema_name, name = split_table_name(table)
    with transaction(variable) as connection:
        driver = get_driver_connection(connection)
        driver.execute("SET TRANSACTION READ ONLY")
        columns = _columns_of(driver, schema_name, name)
        if not columns:
            raise SourceError(_no_such_table(driver, table, schema_name, name))
        _require_select(driver, schema_name, name)
        if key not in columns:
            raise SourceError(_no_such_column(table, key, list(columns)))
        n_rows = _require_a_key(driver, sql.Identifier(schema_name, name), table, key)
        n_distinct = _estimates(driver, schema_name, name, n_rows)
        written = _written(driver, schema_name, name)
    query = _sample_query(schema_name, name, key, n_rows)
    extracted, sample = extract_frame(
        SourceSpec(query=query, key=key, url_env=variable, fresh=None), query, period, timezone="UTC"
    )
    return InspectedTable(written, key, n_rows, sample, extracted.column_types, n_distinct)


def choose_target(inspected: InspectedTable, name: str, *, variable: str, wanted: str | None = None) -> Target:
    """Where the segments of `inspected` go so that it works at once: `wanted`, the table itself, or one of their own.

    The table itself takes them where it has a segment column that this role may update; else a table of their own is
    made, and `statement` gives the table itself such a column.

    Raises:
        SourceError: `wanted` is a table without a column that could be the key.
    """
    with transaction(variable) as connection:
        driver = get_driver_connection(connection)
        driver.execute("SET TRANSACTION READ ONLY")
        if wanted is not None:
            return _wanted_target(driver, wanted, inspected.key)
        place = split_table_name(inspected.table)
        columns = _columns_of(driver, *place)
        if columns.get(SEGMENT_COLUMN) in _INTEGERS and _may_update(driver, place):
            return Target(inspected.table, inspected.key, "update")
        addable = driver.execute(
            "SELECT c.relkind IN ('r', 'p') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = %s AND c.relname = %s",
            place,
        ).fetchone()
        statement = _add_column(place) if addable and addable[0] and SEGMENT_COLUMN not in columns else None
        return Target(f"{_schema_to_create_in(driver, place[0])}.{name}_segments", inspected.key, "create", statement)


def _wanted_target(driver: psycopg.Connection[Any], wanted: str, key: str) -> Target:
    place = split_table_name(wanted)
    columns = _columns_of(driver, *place)
    if not columns:
        return Target(wanted, key, "create")
    keys = [key] if key in columns else _primary_key(driver, *place)
    if len(keys) != 1:
        message = (
            f"the target {wanted} has no column {key} and no primary key of one column; it has {', '.join(columns)}. "
            "Name another table, or set publish.key in the defs.yaml by hand."
        )
        raise SourceError(message)
    return Target(
        _written(driver, *place), keys[0], "update", None if SEGMENT_COLUMN in columns else _add_column(place)
    )


def _columns_of(driver: psycopg.Connection[Any], schema_name: str, name: str) -> dict[str, str]:
    """Each column of a table or view with its type; none where there is no such thing."""
    rows = driver.execute(
        "SELECT a.attname, format_type(a.atttypid, NULL) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
        "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s "
        "AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
        [schema_name, name],
    )
    return {str(column): str(kind) for column, kind in rows}


def _no_such_table(driver: psycopg.Connection[Any], table: str, schema_name: str, name: str) -> str:
    rows = driver.execute(
        "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname <> ALL(%s) ORDER BY 1, 2",
        [_NOT_THEIRS],
    ).fetchall()
    there = {f"{schema}.{relation}": relation for schema, relation in rows}
    near = get_close_matches(f"{schema_name}.{name}", list(there), n=2)
    near += [each for each, relation in there.items() if relation.lower() == name.lower() and each not in near]
    near += [each for each, relation in there.items() if get_close_matches(name, [relation]) and each not in near]
    if near:
        return f"there is no table {table}; did you mean {' or '.join(near[:3])}?"
    listed = f"there is {_listed(list(there))}" if there else "the database has no table of yours"
    return f"there is no table {table}; {listed}. Is it another database? SEGMENTATION_DATABASE_URL names the one used."


def _no_such_column(table: str, column: str, columns: Sequence[str]) -> str:
    lower = {each.lower(): each for each in columns}
    near = [lower[each] for each in get_close_matches(column.lower(), list(lower), n=2)]
    return f"{table} has no column {column}; " + (
        f"did you mean {' or '.join(near)}?" if near else f"it has {_listed(columns)}."
    )


def _listed(names: Sequence[str], most: int = 12) -> str:
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


def _require_a_key(driver: psycopg.Connection[Any], place: sql.Identifier, table: str, key: str) -> int:
    """The number of rows, each of which has its own key."""
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
    faults = [f"{n_rows - n_present:,} of {n_rows:,} rows have none"] if n_present < n_rows else []
    if n_values < n_present:
        repeated = sql.SQL(
            "SELECT t.{key}::text, count(*), count(*) OVER () FROM {table} t WHERE t.{key} IS NOT NULL "
            "GROUP BY t.{key} HAVING count(*) > 1 ORDER BY t.{key} LIMIT {n}"
        ).format(**parts, n=sql.Literal(_EXAMPLES))
        rows = driver.execute(repeated).fetchall()
        examples = ", ".join(f"{value} in {count:,} rows" for value, count, _ in rows)
        faults.append(f"{rows[0][2]:,} of its {n_values:,} values are there more than once (first: {examples})")
    quoted = parts["key"].as_string(driver)
    message = (
        f"{table}.{key} cannot be the key: {'; '.join(faults)}. Name a column that identifies one customer; or, if a "
        f"row is an order or a visit, make a view with one row per customer (SELECT {quoted}, count(*) AS orders, ... "
        f"WHERE {quoted} IS NOT NULL GROUP BY {quoted}) and name that as --table."
    )
    raise SourceError(message)


def _estimates(driver: psycopg.Connection[Any], schema_name: str, name: str, n_rows: int) -> dict[str, int]:
    """What the last ANALYZE says of the different values of each column; a negative figure is a share of the rows."""
    rows = driver.execute(
        "SELECT attname, n_distinct FROM pg_stats WHERE schemaname = %s AND tablename = %s", [schema_name, name]
    )
    return {str(column): round(-found * n_rows if found < 0 else found) for column, found in rows}


def _sample_query(schema_name: str, name: str, key: str, n_rows: int) -> str:
    """The rows of a sample that is the same each time: by a hash of the key."""
    table = sql.SQL("SELECT * FROM {}").format(sql.Identifier(schema_name, name))
    if n_rows <= SAMPLE_ROWS:
        return table.as_string()
    below = sql.Literal(round(SAMPLE_ROWS / n_rows * _PARTS))
    part = sql.SQL(" WHERE abs(hashtextextended({}::text, 0) % {}) < {}").format(
        sql.Identifier(key), sql.Literal(_PARTS), below
    )
    return (table + part).as_string()


def _written(driver: psycopg.Connection[Any], schema_name: str, name: str) -> str:
    """`schema.table` as a defs.yaml takes it: with quotes where a part needs them."""
    row = driver.execute(
        "SELECT CASE WHEN s ~ %(plain)s THEN s ELSE '\"' || s || '\"' END || '.' || "
        "CASE WHEN t ~ %(plain)s THEN t ELSE '\"' || t || '\"' END FROM (SELECT %(s)s::text AS s, %(t)s::text AS t) x",
        {"plain": _PLAIN, "s": schema_name, "t": name},
    ).fetchone()
    return str(row[0]) if row else f"{schema_name}.{name}"


def _may_update(driver: psycopg.Connection[Any], place: tuple[str, str]) -> bool:
    row = driver.execute(
        "SELECT has_column_privilege(%s, %s, 'UPDATE')", [sql.Identifier(*place).as_string(driver), SEGMENT_COLUMN]
    ).fetchone()
    return bool(row and row[0])


def _add_column(place: tuple[str, str]) -> str:
    return sql.SQL("ALTER TABLE {} ADD COLUMN {} integer;").format(
        sql.Identifier(*place), sql.Identifier(SEGMENT_COLUMN)
    ).as_string()  # fmt: skip


def _primary_key(driver: psycopg.Connection[Any], schema_name: str, name: str) -> list[str]:
    rows = driver.execute(
        "SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey) "
        "WHERE i.indisprimary AND i.indrelid = to_regclass(%s)",
        [sql.Identifier(schema_name, name).as_string(driver)],
    )
    return [str(row[0]) for row in rows]


def _schema_to_create_in(driver: psycopg.Connection[Any], own: str) -> str:
    """`public`, or the table's own schema where this role may make tables only there."""
    allowed = driver.execute(
        "SELECT nspname FROM pg_namespace WHERE nspname = ANY(%s) AND has_schema_privilege(oid, 'CREATE')",
        [["public", own]],
    ).fetchall()
    names = {str(row[0]) for row in allowed}
    return "public" if "public" in names or own not in names else sql.Identifier(own).as_string(driver)
