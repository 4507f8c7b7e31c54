"""The local engine: kernels over blocks, the same results whatever the blocks and however many threads."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segmentation_pipeline.engines.base import Mapped
from segmentation_pipeline.engines.local.blocks import MatrixBlocks, MatrixSink, RowBlocks
from segmentation_pipeline.engines.local.engine import LocalEngine

if TYPE_CHECKING:
    from numpy.typing import NDArray

ENGINES = pytest.mark.parametrize("engine", [LocalEngine(), LocalEngine(in_threads=False)], ids=["threads", "alone"])


class Rows:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        """Keep nothing yet."""
        self.blocks: list[Any] = []

    def add(self, rows: Any, /) -> None:
        """Keep a block."""
        self.blocks.append(rows)


def double(place: slice, block: NDArray[np.float32], *, factor: float) -> Mapped[list[tuple[int, int]]]:
    """Return the block times a factor, and its place."""
    return Mapped((block * np.float32(factor),), [(place.start, place.stop)])


def count(_place: slice, block: NDArray[np.float32]) -> int:
    """Return the number of rows."""
    return len(block)


@ENGINES
@settings(max_examples=30, deadline=None)
@given(n_rows=st.integers(0, 40), size=st.integers(1, 50))
def test_map_writes_every_row_once_and_in_order(engine: LocalEngine, n_rows: int, size: int) -> None:
    """Whatever the size of the blocks, the sink receives all rows in their order, and the values are merged in order."""
    matrix = np.arange(n_rows * 2, dtype=np.float32).reshape(n_rows, 2)
    into = np.full_like(matrix, np.nan)
    sink = MatrixSink(into)

    places = engine.map(
        MatrixBlocks(matrix, size), partial(double, factor=2), into=(sink,), merge=list.__add__, empty=[]
    )

    np.testing.assert_array_equal(into, matrix * 2)
    assert sink.n_rows == n_rows
    starts = list(range(0, n_rows, size))
    assert places == [(start, min(start + size, n_rows)) for start in starts]


@ENGINES
@settings(max_examples=30, deadline=None)
@given(n_rows=st.integers(0, 40), size=st.integers(1, 50))
def test_reduce_merges_the_values_of_all_blocks(engine: LocalEngine, n_rows: int, size: int) -> None:
    """The values of the blocks are merged onto the empty one; without rows it is the result."""
    matrix = np.zeros((n_rows, 3), dtype=np.float32)
    assert engine.reduce(MatrixBlocks(matrix, size), count, merge=int.__add__, empty=0) == n_rows


def split(_place: slice, block: pd.DataFrame) -> Mapped[int]:
    """Return the rows with even and with odd numbers."""
    even = block["number"] % 2 == 0
    return Mapped((block[even], block[~even]), int(even.sum()))


@ENGINES
def test_a_kernel_may_write_to_several_sinks(engine: LocalEngine) -> None:
    """Each sink receives the rows that the kernel made for it."""
    frame = pd.DataFrame({"number": range(10)})
    even, odd = Rows(), Rows()
    n_even = engine.map(RowBlocks(frame, size=3), split, into=(even, odd), merge=int.__add__, empty=0)
    assert n_even == 5
    assert pd.concat(even.blocks)["number"].tolist() == [0, 2, 4, 6, 8]
    assert pd.concat(odd.blocks)["number"].tolist() == [1, 3, 5, 7, 9]


@ENGINES
def test_an_error_of_a_kernel_ends_the_work(engine: LocalEngine) -> None:
    """The error of a block reaches the caller as it was raised."""

    def fail(place: slice, _block: NDArray[np.float32]) -> int:
        if place.start >= 4:
            message = f"block at {place.start}"
            raise ValueError(message)
        return 1

    with pytest.raises(ValueError, match="block at 4"):
        engine.reduce(MatrixBlocks(np.zeros((9, 1), np.float32), 2), fail, merge=int.__add__, empty=0)
