"""From the scheme of a URL to its warehouse."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from segmentation_pipeline.errors import ConfigurationError
from segmentation_pipeline.model import Period
from segmentation_pipeline.spec import PublishSpec, SourceSpec
from segmentation_pipeline.storage.warehouse.open import source_for, target_for
from segmentation_pipeline.storage.warehouse.postgres.source import PostgresSource
from segmentation_pipeline.storage.warehouse.postgres.target import PostgresTarget

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = SourceSpec(query="SELECT 1 AS id", key="id", url_env="A_URL")
MONTH = Period("2026-10-01", datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC))
PUBLISH = PublishSpec(table="public.target", key="id", url_env="A_URL")


@pytest.mark.parametrize(
    "url", ["postgresql://localhost/x", "postgres://localhost/x", "postgresql+psycopg://localhost/x", ""]
)
def test_postgresql_and_the_embedded_server_are_one_warehouse(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Both spellings of the scheme, a driver's name behind it and an empty variable lead to PostgreSQL, unconnected."""
    monkeypatch.setenv("A_URL", url)
    connection = sa.Connection.__new__(sa.Connection)
    assert source_for(SOURCE, timezone="UTC") == PostgresSource(SOURCE, "UTC")
    assert target_for(PUBLISH, connection) == PostgresTarget(PUBLISH, connection)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://localhost/x", "A_URL must hold a URL that begins with postgresql://"),
        ("localhost/x", "A_URL must hold a URL that begins with postgresql://"),
        ("", "A_URL is not set; it must hold a postgresql:// URL"),
    ],
)
def test_another_scheme_is_refused_when_it_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str, message: str
) -> None:
    """A URL of an unknown database is named by its variable at the first extraction."""
    monkeypatch.setenv("A_URL", url)
    source = source_for(SOURCE, timezone="UTC")
    with pytest.raises(ConfigurationError, match=message):
        source.extract(SOURCE.query or "", MONTH, tmp_path / "rows.parquet")
