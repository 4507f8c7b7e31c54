"""What the doctor reports about a database: every problem with the statement that solves it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from segmentation_pipeline.doctor.database import check_server
from segmentation_pipeline.doctor.source import UNDEFINED_TABLE, check_source
from segmentation_pipeline.doctor.target import check_target
from segmentation_pipeline.model import Period
from segmentation_pipeline.spec import PublishSpec, SourceSpec
from segmentation_pipeline.storage.warehouse.postgres import connection as database
from segmentation_pipeline.storage.warehouse.postgres.target import PostgresTarget

if TYPE_CHECKING:
    from collections.abc import Iterator

    import sqlalchemy as sa

    from segmentation_pipeline.doctor.check import Check

PERIOD = Period("2026-10-01", datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC))
ROLE = "shop worker"
SOURCE = SourceSpec(query="SELECT id, spend FROM crm.customers WHERE joined < :as_of", key="id", url_env="ROLE_URL")
PUBLISH = PublishSpec(table="crm.users", key="user_id", updated_column="last_updated", url_env="ROLE_URL")
CREATED = PublishSpec(table="crm.made", key="id", mode="create", url_env="ROLE_URL")


@pytest.fixture
def owner(engine: sa.Engine, emptied_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[psycopg.Connection]:
    """The owner of a source and a target; ROLE_URL names a role that may do nothing yet."""
    with psycopg.connect(emptied_url, autocommit=True) as connection:
        connection.execute(f'CREATE ROLE "{ROLE}" LOGIN')
        name = urlsplit(emptied_url).path.removeprefix("/")
        connection.execute(f'REVOKE ALL ON DATABASE "{name}" FROM PUBLIC')
        connection.execute(f'GRANT CONNECT ON DATABASE "{name}" TO "{ROLE}"')
        connection.execute(
            "CREATE SCHEMA crm; CREATE TABLE crm.customers (id int PRIMARY KEY, spend float8, joined date)"
        )
        connection.execute("CREATE TABLE crm.users (user_id int PRIMARY KEY)")
        parts = urlsplit(emptied_url)
        url = urlunsplit(parts._replace(netloc=f"shop%20worker@{parts.netloc.rpartition('@')[2]}"))
        monkeypatch.setenv("ROLE_URL", url)
        try:
            yield connection
        finally:
            database._create_engine(url).dispose()
            connection.execute(f'DROP OWNED BY "{ROLE}" CASCADE; DROP ROLE "{ROLE}"')


def _source() -> Check:
    return check_source(SOURCE, SOURCE.query or "", ["spend"], period=PERIOD).check


def _repair(owner: psycopg.Connection, check: Check) -> None:
    """Run the statement of the check."""
    _, _, statement = check.fix.partition("run:  ")
    owner.execute((statement or check.fix).partition(";")[0])


def test_a_source_is_repaired_by_the_statements(owner: psycopg.Connection) -> None:
    """The schema first, then the table: every statement solves its own problem, until the source can be read."""
    fixes = []
    while not (check := _source()).ok and len(fixes) < 5:
        fixes.append(check.fix)
        _repair(owner, check)

    assert fixes == [f'GRANT USAGE ON SCHEMA "crm" TO "{ROLE}";', f'GRANT SELECT ON "crm"."customers" TO "{ROLE}";']
    assert check.found == "readable, 2 columns, key id (integer)"


@pytest.mark.parametrize("publish", [PUBLISH, CREATED], ids=["update", "create"])
def test_a_target_is_repaired_by_the_statements(owner: psycopg.Connection, publish: PublishSpec) -> None:
    """Column by column and grant by grant, until the chain's own check of the target passes too."""
    fixes: list[str] = []
    while (wrong := [check for check in check_target(publish, key_type="integer") if not check.ok]) and len(fixes) < 12:
        fixes.append(wrong[0].fix)
        _repair(owner, wrong[0])

    assert wrong == []
    assert fixes[0] == f'as its owner, run:  GRANT USAGE ON SCHEMA "crm" TO "{ROLE}";'
    assert any("TEMPORARY" in fix for fix in fixes)
    if publish is PUBLISH:
        assert fixes[1:3] == [
            'as its owner, run:  ALTER TABLE "crm"."users" ADD COLUMN "segment_id" integer, ADD COLUMN "last_updated" timestamptz;',
            f'as its owner, run:  GRANT SELECT ("user_id", "segment_id"), UPDATE ("segment_id", "last_updated") ON "crm"."users" TO "{ROLE}";',
        ]
    with database.transaction("ROLE_URL") as connection:
        PostgresTarget(publish, connection).check(key_type="integer")


@pytest.mark.parametrize(
    ("source", "columns", "found", "code"),
    [
        ({"table": "crm.customers", "key": "id"}, ["spend", "joned"], "there is no column joned (joined?)", ""),
        ({"table": "crm.customers", "key": "spend"}, [], "the key spend is of type float8", ""),
        ({"table": "crm.gone", "key": "id"}, [], 'relation "crm.gone" does not exist', UNDEFINED_TABLE),
        ({"query": "SELECT gone AS id FROM crm.customers", "key": "id"}, [], 'column "gone" does not exist', "42703"),
        ({"query": "SELECT 1 AS id, 2 AS id", "key": "id"}, [], "the column id more than once", ""),
        ({"query": "SELEC 1 AS id", "key": "id"}, [], "syntax error", "42601"),
    ],
)
def test_a_source_with_other_columns_is_reported(
    engine: sa.Engine, source: dict[str, str], columns: list[str], found: str, code: str
) -> None:
    """Missing columns are reported with the nearest name, a key of a wrong type as it is, a failed query with its code."""
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA crm; CREATE TABLE crm.customers (id int, spend float8, joined date)")
    spec = SourceSpec(**source)
    query = spec.query or f"SELECT * FROM {spec.table}"
    source = check_source(spec, query, columns, period=PERIOD)

    assert (source.check.ok, source.key_type) == (False, None)
    assert found in source.check.found
    assert source.check.code == code
    assert source.check.fix


def test_a_failed_query_is_known_in_any_language(owner: psycopg.Connection) -> None:
    """What is wrong is decided by the server's code, and what to grant by the names in its sentence."""
    owner.execute(f'GRANT USAGE ON SCHEMA crm TO "{ROLE}"')
    for name, code, words in (
        ("gone", "undefined_table", "Relation »crm.gone« existiert nicht"),
        ("denied", "insufficient_privilege", "keine Berechtigung für Tabelle customers"),
        ("closed", "insufficient_privilege", "keine Berechtigung für irgendetwas"),
    ):
        # an immutable function runs while the query is planned
        owner.execute(
            f"CREATE FUNCTION crm.{name}() RETURNS int IMMUTABLE LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{words}' USING ERRCODE = '{code}'; END $$"
        )

    def check(name: str) -> Check:
        spec = SourceSpec(query=f"SELECT crm.{name}() AS id", key="id", url_env="ROLE_URL")
        return check_source(spec, spec.query or "", [], period=PERIOD).check

    assert (check("gone").code, check("gone").found) == (UNDEFINED_TABLE, "Relation »crm.gone« existiert nicht")
    assert check("denied").fix == f'GRANT SELECT ON "crm"."customers" TO "{ROLE}";'
    assert check("closed").fix == "ask the owner of the source's tables for SELECT on them"


def test_a_schema_of_a_newer_package_is_reported(engine: sa.Engine) -> None:
    """A schema that this package does not know yet is a problem; the one it knows is well."""
    publish = PublishSpec(table="public.made", key="id", mode="create")

    def check_schema() -> Check:
        return next(check for check in check_target(publish, key_type="integer") if check.what == "segmentation schema")

    assert (check_schema().ok, check_schema().found) == (True, "version 0001")
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE segmentation.alembic_version SET version_num = '9999'")
    assert (check_schema().ok, check_schema().found) == (False, "is of version 9999, and this package knows 0001")


def test_a_target_of_another_shape_is_reported(engine: sa.Engine) -> None:
    """A table that does not exist, another key and a segment column that holds text are reported."""

    def found(**changes: str) -> str:
        publish = PublishSpec(**{"table": "public.users", "key": "user_id"} | changes)
        check = next(iter(check_target(publish, key_type="bigint")))
        assert not check.ok
        return f"{check.found} | {check.fix}"

    assert found() == (
        'public.users does not exist | as its owner, run:  CREATE TABLE "public"."users" ("user_id" bigint PRIMARY KEY, '
        '"segment_id" integer);  or set publish.mode: create'
    )
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE users (user_id bigint, segment_id text)")
    assert "public.users.segment_id is text, and a segment id is an integer" in found()
    assert "public.users has no column id | publish.key in the defs.yaml is one of user_id, segment_id" in found(
        key="id"
    )
    assert 'run:  CREATE SCHEMA "crm";' in found(table="crm.users")


def test_a_database_that_does_not_answer_is_reported_without_its_url(monkeypatch: pytest.MonkeyPatch) -> None:
    """The problem and its fix are reported, and the password is not."""
    monkeypatch.setenv("ROLE_URL", "postgresql://me:s3cret@127.0.0.1:1/nowhere")
    checks = [check_server("ROLE_URL"), _source(), *check_target(PUBLISH, key_type=None)]

    assert [check.ok for check in checks] == [False] * 3
    assert all("ROLE_URL" in check.found + check.fix for check in checks)
    assert "s3cret" not in str(checks)
