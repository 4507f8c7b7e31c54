"""Extracting from a database, for the tests of PostgreSQL as a source."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import psycopg
import pyarrow.parquet as pq

from segmentation_pipeline.model import Period
from segmentation_pipeline.spec import SourceSpec
from segmentation_pipeline.storage.warehouse.postgres.source import PostgresSource

if TYPE_CHECKING:
    from pathlib import Path

    from segmentation_pipeline.storage.warehouse.base import Extracted

MARCH = Period("2011-03-01", datetime(2011, 3, 1, tzinfo=UTC), datetime(2011, 4, 1, tzinfo=UTC))


def extract(query: str, destination: Path, *, period: Period = MARCH, timezone: str = "UTC", **spec: Any) -> Extracted:
    """Extract a query to a file; `spec` are fields of the source."""
    source = PostgresSource(SourceSpec(**{"query": query, "key": "id", **spec}), timezone)
    return source.extract(query, period, destination)


def extract_value(expression: str, destination: Path, **settings: Any) -> Any:
    """Extract one expression; return its value."""
    extract(f"SELECT 1 AS id, {expression} AS value", destination, **settings)
    return pq.read_table(destination).column("value").to_pylist()[0]


def execute(url: str, statement: str) -> None:
    """Run a statement in a database."""
    with psycopg.connect(url) as connection:
        connection.execute(statement)
