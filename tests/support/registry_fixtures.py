"""A migrated database, a target table, and snapshots to publish into it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql

from segmentation_pipeline.runtime.settings import DATABASE_VARIABLE
from segmentation_pipeline.storage.registry import schema
from segmentation_pipeline.storage.warehouse.postgres.connection import get_engine
from support.books import Books

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    import sqlalchemy as sa


OURS = "SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema$)'"


@pytest.fixture(scope="session")
def emptied_url(new_database: Callable[[], AbstractContextManager[str]]) -> Iterator[str]:
    """The URL of a database that is empty for each test: emptying one is faster than creating one."""
    with new_database() as url:
        yield url


@pytest.fixture
def engine(emptied_url: str, monkeypatch: pytest.MonkeyPatch) -> sa.Engine:
    """The engine of an empty database with the `segmentation` schema."""
    monkeypatch.setenv(DATABASE_VARIABLE, emptied_url)
    with psycopg.connect(emptied_url) as connection:
        for (name,) in connection.execute(OURS).fetchall():
            connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(name)))
        connection.execute("CREATE SCHEMA public")
        connection.execute("GRANT USAGE ON SCHEMA public TO PUBLIC")
    schema.migrate(DATABASE_VARIABLE)
    return get_engine()


@pytest.fixture
def books(engine: sa.Engine) -> Books:
    """The segmentation `shop` with an integer key, and its target table with customers 1 to 6."""
    books = Books(engine)
    books.register()
    books.execute("CREATE TABLE target (user_id integer PRIMARY KEY, segment_id integer, last_updated timestamptz)")
    books.execute("INSERT INTO target (user_id) SELECT generate_series(1, 6)")
    return books
