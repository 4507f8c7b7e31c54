"""A source to read from, and a file that the rows go to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path


@pytest.fixture(scope="module")
def source(new_database: Callable[[], AbstractContextManager[str]]) -> Iterator[str]:
    """The URL of one database for all tests of this module, which read from it."""
    with new_database() as url:
        yield url


@pytest.fixture
def destination(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the rows go; the environment names the source."""
    monkeypatch.setenv("SEGMENTATION_DATABASE_URL", source)
    return tmp_path / "rows.parquet"
