"""Euclidean distances: how far rows lie from each other is computed here; no other room writes a distance out.

scikit-learn's estimators (K-Means, nearest neighbours, HDBSCAN) are Euclidean by their own defaults.

The same distance is computed in three forms, which differ in speed and in the last bits. So a caller does not exchange
one for another.

- One difference at a time (`squared_distances`): a row's numbers do not depend on the rows around it. For what is said
  about a single customer.
- As one product, |x|^2 - 2 xc + |c|^2 (`partial_distances`, `product_distances`): many times as fast; its rounding
  depends on the block. For sums over many rows. A middle is subtracted from rows and centers first, which keeps the
  products small and their difference exact.
- All differences at once (`squared_distances_between`, `squared_distances_to`): for few points.

`distance_sums` sums the distances to whole groups of rows, which silhouettes need.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Points = NDArray[np.float64]

# This many rows and their differences stay in the cache.
CACHED_ROWS: Final = 4_096
# A block of this many rows, with its distances to all centers, stays in the cache.
BLOCK_ROWS: Final = 8_192
# The block in which squares around the means of clusters are added up.
SUM_ROWS: Final = 65_536


@dataclass(frozen=True, slots=True)
class CentredBlock:
    """Rows from position `start` on, less a middle, shape (b, D), and their squared lengths `norms`, shape (b,)."""

    start: int
    rows: Points
    norms: Points


def squared_distances(block: NDArray[np.float32], centers: Points) -> Points:
    """Return the squared distances of the rows of `block`, shape (b, D), to `centers`, shape (P, D): shape (b, P).

    It takes one difference at a time rather than the product, whose rounding depends on the batch.
    """
    squared = np.empty((len(block), len(centers)), dtype=np.float64)
    for start in range(0, len(block), CACHED_ROWS):
        part = slice(start, start + CACHED_ROWS)
        # in C order, because the order in which einsum adds up depends on the memory layout
        wide = block[part].astype(np.float64, order="C")
        difference = np.empty_like(wide)
        for index, center in enumerate(centers):
            np.subtract(wide, center, out=difference)
            np.einsum("ij,ij->i", difference, difference, out=squared[part, index])
    return squared


def squared_mahalanobis_distances(block: NDArray[np.float32], centers: Points, precisions: Points) -> Points:
    """Return `(x - m)' P (x - m)` for each row and component, shape (b, P), one column of the product at a time.

    `block` has shape (b, D), `centers` (P, D) and `precisions` (P, D, D).
    """
    squared = np.empty((len(block), len(centers)), dtype=np.float64)
    wide = block.astype(np.float64, order="C")
    for index, (center, precision) in enumerate(zip(centers, precisions, strict=True)):
        difference = wide - center
        turned = np.empty_like(difference)
        for column, direction in enumerate(np.ascontiguousarray(precision.T)):
            np.einsum("ij,ij->i", difference, np.broadcast_to(direction, difference.shape), out=turned[:, column])
        np.einsum("ij,ij->i", difference, turned, out=squared[:, index])
    return np.maximum(squared, 0.0)


def inertia(matrix: NDArray[np.float32], centers: Points) -> float:
    """Return the sum of squared distances of all rows, shape (n, D), to their nearest of `centers`, shape (K, D)."""
    middle, total = centers.mean(axis=0), 0.0
    for block in iter_centred_blocks(matrix, middle):
        nearest = partial_distances(block.rows, centers - middle).min(axis=0)
        total += float(complete_distances(nearest, block.norms).sum())
    return total


def inertia_within(matrix: NDArray[np.float32], labels: NDArray[np.int64], k: int) -> float:
    """Return the sum of squared distances of the rows, shape (n, D), to the mean of their cluster.

    `labels`, shape (n,), are those of k clusters; rows with a negative label are left out.
    """
    sums, counts = np.zeros((k, matrix.shape[1])), np.bincount(labels[labels >= 0], minlength=k)
    for block, own in _iter_labelled_blocks(matrix, labels):
        np.add.at(sums, own, block)
    means = sums / np.maximum(counts, 1)[:, None]
    return sum(float(np.square(block - means[own]).sum()) for block, own in _iter_labelled_blocks(matrix, labels))


def iter_centred_blocks(matrix: NDArray[np.float32], middle: Points, *, first_row: int = 0) -> Iterator[CentredBlock]:
    """Yield the rows of `matrix`, shape (n, D), less `middle`, shape (D,), block by block.

    The matrix may be a part of one that is larger: `first_row` is the number of its first row there, and blocks begin
    where the rows' numbers are multiples of BLOCK_ROWS.
    """
    start = 0
    while start < len(matrix):
        stop = start + BLOCK_ROWS - (first_row + start) % BLOCK_ROWS
        block = matrix[start:stop] - middle
        yield CentredBlock(start, block, norms=np.einsum("ij,ij->i", block, block))
        start = stop


def partial_distances(block: Points, anchors: Points) -> Points:
    """Return the squared distances less the rows' own squared lengths, which are the same for every anchor.

    The shape is (P, b), a row for each anchor, so that anchors are compared for thousands of customers at once.
    """
    beyond: Points = (-2.0 * anchors) @ block.T
    beyond += np.einsum("ij,ij->i", anchors, anchors)[:, None]
    return beyond


def partial_distances_on_grid(block: Points, anchors: Points, *, first_row: int, n_rows: int) -> Points:
    """Return the partial distances of a piece of a block of the grid that begins with row `first_row` of `n_rows`.

    They have the bits that they have in the product of the whole block. A library computes the edges of a product in
    another way, and where a row is as near to one anchor as to another, its label would depend on where a part ends.
    """
    before = first_row % BLOCK_ROWS
    size = min(BLOCK_ROWS, n_rows - first_row + before)
    if len(block) == size:
        return partial_distances(block, anchors)
    whole, here = np.zeros((size, block.shape[1])), slice(before, before + len(block))
    whole[here] = block
    return partial_distances(whole, anchors)[:, here]


def complete_distances(partial: Points, norms: Points) -> Points:
    """Return the squared distances, shape (..., b), from the partial ones and the rows' squared lengths, shape (b,)."""
    return np.maximum(partial + norms, 0.0)


def product_distances(block: Points, anchors: Points) -> Points:
    """Return the distances (not squared) of the rows of `block`, shape (b, D), to `anchors`, shape (P, D): (b, P)."""
    squared = -2.0 * (block @ anchors.T)
    squared += np.einsum("ij,ij->i", anchors, anchors)
    squared += np.einsum("ij,ij->i", block, block)[:, None]
    distances: Points = np.sqrt(np.maximum(squared, 0.0))
    return distances


def squared_distances_between(points: Points, others: Points) -> Points:
    """Return the squared distances of each of `points`, shape (P, D), to each of `others`, shape (Q, D): (P, Q)."""
    return squared_lengths(points[:, None] - others[None])


def squared_distances_to(point: Points, rows: NDArray[np.floating[Any]]) -> Points:
    """Return the squared distances of `rows`, shape (n, D), to one point, shape (D,): shape (n,)."""
    return squared_lengths(rows - point)


def squared_lengths(vectors: Points) -> Points:
    """Return the squared lengths of `vectors`, shape (..., D): shape (...)."""
    lengths: Points = np.square(vectors).sum(axis=-1)
    return lengths


def distance_between(point: Points, other: Points) -> float:
    """Return the distance (not squared) between two points, shape (D,)."""
    return float(np.linalg.norm(point - other))


def all_distances(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the distances (not squared) of all rows, shape (n, D), to each other, shape (n, n)."""
    from sklearn.metrics import pairwise_distances

    return np.asarray(pairwise_distances(points), dtype=np.float32)


def _iter_labelled_blocks(
    matrix: NDArray[np.float32], labels: NDArray[np.int64]
) -> Iterator[tuple[Points, NDArray[np.int64]]]:
    """Yield the rows that have a label, with their labels, block by block."""
    for start in range(0, len(matrix), SUM_ROWS):
        own = labels[start : start + SUM_ROWS]
        inside = own >= 0
        yield matrix[start : start + SUM_ROWS][inside].astype(np.float64), own[inside]
