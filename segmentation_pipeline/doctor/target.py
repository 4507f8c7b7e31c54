"""Whether segments can be written and the registry kept, and the statement to run where they cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psycopg import sql

from segmentation_pipeline.doctor.check import Check
from segmentation_pipeline.doctor.database import describe_url_fix, make_problem, read_role, read_value
from segmentation_pipeline.errors import ConfigurationError, DatabaseError
from segmentation_pipeline.storage.registry import schema
from segmentation_pipeline.storage.warehouse.postgres.connection import get_driver_connection, transaction
from segmentation_pipeline.storage.warehouse.postgres.tables import read_columns, split_table_name
from segmentation_pipeline.storage.warehouse.postgres.target import list_written_columns
from segmentation_pipeline.storage.warehouse.postgres.types import COLUMN_TYPES, INTEGER_TYPES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from segmentation_pipeline.doctor.database import Driver
    from segmentation_pipeline.model import KeyType
    from segmentation_pipeline.spec import PublishSpec


def check_target(publish: PublishSpec, *, key_type: KeyType | None) -> Iterator[Check]:
    """Check that segments can be written, and the tables of the `segmentation` schema kept."""
    try:
        with transaction(publish.url_env) as connection:
            driver = get_driver_connection(connection)
            driver.execute("SET TRANSACTION READ ONLY")
            checks = [_check_table(driver, publish, key_type), _check_registry(driver), _check_temporary(driver)]
    except (ConfigurationError, DatabaseError) as error:
        checks = [Check("target", ok=False, found=str(error), fix=describe_url_fix(publish.url_env))]
    yield from checks


def _check_table(driver: Driver, publish: PublishSpec, key_type: KeyType | None) -> Check:  # noqa: PLR0911  one per problem
    schema_name, name = split_table_name(publish.table)
    table, role = sql.Identifier(schema_name, name), read_role(driver)
    may_use = read_value(
        driver, "SELECT has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = %s", schema_name
    )
    if may_use is None:
        statement = sql.SQL("CREATE SCHEMA {};").format(sql.Identifier(schema_name))
        return make_problem(driver, "target", f"the schema {schema_name} does not exist", statement)
    if not may_use:
        statement = sql.SQL("GRANT USAGE ON SCHEMA {} TO {};").format(sql.Identifier(schema_name), role)
        return make_problem(driver, "target", f"this role may not use the schema {schema_name}", statement)
    columns, wanted = read_columns(driver, schema_name, name), list_written_columns(publish)
    if not columns:
        return _check_missing_table(driver, publish, key_type)
    if publish.key not in columns:
        fix = f"publish.key in the defs.yaml is one of {', '.join(columns)}"
        return Check("target", ok=False, found=f"{publish.table} has no column {publish.key}", fix=fix)
    missing = [column for column in wanted if column not in columns]
    if missing:
        added = [
            sql.SQL("ADD COLUMN {} {}").format(sql.Identifier(column), sql.SQL(wanted[column])) for column in missing
        ]
        statement = sql.SQL("ALTER TABLE {} {};").format(table, sql.SQL(", ").join(added))
        return make_problem(driver, "target", f"{publish.table} lacks {', '.join(missing)}", statement)
    if columns[publish.column] not in INTEGER_TYPES:
        problem = f"{publish.table}.{publish.column} is {columns[publish.column]}, and a segment id is an integer"
        fix = "name another column in publish.column, or change its type"
        return Check("target", ok=False, found=problem, fix=fix)
    return _check_privileges(driver, publish, table, list(wanted))


def _check_privileges(driver: Driver, publish: PublishSpec, table: sql.Identifier, written: list[str]) -> Check:
    """Check that this role may read and write the columns of a table that has them."""
    read = [publish.key, publish.column]
    needed = [("SELECT", read), ("UPDATE", written)] + ([("INSERT", read)] if publish.mode == "create" else [])
    place, question = table.as_string(driver), "SELECT has_column_privilege(%s, %s, %s)"
    lacking = []
    for privilege, columns in needed:
        refused = [column for column in columns if not read_value(driver, question, place, column, privilege)]
        if refused:
            lacking.append((privilege, refused))
    if not lacking:
        return Check("target", ok=True, found=f"{publish.table} takes the segments in {publish.column}")
    grants = [
        sql.SQL("{} ({})").format(sql.SQL(privilege), sql.SQL(", ").join(map(sql.Identifier, columns)))
        for privilege, columns in lacking
    ]
    statement = sql.SQL("GRANT {} ON {} TO {};").format(sql.SQL(", ").join(grants), table, read_role(driver))
    named = ", ".join(f"{privilege} {', '.join(columns)}" for privilege, columns in lacking)
    return make_problem(driver, "target", f"this role may not {named} of {publish.table}", statement)


def _check_missing_table(driver: Driver, publish: PublishSpec, key_type: KeyType | None) -> Check:
    """Check that this role may create the target table, where `publish.mode` lets it."""
    schema_name, name = split_table_name(publish.table)
    table = sql.Identifier(schema_name, name)
    if publish.mode == "update":
        key = {publish.key: f"{COLUMN_TYPES[key_type or 'text']} PRIMARY KEY"}
        columns = [
            sql.SQL("{} {}").format(sql.Identifier(column), sql.SQL(kind))
            for column, kind in (key | list_written_columns(publish)).items()
        ]
        statement = sql.SQL("CREATE TABLE {} ({});").format(table, sql.SQL(", ").join(columns))
        also = "or set publish.mode: create"
        return make_problem(driver, "target", f"{publish.table} does not exist", statement, also=also)
    if not read_value(driver, "SELECT has_schema_privilege(%s, 'CREATE')", schema_name):
        role = read_role(driver)
        statement = sql.SQL("GRANT CREATE ON SCHEMA {} TO {};").format(sql.Identifier(schema_name), role)
        return make_problem(driver, "target", f"this role may not create {publish.table}", statement)
    return Check("target", ok=True, found=f"{publish.table} is created by the first run")


def _check_registry(driver: Driver) -> Check:  # noqa: PLR0911  one per problem
    """Check the `segmentation` schema and its version."""
    what, name, role = "segmentation schema", sql.Identifier(schema.SCHEMA), read_role(driver)
    may_use = read_value(
        driver,
        "SELECT has_schema_privilege(oid, 'USAGE') AND has_schema_privilege(oid, 'CREATE') FROM pg_namespace "
        "WHERE nspname = %s",
        schema.SCHEMA,
    )
    if may_use is None:
        if read_value(driver, "SELECT has_database_privilege(current_database(), 'CREATE')"):
            return Check(what, ok=True, found="is created by the first run")
        statement = sql.SQL("CREATE SCHEMA {} AUTHORIZATION {};").format(name, role)
        return make_problem(driver, what, "does not exist, and this role may not create it", statement)
    if not may_use:
        statement = sql.SQL("GRANT USAGE, CREATE ON SCHEMA {} TO {};").format(name, role)
        return make_problem(driver, what, "this role may not use it", statement)
    if read_value(driver, "SELECT to_regclass(%s)::text", f"{schema.SCHEMA}.alembic_version") is None:
        return Check(what, ok=True, found="is empty; the first run fills it")
    tables = [f"{schema.SCHEMA}.{table}" for table in ("segmentation", "snapshot", "alembic_version")]
    question = "SELECT has_table_privilege(%s, 'SELECT, INSERT, UPDATE')"
    if not all(read_value(driver, question, table) for table in tables):
        statement = sql.SQL("GRANT ALL ON ALL TABLES IN SCHEMA {} TO {};").format(name, role)
        return make_problem(driver, what, "this role may not write its tables", statement)
    query = sql.SQL("SELECT version_num FROM {}.alembic_version").format(name).as_string(driver)
    version = str(read_value(driver, query))
    if version > schema.HEAD:
        problem = f"is of version {version}, and this package knows {schema.HEAD}"
        return Check(what, ok=False, found=problem, fix="pip install --upgrade segmentation-pipeline")
    later = "" if version == schema.HEAD else f"; the next run upgrades it to {schema.HEAD}"
    return Check(what, ok=True, found=f"version {version}{later}")


def _check_temporary(driver: Driver) -> Check:
    """Check that this role may create temporary tables, which loading and scoring use."""
    if read_value(driver, "SELECT has_database_privilege(current_database(), 'TEMPORARY')"):
        return Check("temporary tables", ok=True, found="allowed")
    database = sql.Identifier(str(read_value(driver, "SELECT current_database()")))
    statement = sql.SQL("GRANT TEMPORARY ON DATABASE {} TO {};").format(database, read_role(driver))
    return make_problem(driver, "temporary tables", "this role may not create any", statement)
