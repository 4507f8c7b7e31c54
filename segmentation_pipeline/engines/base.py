"""The seam between a computation and the machines that run it.

A step is written once, over the few verbs of an `Engine`. A kernel is a module-level function of one block and plain
arguments (encoding and model as values), so that it can be sent to another process. What it returns beside rows is a
small value, and the values are merged in the order of the blocks: the same blocks give the same bits, whichever engine
ran them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

B_co = TypeVar("B_co", covariant=True)
B = TypeVar("B")
Value = TypeVar("Value")


class Blocks(Protocol[B_co]):
    """Rows that are read in blocks: frames of a table, or float32 matrices of shape (b, D)."""

    def __iter__(self) -> Iterator[tuple[slice, B_co]]:
        """Yield the blocks in order, each with its place among all rows."""


class Sink(Protocol):
    """Where the rows that a kernel makes are written, block after block."""

    def add(self, rows: Any, /) -> None:  # a table, a frame or a matrix: what the kernel makes for it
        """Append a block of rows."""


@dataclass(frozen=True, slots=True)
class Mapped(Generic[Value]):
    """What a kernel made of a block: rows for each sink, in the order of the sinks, and a small value."""

    rows: tuple[Any, ...]  # a table, a frame or a matrix each
    value: Value


class Engine(Protocol):
    """Runs kernels over blocks."""

    def map(
        self,
        blocks: Blocks[B],
        kernel: Callable[[slice, B], Mapped[Value]],
        *,
        into: tuple[Sink, ...],
        merge: Callable[[Value, Value], Value],
        empty: Value,
    ) -> Value:
        """Write what `kernel` makes of each block into the sinks, and return its values, merged in order on `empty`."""

    def reduce(
        self,
        blocks: Blocks[B],
        kernel: Callable[[slice, B], Value],
        *,
        merge: Callable[[Value, Value], Value],
        empty: Value,
    ) -> Value:
        """Return the values that `kernel` makes of the blocks, merged in order on `empty`."""
