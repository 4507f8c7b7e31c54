"""A migrated database, a target table, and snapshots to publish into it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from segmentation_pipeline.storage import database as connections
from segmentation_pipeline.storage import schema

sys.path.insert(0, str(Path(__file__).parent))

from books import Books

if TYPE_CHECKING:
    import sqlalchemy as sa


@pytest.fixture
def engine(database: str) -> sa.Engine:
    """The engine of an empty database with the `segmentation` schema."""
    found = connections.engine()
    schema.migrate(connections.DEFAULT_VARIABLE)
    return found


@pytest.fixture
def books(engine: sa.Engine) -> Books:
    """The segmentation `shop` with an integer key, and its target table with customers 1 to 6."""
    books = Books(engine)
    books.register()
    books.execute("CREATE TABLE target (user_id integer PRIMARY KEY, segment_id integer, last_updated timestamptz)")
    books.execute("INSERT INTO target (user_id) SELECT generate_series(1, 6)")
    return books
