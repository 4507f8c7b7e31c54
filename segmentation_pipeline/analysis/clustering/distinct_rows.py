"""Counting distinct rows: there are never more clusters than these."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from segmentation_pipeline.errors import UnusableDataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Counting usually ends within the first block; each next block is twice as long, up to LARGEST_BLOCK_ROWS.
FIRST_BLOCK_ROWS: Final = 1_024
LARGEST_BLOCK_ROWS: Final = 65_536


def require_distinct_rows(matrix: NDArray[np.float32], k: int) -> None:
    """Require at least `k` distinct rows in a matrix of shape (n, D).

    Raises:
        UnusableDataError: fewer; the message has both numbers.
    """
    n_distinct = count_distinct_rows(matrix, enough=k)
    if n_distinct < k:
        message = (
            f"n_distinct_rows={n_distinct} should be >= n_clusters={k}: {len(matrix):,} customers show only "
            f"{n_distinct} different combinations of the features. Lower sweep.k_max (or fit.k), or add features."
        )
        raise UnusableDataError(message)


def count_distinct_rows(matrix: NDArray[np.float32], *, enough: int) -> int:
    """Count distinct rows in blocks, the first ones small, and stop at `enough` of them."""
    seen: set[bytes] = set()
    start, size = 0, FIRST_BLOCK_ROWS
    while start < len(matrix) and len(seen) < enough:
        block = np.ascontiguousarray(matrix[start : start + size]) + np.float32(0)  # -0.0 becomes 0.0
        rows = block.view(np.dtype((np.void, block.dtype.itemsize * block.shape[1])))
        seen.update(row.tobytes() for row in np.unique(rows))
        start, size = start + size, min(2 * size, LARGEST_BLOCK_ROWS)
    return len(seen)
