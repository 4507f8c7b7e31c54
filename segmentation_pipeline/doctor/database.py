"""What a role may do in the source and the target, asked without changing anything; each check with its statement."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

import psycopg
from psycopg import errors, sql

from segmentation_pipeline.doctor.machine import Check
from segmentation_pipeline.errors import ConfigurationError, DatabaseError, SegmentationError
from segmentation_pipeline.runtime.settings import DATABASE_VARIABLE, read_database_url
from segmentation_pipeline.storage.registry import schema
from segmentation_pipeline.storage.warehouse.postgres.connection import (
    describe_error,
    get_driver_connection,
    transaction,
)
from segmentation_pipeline.storage.warehouse.postgres.query import describe_query, prepare_query
from segmentation_pipeline.storage.warehouse.postgres.tables import read_columns, split_table_name
from segmentation_pipeline.storage.warehouse.postgres.target import list_written_columns
from segmentation_pipeline.storage.warehouse.postgres.types import COLUMN_TYPES, INTEGER_TYPES, KEY_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from segmentation_pipeline.model import KeyType, Period
    from segmentation_pipeline.spec import PublishSpec, SourceSpec

Driver = psycopg.Connection[Any]
# the oldest that still gets fixes
OLDEST: Final = 140_000
_DENIED: Final = re.compile(r"permission denied for (?P<kind>[a-z ]+?) (?P<name>\S+)")


def check_server(variable: str) -> Check:
    """Whether the database that `variable` names answers, and is new enough."""
    embedded = variable == DATABASE_VARIABLE and read_database_url(variable) is None
    what = "embedded" if embedded else variable
    try:
        with transaction(variable) as connection:
            row = get_driver_connection(connection).execute(
                "SELECT current_setting('server_version_num')::int, current_setting('server_version'), current_user"
            ).fetchone()  # fmt: skip
    except SegmentationError as error:
        return Check(what, ok=False, found=str(error), fix=_reach(variable, embedded=embedded))
    number, version, role = row if row is not None else (0, "unknown", "")
    return Check(
        what,
        ok=int(str(number)) >= OLDEST,
        found=f"PostgreSQL {str(version).split()[0]}, as {role}",
        fix=f"upgrade the server: PostgreSQL {OLDEST // 10_000} is the oldest that still gets fixes",
    )


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
                return CheckedSource(Check("source", ok=False, found=_said(error), fix=_grant_of(driver, str(error))))
            except psycopg.Error as error:
                fix = "correct source.query or source.table in the defs.yaml, or make what it names"
                return CheckedSource(Check("source", ok=False, found=_said(error), fix=fix))
    except (ConfigurationError, DatabaseError) as error:
        return CheckedSource(Check("source", ok=False, found=str(error), fix=_reach(source.url_env)))
    missing = [each for each in (source.key, *columns) if each not in found]
    if missing:
        near = {each: get_close_matches(each, found, n=1) for each in missing}
        said = ", ".join(f"{each} ({near[each][0]}?)" if near[each] else each for each in missing)
        fix = f"the source has {', '.join(found)}; correct the defs.yaml, or add what is missing to the query"
        return CheckedSource(Check("source", ok=False, found=f"there is no column {said}", fix=fix))
    key_type = KEY_TYPES.get(found[source.key])
    if key_type is None:
        said = f"the key {source.key} is of type {found[source.key]}"
        fix = f"cast it in the query to an integer, uuid or text: CAST({source.key} AS text) AS {source.key}"
        return CheckedSource(Check("source", ok=False, found=said, fix=fix))
    return CheckedSource(
        Check("source", ok=True, found=f"readable, {len(found)} columns, key {source.key} ({key_type})"), key_type
    )


def check_target(publish: PublishSpec, *, key_type: KeyType | None) -> Iterator[Check]:
    """Whether segments can be written, and the books of the `segmentation` schema kept."""
    try:
        with transaction(publish.url_env) as connection:
            driver = get_driver_connection(connection)
            driver.execute("SET TRANSACTION READ ONLY")
            found = [_target(driver, publish, key_type), _books(driver), _temporary(driver)]
    except (ConfigurationError, DatabaseError) as error:
        found = [Check("target", ok=False, found=str(error), fix=_reach(publish.url_env))]
    yield from found


def _target(driver: Driver, publish: PublishSpec, key_type: KeyType | None) -> Check:  # noqa: PLR0911  one for each lack
    schema_name, name = split_table_name(publish.table)
    table, role = sql.Identifier(schema_name, name), _role(driver)
    there = _one(driver, "SELECT has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = %s", schema_name)
    if there is None:
        statement = sql.SQL("CREATE SCHEMA {};").format(sql.Identifier(schema_name))
        return _problem(driver, f"the schema {schema_name} is not there", statement)
    if not there:
        statement = sql.SQL("GRANT USAGE ON SCHEMA {} TO {};").format(sql.Identifier(schema_name), role)
        return _problem(driver, f"this role may not use the schema {schema_name}", statement)
    columns = read_columns(driver, schema_name, name)
    wanted = list_written_columns(publish)
    if not columns:
        return _absent_target(driver, publish, key_type)
    if publish.key not in columns:
        fix = f"publish.key in the defs.yaml is one of {', '.join(columns)}"
        return Check("target", ok=False, found=f"{publish.table} has no column {publish.key}", fix=fix)
    missing = [
        sql.SQL("ADD COLUMN {} {}").format(sql.Identifier(each), sql.SQL(kind))
        for each, kind in wanted.items()
        if each not in columns
    ]
    if missing:
        statement = sql.SQL("ALTER TABLE {} {};").format(table, sql.SQL(", ").join(missing))
        return _problem(driver, f"{publish.table} lacks {', '.join(set(wanted) - set(columns))}", statement)
    if columns[publish.column] not in INTEGER_TYPES:
        fix = "name another column in publish.column, or change its type"
        said = f"{publish.table}.{publish.column} is {columns[publish.column]}, and a segment id is an integer"
        return Check("target", ok=False, found=said, fix=fix)
    return _may_write(driver, publish, table, list(wanted))


def _may_write(driver: Driver, publish: PublishSpec, table: sql.Identifier, written: list[str]) -> Check:
    shown = [publish.key, publish.column]
    needed = [("SELECT", shown), ("UPDATE", written)] + ([("INSERT", shown)] if publish.mode == "create" else [])
    place = table.as_string(driver)
    lacking = []
    asked = "SELECT has_column_privilege(%s, %s, %s)"
    for privilege, names in needed:
        if refused := [each for each in names if not _one(driver, asked, place, each, privilege)]:
            lacking.append((privilege, refused))
    if lacking:
        parts = [
            sql.SQL("{} ({})").format(sql.SQL(privilege), sql.SQL(", ").join(map(sql.Identifier, names)))
            for privilege, names in lacking
        ]
        statement = sql.SQL("GRANT {} ON {} TO {};").format(sql.SQL(", ").join(parts), table, _role(driver))
        said = ", ".join(f"{privilege} {', '.join(names)}" for privilege, names in lacking)
        return _problem(driver, f"this role may not {said} of {publish.table}", statement)
    return Check("target", ok=True, found=f"{publish.table} takes the segments in {publish.column}")


def _absent_target(driver: Driver, publish: PublishSpec, key_type: KeyType | None) -> Check:
    schema_name, name = split_table_name(publish.table)
    table = sql.Identifier(schema_name, name)
    if publish.mode == "update":
        stamp = [sql.SQL("{} timestamptz").format(sql.Identifier(each)) for each in (publish.updated_column,) if each]
        column = sql.SQL("{} integer").format(sql.Identifier(publish.column))
        key = sql.SQL("{} {} PRIMARY KEY").format(
            sql.Identifier(publish.key), sql.SQL(COLUMN_TYPES[key_type or "text"])
        )
        statement = sql.SQL("CREATE TABLE {} ({});").format(table, sql.SQL(", ").join([key, column, *stamp]))
        return _problem(driver, f"{publish.table} is not there", statement, also="or set publish.mode: create")
    if not _one(driver, "SELECT has_schema_privilege(%s, 'CREATE')", schema_name):
        statement = sql.SQL("GRANT CREATE ON SCHEMA {} TO {};").format(sql.Identifier(schema_name), _role(driver))
        return _problem(driver, f"this role may not make {publish.table}", statement)
    return Check("target", ok=True, found=f"{publish.table} is made by the first run")


def _books(driver: Driver) -> Check:  # noqa: PLR0911  one for each lack
    """The `segmentation` schema and its version."""
    what, name, role = "segmentation schema", sql.Identifier(schema.SCHEMA), _role(driver)
    row = driver.execute(
        "SELECT has_schema_privilege(oid, 'USAGE') AND has_schema_privilege(oid, 'CREATE') FROM pg_namespace "
        "WHERE nspname = %s",
        [schema.SCHEMA],
    ).fetchone()
    if row is None:
        if _one(driver, "SELECT has_database_privilege(current_database(), 'CREATE')"):
            return Check(what, ok=True, found="is made by the first run")
        statement = sql.SQL("CREATE SCHEMA {} AUTHORIZATION {};").format(name, role)
        return _problem(driver, "is not there, and this role may not make it", statement, what=what)
    if not row[0]:
        statement = sql.SQL("GRANT USAGE, CREATE ON SCHEMA {} TO {};").format(name, role)
        return _problem(driver, "this role may not use it", statement, what=what)
    version = _one(driver, "SELECT to_regclass(%s)::text", f"{schema.SCHEMA}.alembic_version")
    if version is None:
        return Check(what, ok=True, found="is empty; the first run fills it")
    tables = f"{schema.SCHEMA}.segmentation", f"{schema.SCHEMA}.snapshot", f"{schema.SCHEMA}.alembic_version"
    if not all(_one(driver, "SELECT has_table_privilege(%s, 'SELECT, INSERT, UPDATE')", each) for each in tables):
        statement = sql.SQL("GRANT ALL ON ALL TABLES IN SCHEMA {} TO {};").format(name, role)
        return _problem(driver, "this role may not keep its tables", statement, what=what)
    found = str(_one(driver, sql.SQL("SELECT version_num FROM {}.alembic_version").format(name).as_string(driver)))
    if found > schema.HEAD:
        said = f"is of version {found}, and this package knows {schema.HEAD}"
        return Check(what, ok=False, found=said, fix="pip install --upgrade segmentation-pipeline")
    later = "" if found == schema.HEAD else f"; the next run brings it to {schema.HEAD}"
    return Check(what, ok=True, found=f"version {found}{later}")


def _temporary(driver: Driver) -> Check:
    if _one(driver, "SELECT has_database_privilege(current_database(), 'TEMPORARY')"):
        return Check("temporary tables", ok=True, found="allowed")
    database = sql.Identifier(str(_one(driver, "SELECT current_database()")))
    statement = sql.SQL("GRANT TEMPORARY ON DATABASE {} TO {};").format(database, _role(driver))
    return _problem(driver, "this role may not make any", statement, what="temporary tables")


def _grant_of(driver: Driver, said: str) -> str:
    """The statement that gives what the server said is denied."""
    match = _DENIED.search(said)
    if match is None:
        return "ask the owner of the source's tables for SELECT on them"
    kind, name, role = match["kind"], match["name"].strip('"'), _role(driver)
    if kind == "schema":
        return sql.SQL("GRANT USAGE ON SCHEMA {} TO {};").format(sql.Identifier(name), role).as_string(driver)
    if kind == "function":
        return sql.SQL("GRANT EXECUTE ON FUNCTION {} TO {};").format(sql.Identifier(name), role).as_string(driver)
    places = driver.execute(
        "SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relname = %s", [name]
    ).fetchall()
    table = sql.Identifier(str(places[0][0]), name) if len(places) == 1 else sql.Identifier(name)
    return sql.SQL("GRANT SELECT ON {} TO {};").format(table, role).as_string(driver)


def _said(error: psycopg.Error) -> str:
    """The server's words without the line of the query that they are about."""
    return error.diag.message_primary or describe_error(error)


def _reach(variable: str, *, embedded: bool = False) -> str:
    if embedded:
        return f"pip install 'segmentation-pipeline[embedded]', or export {variable}=postgresql://USER@HOST/DATABASE"
    return f"start the server, or correct it: export {variable}=postgresql://USER@HOST/DATABASE"


def _problem(driver: Driver, said: str, statement: sql.Composable, *, what: str = "target", also: str = "") -> Check:
    fix = f"as its owner, run:  {statement.as_string(driver)}" + (f"  {also}" if also else "")
    return Check(what, ok=False, found=said, fix=fix)


def _role(driver: Driver) -> sql.Identifier:
    return sql.Identifier(str(_one(driver, "SELECT current_user")))


def _one(driver: Driver, query: str, *parameters: object) -> object:
    """The first column of the first row; None where there is no row."""
    row = driver.execute(query, parameters).fetchone()
    return row[0] if row is not None else None
