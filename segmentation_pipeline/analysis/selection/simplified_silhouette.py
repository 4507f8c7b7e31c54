"""The silhouette with centroids in place of clusters: its time grows with the rows and not with their square.

Hruschka, Campello and de Castro 2006, doi:10.1016/j.ins.2005.07.015.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from segmentation_pipeline.analysis.arrays.distances import product_distances
from segmentation_pipeline.analysis.selection.silhouette import silhouette_ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Matrix = NDArray[np.floating[Any]]
    Labels = NDArray[np.integer[Any]]

BLOCK_ROWS: Final = 65_536


def simplified_silhouette(
    matrix: Matrix, centers: Matrix, labels: Labels, *, block_rows: int = BLOCK_ROWS
) -> NDArray[np.float64]:
    """Return the simplified silhouette of every row, shape (n,): exact, in blocks, O(n * K).

    `matrix` is (n, D) and may be memory-mapped, `centers` is (K, D), `labels` is (n,) with values in 0..K-1. Rows alone
    in their cluster score 0, else adding clusters would add perfect scores; a tie between the own and the next centroid
    scores 0 too.

    Raises:
        ValueError: fewer than two centroids, labels outside 0..K-1, or lengths that differ.
    """
    k = len(centers)
    if k < 2 or len(matrix) != len(labels):
        raise ValueError(
            f"{k} centroids, {len(matrix)} rows, {len(labels)} labels: expected two centroids or more and "
            "one label a row. Raise sweep.k_min to 2."
        )
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < k:
        given = f"{labels.min()} to {labels.max()}"
        raise ValueError(f"labels run from {given}, expected 0..{k - 1}: pass cluster indices.")
    middle = np.asarray(centers, dtype=np.float64).mean(axis=0)
    anchors = np.asarray(centers, dtype=np.float64) - middle
    alone = np.bincount(labels, minlength=k) == 1
    silhouettes = np.empty(len(matrix))
    for start in range(0, len(matrix), block_rows):
        block = np.asarray(matrix[start : start + block_rows], dtype=np.float64) - middle
        own, here = labels[start : start + block_rows], np.arange(len(block))
        distances = product_distances(block, anchors)
        a = distances[here, own]
        distances[here, own] = np.inf
        scores = np.where(alone[own], 0.0, silhouette_ratio(a, distances.min(axis=1)))
        silhouettes[start : start + block_rows] = scores
    return silhouettes
