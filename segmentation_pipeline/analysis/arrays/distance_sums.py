"""Sums of Euclidean distances from rows to groups of rows, from tiles of the distance matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Few large products (32 MB of float32 distances for 1,024 rows), because BLAS threads wait for each other after each
# product, and strips of 1 MB for the passes between the products, which stay in the cache.
BLOCK_COLUMNS: Final = 8192
STRIP_ROWS: Final = 32
# Up to this many rows float64 costs nothing, and single distances matter too much for float32's rounding of them.
DOUBLE_ROWS: Final = 4_096


@dataclass(frozen=True, slots=True)
class Runs:
    """Rows side by side that belong together: run i begins at `starts[i]` and has code `codes[i]`, both (S,).

    Adding up what lies side by side is several times as fast as a product with one-hot columns.
    """

    starts: NDArray[np.intp]
    codes: NDArray[np.intp]
    n_codes: int

    @classmethod
    def of(cls, codes: NDArray[np.intp], n_codes: int) -> Self:
        """Return the runs of ascending `codes`, shape (n,), in 0..n_codes-1."""
        starts = np.flatnonzero(np.diff(codes, prepend=-1))
        return cls(starts, codes[starts], n_codes)

    def add(self, strip: NDArray[np.floating[Any]], left: int, *, into: NDArray[np.float64]) -> None:
        """Add the columns of `strip`, shape (b, m), which are rows `left` and on, to `into`, shape (b, n_codes)."""
        # from the run that reaches into the strip from the left
        first = int(np.searchsorted(self.starts, left, side="right")) - 1
        last = int(np.searchsorted(self.starts, left + strip.shape[1], side="left"))
        edges = np.maximum(self.starts[first:last] - left, 0)
        into[:, self.codes[first:last]] += np.add.reduceat(strip, edges, axis=1)


def sum_distances(
    data: NDArray[np.float64], start: int, stop: int, members: NDArray[np.float32] | Runs
) -> NDArray[np.float64]:
    """Return the summed distances from rows `start` to `stop` of `data`, shape (n, D), to groups of its rows.

    The groups are the one-hot columns of `members`, shape (n, G), or the codes of its runs; the result has shape
    (stop - start, G). Rows near each other, such as those of one cluster, keep float32 accurate: they are centred on
    their own mean.
    """
    precision = np.float64 if len(data) <= DOUBLE_ROWS else np.float32
    center = data[start:stop].mean(axis=0)
    rows = (data[start:stop] - center).astype(precision)
    row_norms = np.einsum("ij,ij->i", rows, rows)[:, None]
    # The product form cannot distinguish smaller distances from rounding: equal rows have to come out as 0.
    smallest = (8 + data.shape[1]) * float(np.finfo(precision).eps) * row_norms
    rows *= -2.0
    n_sums = members.n_codes if isinstance(members, Runs) else members.shape[1]
    sums = np.zeros((stop - start, n_sums))
    for left in range(0, len(data), BLOCK_COLUMNS):
        right = min(left + BLOCK_COLUMNS, len(data))
        columns = (data[left:right] - center).astype(precision)
        tile = rows @ columns.T
        column_norms = np.einsum("ij,ij->i", columns, columns)
        for top in range(0, len(tile), STRIP_ROWS):
            strip = tile[top : top + STRIP_ROWS]
            strip += column_norms
            strip += row_norms[top : top + STRIP_ROWS]
            strip *= strip > smallest[top : top + STRIP_ROWS]
            np.sqrt(strip, out=strip)
            if isinstance(members, Runs):
                members.add(strip, left, into=sums[top : top + STRIP_ROWS])
        if not isinstance(members, Runs):
            sums += tile @ members[left:right]  # float32 within a tile, float64 between tiles
    return sums
