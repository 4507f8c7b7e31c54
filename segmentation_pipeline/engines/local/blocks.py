"""Tables and matrices as blocks of this machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from segmentation_pipeline.analysis.arrays.rows import BLOCK_ROWS, iter_placed_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

    from segmentation_pipeline.analysis.arrays.rows import Rows
    from segmentation_pipeline.storage.artifacts.rows import ParquetRows


@dataclass(frozen=True, slots=True)
class RowBlocks:
    """A table of n rows in frames of at most `size` rows."""

    rows: Rows
    size: int = BLOCK_ROWS

    def __iter__(self) -> Iterator[tuple[slice, pd.DataFrame]]:
        """Yield the frames in order, each with its place."""
        return iter_placed_blocks(self.rows, size=self.size)


@dataclass(frozen=True, slots=True)
class MatrixBlocks:
    """A matrix of shape (n, D) in blocks of at most `size` rows, without a copy."""

    matrix: NDArray[np.float32]
    size: int

    def __iter__(self) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Yield the blocks in order, each with its place."""
        for start in range(0, len(self.matrix), self.size):
            place = slice(start, min(start + self.size, len(self.matrix)))
            yield place, self.matrix[place]


@dataclass(slots=True)
class MatrixSink:
    """A matrix of shape (n, D), such as a memory map, that is filled from the top."""

    matrix: NDArray[np.float32]
    n_rows: int = 0

    def add(self, rows: NDArray[np.float32], /) -> None:
        """Append a block of shape (b, D)."""
        self.matrix[self.n_rows : self.n_rows + len(rows)] = rows
        self.n_rows += len(rows)


@dataclass(frozen=True, slots=True)
class BatchBlocks:
    """A table of n rows in Arrow batches of at most `size` rows."""

    rows: ParquetRows
    size: int = BLOCK_ROWS

    def __iter__(self) -> Iterator[tuple[slice, pa.RecordBatch]]:
        """Yield the batches in order, each with its place."""
        start = 0
        for batch in self.rows.batches(self.size):
            yield slice(start, start + batch.num_rows), batch
            start += batch.num_rows
