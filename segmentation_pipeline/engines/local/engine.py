"""Kernels on this machine: a block for each thread, and few blocks in memory."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from segmentation_pipeline.analysis.arrays.threads import map_in_order

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from segmentation_pipeline.engines.base import Blocks, Mapped, Sink

B = TypeVar("B")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class LocalEngine:
    """Runs kernels on as many threads as a numerical library would take, or on one after the other."""

    in_threads: bool = True

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

        def written() -> Iterator[Value]:
            for mapped in self._run(kernel, blocks):
                for sink, rows in zip(into, mapped.rows, strict=True):
                    sink.add(rows)
                yield mapped.value

        return functools.reduce(merge, written(), empty)

    def reduce(
        self,
        blocks: Blocks[B],
        kernel: Callable[[slice, B], Value],
        *,
        merge: Callable[[Value, Value], Value],
        empty: Value,
    ) -> Value:
        """Return the values that `kernel` makes of the blocks, merged in order on `empty`."""
        return functools.reduce(merge, self._run(kernel, blocks), empty)

    def _run(self, kernel: Callable[[slice, B], Value], blocks: Blocks[B]) -> Iterator[Value]:
        if self.in_threads:
            return map_in_order(lambda placed: kernel(*placed), blocks)
        return (kernel(place, block) for place, block in blocks)
