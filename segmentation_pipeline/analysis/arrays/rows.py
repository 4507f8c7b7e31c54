"""Rows that are read one column or one block at a time, so that a table need not fit into memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# A block of a usual table takes some tens of megabytes.
BLOCK_ROWS: Final = 131_072


class StoredRows(Protocol):
    """A table on disk: its length, its columns, one whole column, or all columns in blocks."""

    @property
    def columns(self) -> Sequence[str]:
        """The names of the columns."""

    def __len__(self) -> int:
        """Return the number of rows."""

    def __getitem__(self, column: str, /) -> pd.Series:
        """Read one column."""

    def iter_blocks(self, size: int, /) -> Iterator[pd.DataFrame]:
        """Read all columns, at most `size` rows at a time, in order."""


Rows = pd.DataFrame | StoredRows


def iter_placed_blocks(rows: Rows, *, size: int = BLOCK_ROWS) -> Iterator[tuple[slice, pd.DataFrame]]:
    """Yield the blocks of `iter_blocks`, each with its place among all rows."""
    start = 0
    for block in iter_blocks(rows, size=size):
        yield slice(start, start + len(block)), block
        start += len(block)


def iter_blocks(rows: Rows, *, size: int = BLOCK_ROWS) -> Iterator[pd.DataFrame]:
    """Yield `rows`, in memory or on disk, as frames of at most `size` rows, in order."""
    if isinstance(rows, pd.DataFrame):
        for start in range(0, len(rows), size):
            yield rows.iloc[start : start + size]
    else:
        yield from rows.iter_blocks(size)
