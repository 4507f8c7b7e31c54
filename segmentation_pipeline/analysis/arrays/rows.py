"""Rows that are read a column or a block at a time, so that a table need not fit into memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# some tens of megabytes of a usual table
BLOCK_ROWS: Final = 131_072


class StoredRows(Protocol):
    """A table that lies on disk: its length, its columns, one column as a whole, or all of it in blocks."""

    @property
    def columns(self) -> Sequence[str]:
        """The names of the columns."""

    def __len__(self) -> int:
        """The number of rows."""

    def __getitem__(self, column: str, /) -> pd.Series:
        """Read one column."""

    def blocks(self, size: int, /) -> Iterator[pd.DataFrame]:
        """Read all columns, at most `size` rows at a time, in order."""


Rows = pd.DataFrame | StoredRows


def placed_blocks(rows: Rows, *, size: int = BLOCK_ROWS) -> Iterator[tuple[slice, pd.DataFrame]]:
    """What `blocks` gives, each block with its place among all rows."""
    start = 0
    for block in blocks(rows, size=size):
        yield slice(start, start + len(block)), block
        start += len(block)


def blocks(rows: Rows, *, size: int = BLOCK_ROWS) -> Iterator[pd.DataFrame]:
    """Give `rows`, in memory or on disk, in frames of at most `size` rows, in order."""
    if isinstance(rows, pd.DataFrame):
        for start in range(0, len(rows), size):
            yield rows.iloc[start : start + size]
    else:
        yield from rows.blocks(size)
