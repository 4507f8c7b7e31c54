"""Squared distances of many rows to a few centers, as one product: |x|^2 - 2 xc + |c|^2, float64.

A middle is subtracted from rows and centers first, which keeps the products small and their difference exact. These
distances are for sums over rows; a row's own label and distance come from `labelling`, exact to the last bit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

# A block of this many rows, with its distances to all centers, stays in the cache.
BLOCK_ROWS: Final = 8_192


def inertia(matrix: NDArray[np.float32], centers: NDArray[np.float64]) -> float:
    """Return the sum of squared distances of all rows, shape (n, D), to their nearest of `centers`, shape (K, D)."""
    middle, total = centers.mean(axis=0), 0.0
    for _, block, norms in iter_centred_blocks(matrix, middle):
        total += float(np.maximum(partial_distances(block, centers - middle).min(axis=0) + norms, 0.0).sum())
    return total


def iter_centred_blocks(
    matrix: NDArray[np.float32], middle: NDArray[np.float64]
) -> Iterator[tuple[int, NDArray[np.float64], NDArray[np.float64]]]:
    """Yield blocks: the first row, the rows less `middle`, shape (b, D), and their squared lengths, shape (b,)."""
    for start in range(0, len(matrix), BLOCK_ROWS):
        block = matrix[start : start + BLOCK_ROWS] - middle
        yield start, block, np.einsum("ij,ij->i", block, block)


def partial_distances(block: NDArray[np.float64], anchors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the squared distances less the rows' own squared lengths, which are the same for every anchor.

    The shape is (P, b), a row for each anchor, so that anchors are compared for thousands of customers at once.
    """
    beyond: NDArray[np.float64] = (-2.0 * anchors) @ block.T
    beyond += np.einsum("ij,ij->i", anchors, anchors)[:, None]
    return beyond
