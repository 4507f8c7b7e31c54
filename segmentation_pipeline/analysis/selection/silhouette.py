"""Silhouettes of every row: exact, and for many labelings at once.

The silhouette of a row is (b - a) / max(a, b), with a the mean distance to the other rows of its cluster and b the
smallest mean distance to the rows of another cluster (Rousseeuw 1987, doi:10.1016/0377-0427(87)90125-7). The distances
do not depend on the labels, so one pass over blocks of the distance matrix serves every K.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from segmentation_pipeline.analysis.arrays.distance_sums import sum_distances
from segmentation_pipeline.analysis.arrays.grouping import Groups

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    Matrix = NDArray[np.floating[Any]]
    Labels = NDArray[np.integer[Any]]

# The tile of distances of a block of this many rows takes 32 MB of float32.
BLOCK_ROWS: Final = 1024
# Labels up to it are counted, not sorted.
MOST_COUNTED: Final = 65_535


@dataclass(frozen=True, slots=True)
class LabelCodes:
    """Labels as the numbers 0..K-1 in the labels' order, shape (n,), and the number of rows of each, shape (K,)."""

    codes: NDArray[np.intp]
    counts: NDArray[np.intp]


def silhouette_samples(
    matrix: Matrix, labelings: Sequence[Labels], *, block_rows: int = BLOCK_ROWS
) -> list[NDArray[np.float64]]:
    """Return the exact silhouette of every row under every labeling, from one pass over the distances.

    `matrix` is (n, D), each labeling (n,) integers of any values. The result has one float64 array (n,) for each
    labeling; rows alone in their cluster score 0. Memory is a tile of distances and copies of the matrix and the
    one-hot labels; time is O(n^2 (D + clusters)).

    Raises:
        ValueError: fewer than two clusters, labels of another length, or values that are not finite.
    """
    require_finite(matrix)
    encoded = [encode_labels(matrix, labels, position) for position, labels in enumerate(labelings)]
    silhouettes = [np.zeros(len(matrix)) for _ in encoded]
    if not encoded:
        return silhouettes
    # Rows of one cluster side by side: a block is centred on itself, which is what keeps float32 accurate.
    finest = max(range(len(encoded)), key=lambda position: len(encoded[position].counts))
    order = Groups.of(encoded[finest].codes, len(encoded[finest].counts)).order
    data = shrink(matrix, order)
    ordered = [labels.codes[order] for labels in encoded]
    edges = np.cumsum([0, *(len(labels.counts) for labels in encoded)])
    members = np.zeros((len(matrix), int(edges[-1])), dtype=np.float32)
    for codes, edge in zip(ordered, edges, strict=False):
        members[np.arange(len(matrix)), edge + codes] = 1.0
    for start, stop in split_blocks(ordered[finest], block_rows):
        sums = np.split(sum_distances(data, start, stop, members), edges[1:-1], axis=1)
        for into, codes, labels, own in zip(silhouettes, ordered, encoded, sums, strict=True):
            into[order[start:stop]] = score_sums(own, codes[start:stop], labels.counts)
    return silhouettes


def encode_labels(matrix: Matrix, labels: Labels, position: int = 0) -> LabelCodes:
    """Return `labels`, shape (n,) integers of any values, as codes; `position` names them in an error.

    Raises:
        ValueError: labels of another length than `matrix`, or fewer than two clusters.
    """
    if labels.shape != (len(matrix),):
        raise ValueError(f"labeling {position} has shape {labels.shape}, expected ({len(matrix)},).")
    encoded = count_labels(labels)
    if len(encoded.counts) < 2:
        raise ValueError(
            f"labeling {position} has {len(encoded.counts)} cluster on {len(matrix)} rows, expected at least 2. "
            "Raise K, or check that the rows are not all alike."
        )
    return encoded


def count_labels(labels: Labels) -> LabelCodes:
    """Return `labels`, shape (n,) integers of any values, as codes with their counts."""
    if len(labels) and int(labels.min()) >= 0 and int(labels.max()) <= MOST_COUNTED:
        # cluster numbers are small: counting them is ten times as fast as sorting
        sizes = np.bincount(labels)
        present = np.flatnonzero(sizes)
        place = np.zeros(len(sizes), dtype=np.intp)
        place[present] = np.arange(len(present))
        return LabelCodes(place[labels], sizes[present].astype(np.intp))
    _, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return LabelCodes(codes.astype(np.intp), counts.astype(np.intp))


def require_finite(matrix: Matrix) -> None:
    """Raise ValueError unless `matrix` has two dimensions and only finite values."""
    if matrix.ndim != 2:
        raise ValueError(f"matrix has {matrix.ndim} dimensions, expected 2: one row a customer.")
    if not np.isfinite(matrix.sum(dtype=np.float64)):
        raise ValueError("matrix holds values that are not finite: impute or reject them when encoding.")


def shrink(matrix: Matrix, order: NDArray[np.intp]) -> NDArray[np.float64]:
    """Centre the rows, shrink them into -1..1 and put them in `order`.

    That leaves silhouettes as they are and float32 far from its limits.
    """
    data = np.asarray(matrix, dtype=np.float64) - matrix.mean(axis=0, dtype=np.float64)
    data /= np.abs(data).max(initial=0.0) or 1.0
    return np.take(data, order, axis=0)


def split_blocks(codes: NDArray[np.intp], block_rows: int) -> Iterator[tuple[int, int]]:
    """Yield row ranges that never span two clusters of the (sorted) codes."""
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    for first, last in zip(starts, [*starts[1:], len(codes)], strict=True):
        for start in range(int(first), int(last), block_rows):
            yield start, min(start + block_rows, int(last))


def score_sums(sums: NDArray[np.float64], codes: NDArray[np.intp], counts: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the silhouettes (b,) of rows with `codes` (b,), from their summed distances to every cluster (b, K)."""
    here, own = np.arange(len(codes)), counts[codes]
    a = sums[here, codes] / np.maximum(own - 1, 1)
    means = sums / np.maximum(counts, 1)
    means[:, counts == 0] = np.inf
    means[here, codes] = np.inf
    return np.where(own <= 1, 0.0, silhouette_ratio(a, means.min(axis=1)))


def silhouette_ratio(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (b - a) / max(a, b), and 0 where neither says anything."""
    larger = np.maximum(a, b)
    return np.divide(b - a, larger, out=np.zeros_like(larger), where=(larger > 0) & np.isfinite(larger))
