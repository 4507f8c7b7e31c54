"""Migrations: applied on first use, once, by the first process that needs them; and the tables they make."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psycopg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from segmentation_pipeline.errors import ConfigurationError, DatabaseError
from segmentation_pipeline.runtime.settings import DATABASE_VARIABLE
from segmentation_pipeline.storage.registry import schema
from segmentation_pipeline.storage.warehouse.postgres.connection import get_engine, transaction

if TYPE_CHECKING:
    from support.books import Books

# what only the migrations say: the code reads and writes columns
CONSTRAINTS = {"remove_fk", "remove_index", "remove_constraint", "add_constraint"}
IN_A_PROCESS = """
from segmentation_pipeline.storage.registry import schema
from segmentation_pipeline.runtime.settings import DATABASE_VARIABLE
schema.migrate(DATABASE_VARIABLE)
print("migrated")
"""


def _tables(engine: sa.Engine) -> set[str]:
    return set(sa.inspect(engine).get_table_names(schema=schema.SCHEMA))


def test_the_first_use_makes_every_table_of_the_contract(engine: sa.Engine) -> None:
    """After migrating, the tables of the design are there, and the version is the newest script's."""
    assert _tables(engine) == {
        "alembic_version", "segmentation", "snapshot", "centroid", "segment", "lineage", "gate", "decision",
    }  # fmt: skip
    with engine.begin() as connection:
        assert connection.scalar(sa.text("SELECT version_num FROM segmentation.alembic_version")) == schema.HEAD


def test_head_is_the_newest_script() -> None:
    """`HEAD`, which spares alembic's import on every run, names the last migration."""
    scripts = ScriptDirectory(str(schema.Path(schema.__file__).parent / "migrations"))
    assert scripts.get_current_head() == schema.HEAD


def test_migrating_again_changes_nothing(engine: sa.Engine) -> None:
    """A second migration keeps the tables as they are, and what is in them."""
    with engine.begin() as connection:
        connection.execute(sa.text("INSERT INTO segmentation.segmentation VALUES ('shop', NULL, 4, 'text', 'id')"))
        oids = connection.execute(sa.text("SELECT oid FROM pg_class ORDER BY oid")).all()
    schema.migrate(DATABASE_VARIABLE)
    with engine.begin() as connection:
        assert connection.execute(sa.text("SELECT oid FROM pg_class ORDER BY oid")).all() == oids
        assert connection.scalar(sa.text("SELECT next_segment_id FROM segmentation.segmentation")) == 4


def test_the_code_s_tables_are_the_database_s(engine: sa.Engine) -> None:
    """Tables, columns, types and nullability in `schema.metadata` equal what the migrations made."""
    options = {
        "include_schemas": True,
        "compare_type": True,
        "include_name": lambda name, kind, _: kind != "schema" or name == schema.SCHEMA,
        "version_table_schema": schema.SCHEMA,
    }
    with engine.begin() as connection:
        found = compare_metadata(MigrationContext.configure(connection, opts=options), schema.metadata)
    assert [difference for difference in found if difference[0] not in CONSTRAINTS] == []


def test_threads_that_migrate_at_once_all_succeed(database: str) -> None:
    """Eight connections that find an empty database at the same moment leave one migrated schema."""
    engine = get_engine()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: schema.migrate(DATABASE_VARIABLE), range(8)))
    with engine.begin() as connection:
        assert connection.execute(sa.text("SELECT version_num FROM segmentation.alembic_version")).all() == [
            (schema.HEAD,)
        ]


def test_processes_that_migrate_at_once_all_succeed(database: str) -> None:
    """Two processes that start together on an empty database both end well."""
    started = [
        subprocess.Popen([sys.executable, "-c", IN_A_PROCESS], stdout=-1, stderr=-1, text=True, env=os.environ)
        for _ in range(2)
    ]
    ended = [(process.communicate(timeout=60), process.returncode) for process in started]
    assert [(out, code) for (out, _), code in ended] == [("migrated\n", 0)] * 2, ended
    assert "snapshot" in _tables(get_engine())


def test_a_migration_that_fails_leaves_nothing(database: str) -> None:
    """Migrations are one transaction: something in the way, and not even the schema is left behind."""
    engine = get_engine()
    with psycopg.connect(database) as other:
        other.execute("CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN "
                      "IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity LIKE '%.gate') "
                      "THEN RAISE 'not today'; END IF; END $$")  # fmt: skip
        other.execute("CREATE EVENT TRIGGER refuse ON ddl_command_end EXECUTE FUNCTION refuse()")
    with pytest.raises((sa.exc.DBAPIError, DatabaseError), match="not today"):
        schema.migrate(DATABASE_VARIABLE)
    assert schema.SCHEMA not in sa.inspect(engine).get_schema_names()


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO segmentation.segment VALUES ('shop', 0, 'x', 'automatic', NULL, 1)",
        "INSERT INTO segmentation.segment VALUES ('shop', 9, 'x', 'guessed', NULL, 1)",
        "INSERT INTO segmentation.lineage VALUES (1, 1, 'vanished', NULL, NULL)",
        "INSERT INTO segmentation.lineage VALUES (99, 1, 'kept', NULL, NULL)",
        "INSERT INTO segmentation.gate VALUES (1, 'g', true, 'perhaps', NULL, NULL, '')",
        "INSERT INTO segmentation.decision (snapshot_id, action, who) VALUES (1, 'shrug', 'ann')",
        "UPDATE segmentation.snapshot SET status = 'done'",
        "UPDATE segmentation.segmentation SET current_snapshot_id = 99",
        "DELETE FROM segmentation.snapshot",
    ],
)
def test_the_database_refuses_what_the_contract_does_not_know(books: Books, statement: str) -> None:
    """Unknown statuses, events, severities, actions, ids below 1 and dangling references are refused."""
    assert books.align(1) == 1
    with pytest.raises(sa.exc.IntegrityError):
        books.execute(statement)


def test_two_published_versions_of_a_partition_cannot_be(books: Books) -> None:
    """Whatever the code does, one version of a partition is published."""
    books.align(1, status="published")
    with pytest.raises(sa.exc.IntegrityError, match="snapshot_published"):
        books.align(1, status="published")


@pytest.mark.parametrize("url", ["postgresql://ann:s3cret@127.0.0.1:1/shop", "postgresql://ann:s3%zz@localhost/shop"])
def test_an_unreachable_target_is_explained_without_its_password(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """A target database that does not answer names the variable, and shows neither URL nor password."""
    monkeypatch.setenv("TARGET_URL", url)
    with pytest.raises(ConfigurationError, match="TARGET_URL") as caught, transaction("TARGET_URL"):
        pass
    assert "s3" not in str(caught.value)
    with pytest.raises(ConfigurationError) as caught:
        schema.migrate("TARGET_URL")
    assert "s3" not in str(caught.value)
