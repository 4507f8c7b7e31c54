"""Whether a source can be read, and the statement to run where it cannot."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

import psycopg
from psycopg import errors, sql

from segmentation_pipeline.doctor.check import Check
from segmentation_pipeline.doctor.database import describe_url_fix, read_role
from segmentation_pipeline.errors import ConfigurationError, DatabaseError, SourceError
from segmentation_pipeline.storage.warehouse.postgres.connection import get_driver_connection, transaction
from segmentation_pipeline.storage.warehouse.postgres.failures import describe_error
from segmentation_pipeline.storage.warehouse.postgres.query import describe_query, prepare_query
from segmentation_pipeline.storage.warehouse.postgres.types import KEY_TYPES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segmentation_pipeline.doctor.database import Driver
    from segmentation_pipeline.model import KeyType, Period
    from segmentation_pipeline.spec import SourceSpec
    from segmentation_pipeline.storage.warehouse.base import Columns

# the code of a check whose query names a table that does not exist
UNDEFINED_TABLE: Final = errors.UndefinedTable.sqlstate
_CORRECT: Final = "correct source.query or source.table in the defs.yaml, or make what it names"
# schemas, relations and functions that this role may not use and whose names stand in a message
_DENIED: Final = """
SELECT 'schema', nspname, nspname FROM pg_namespace
WHERE position(nspname IN %(words)s) > 0 AND NOT has_schema_privilege(oid, 'USAGE')
UNION ALL
SELECT 'table', n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE position(c.relname IN %(words)s) > 0 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND NOT has_table_privilege(c.oid, 'SELECT')
UNION ALL
SELECT 'function', n.nspname, p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE position(p.proname IN %(words)s) > 0 AND NOT has_function_privilege(p.oid, 'EXECUTE')
"""


@dataclass(frozen=True, slots=True)
class CheckedSource:
    """The check of a source, with the type of its key where it is known."""

    check: Check
    key_type: KeyType | None = None


def check_source(source: SourceSpec, query: str, columns: Sequence[str], *, period: Period) -> CheckedSource:
    """Check that the source can be read and has the key and `columns`."""
    try:
        with transaction(source.url_env) as connection:
            driver = get_driver_connection(connection)
            driver.execute("SET TRANSACTION READ ONLY")
            try:
                with driver.transaction():
                    found = describe_query(driver, prepare_query(query, period))
            except errors.InsufficientPrivilege as error:
                return CheckedSource(_make_check(error, fix=_write_grant(driver, error)))
            except psycopg.Error as error:
                return CheckedSource(_make_check(error, fix=_CORRECT))
    except SourceError as error:
        return CheckedSource(Check("source", ok=False, found=str(error), fix=_CORRECT))
    except (ConfigurationError, DatabaseError) as error:
        return CheckedSource(Check("source", ok=False, found=str(error), fix=describe_url_fix(source.url_env)))
    return _check_columns(found, source.key, columns)


def _check_columns(found: Columns, key: str, columns: Sequence[str]) -> CheckedSource:
    """Check that the columns of the query are those that the defs.yaml names, and that the key can be one."""
    missing = [column for column in (key, *columns) if column not in found]
    if missing:
        near = {column: get_close_matches(column, found, n=1) for column in missing}
        named = ", ".join(f"{column} ({near[column][0]}?)" if near[column] else column for column in missing)
        fix = f"the source has {', '.join(found)}; correct the defs.yaml, or add what is missing to the query"
        return CheckedSource(Check("source", ok=False, found=f"there is no column {named}", fix=fix))
    key_type = KEY_TYPES.get(found[key])
    if key_type is None:
        problem = f"the key {key} is of type {found[key]}"
        fix = f"cast it in the query to an integer, uuid or text: CAST({key} AS text) AS {key}"
        return CheckedSource(Check("source", ok=False, found=problem, fix=fix))
    readable = f"readable, {len(found)} columns, key {key} ({key_type})"
    return CheckedSource(Check("source", ok=True, found=readable), key_type)


def _make_check(error: psycopg.Error, *, fix: str) -> Check:
    """Return the check of a query that fails, in the server's words without the line of the query they are about."""
    words = error.diag.message_primary or describe_error(error)
    return Check("source", ok=False, found=words, fix=fix, code=error.sqlstate or "")


def _write_grant(driver: Driver, error: psycopg.Error) -> str:
    """Write the statement that grants what the server denied.

    The error has a code, and the name of the denied object only in a sentence of the server's language. So the names
    in that sentence are compared with the objects that this role may not use; the longest is the one that is meant.
    """
    words = error.diag.message_primary or ""
    denied = [
        (str(kind), str(schema), str(name))
        for kind, schema, name in driver.execute(_DENIED, {"words": words}).fetchall()
        if re.search(rf"(?<!\w){re.escape(str(name))}(?!\w)", words)
    ]
    if not denied:
        return "ask the owner of the source's tables for SELECT on them"
    kind, schema, name = max(denied, key=lambda row: len(row[2]))
    role = read_role(driver)
    if kind == "schema":
        return sql.SQL("GRANT USAGE ON SCHEMA {} TO {};").format(sql.Identifier(name), role).as_string(driver)
    if kind == "function":
        return sql.SQL("GRANT EXECUTE ON FUNCTION {} TO {};").format(sql.Identifier(name), role).as_string(driver)
    only = sum(row[0] == kind and row[2] == name for row in denied) == 1
    table = sql.Identifier(schema, name) if only else sql.Identifier(name)
    return sql.SQL("GRANT SELECT ON {} TO {};").format(table, role).as_string(driver)
