"""Every K of a sweep judged on every row, in one pass over the rows for all of them at once.

A block of rows times the centers of all K gives all squared distances (in Gram form, float64); what each K needs falls
out of its columns. A second pass measures the distances to the means of the clusters, which the Davies-Bouldin index is
defined by. Memory does not grow with the rows but for one small integer a row and K.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from segmentation_pipeline.analysis.arrays.distances import (
    complete_distances,
    iter_centred_blocks,
    partial_distances,
    squared_distances_between,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# this many rows show whether two K differ; the paired error is of these
SCORED_ROWS: Final = 50_000
# larger than any squared distance, and still a number when it is multiplied by 0
NOT_AGAIN: Final = 1e300


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One K on n rows: `labels` (n,) int16, and the simplified silhouettes `scores` (m,) of the same m rows for each K.

    The simplified silhouette is that of Hruschka, Campello and de Castro (2006, doi:10.1016/j.ins.2005.07.015), the
    mean over all rows; Davies-Bouldin and Calinski-Harabasz are scikit-learn's; `shares` (K,) are the clusters'.
    `inertia_of_one` is that of K = 1, the same for every K.
    """

    labels: NDArray[np.int16]
    inertia: float
    inertia_of_one: float
    simplified_silhouette: float
    scores: NDArray[np.float64]
    davies_bouldin: float
    calinski_harabasz: float
    shares: NDArray[np.float64]


def evaluate_fits(matrix: NDArray[np.float32], centers: Sequence[NDArray[np.float64]]) -> list[Evaluation]:
    """Evaluate all of `centers`, shape (K, D) with K >= 2, on `matrix`, shape (n, D), which may be memory-mapped."""
    n_rows = len(matrix)
    picked = np.linspace(0, n_rows - 1, min(n_rows, SCORED_ROWS)).astype(np.int64)
    middle = matrix[picked].mean(axis=0, dtype=np.float64)  # near the rows, which keeps the products small
    anchors = np.vstack(centers) - middle
    edges = [0, *itertools.accumulate(map(len, centers))]
    labels = [np.empty(n_rows, dtype=np.int16) for _ in centers]
    scores = [np.empty(min(n_rows, SCORED_ROWS)) for _ in centers]
    inertias, totals = np.zeros(len(centers)), np.zeros(len(centers))
    own_scores = [np.zeros(len(own)) for own in centers]
    sums, total_inertia = np.zeros(anchors.shape), 0.0
    for block in iter_centred_blocks(matrix, middle):
        start, norms = block.start, block.norms
        distances = partial_distances(block.rows, anchors)
        here = slice(*np.searchsorted(picked, [start, start + len(norms)]))
        members = np.empty(distances.shape)
        for index, (first, last) in enumerate(itertools.pairwise(edges)):
            nearest, best, second = _find_nearest_two(distances[first:last], members=members[first:last])
            cost = complete_distances(best, norms)
            a, b = np.sqrt(cost), np.sqrt(complete_distances(second, norms))
            score = np.divide(b - a, b, out=np.zeros_like(a), where=b > 0)
            labels[index][start : start + len(norms)] = nearest
            inertias[index] += cost.sum()
            totals[index] += score.sum()
            own_scores[index] += members[first:last] @ score
            scores[index][here] = score[picked[here] - start]
        sums += members @ block.rows
        total_inertia += float(norms.sum())
    evaluations = []
    means = np.zeros(anchors.shape)
    counts = [np.bincount(named, minlength=len(own)) for named, own in zip(labels, centers, strict=True)]
    sizes = np.concatenate(counts)
    means[sizes > 0] = sums[sizes > 0] / sizes[sizes > 0, None]
    center = sums[: edges[1]].sum(axis=0) / n_rows
    total_inertia -= n_rows * float(center @ center)
    spreads = _measure_spreads(matrix, middle, means, sizes, labels, edges)
    for index, (first, last) in enumerate(itertools.pairwise(edges)):
        count, mean = counts[index], means[first:last]
        # a row alone in its cluster scores 0, else adding clusters would add perfect scores
        alone = float(own_scores[index][count == 1].sum())
        if (count == 1).any():
            scores[index][(count == 1)[labels[index][picked]]] = 0.0
        between = float((count[:, None] * (mean - center) ** 2).sum())
        within = max(total_inertia - between, 0.0)
        evaluations.append(
            Evaluation(
                labels=labels[index],
                inertia=float(inertias[index]),
                inertia_of_one=total_inertia,
                simplified_silhouette=float((totals[index] - alone) / n_rows),
                scores=scores[index],
                davies_bouldin=_davies_bouldin(mean[count > 0], spreads[first:last][count > 0]),
                calinski_harabasz=_calinski_harabasz(between, within, n_rows=n_rows, k=int((count > 0).sum())),
                shares=count / n_rows,
            )
        )
    return evaluations


def _find_nearest_two(
    distances: NDArray[np.float64], *, members: NDArray[np.float64]
) -> tuple[NDArray[np.int16], NDArray[np.float64], NDArray[np.float64]]:
    """Return the first nearest of K anchors and the `distances`, shape (K, b), of it and of the next; all (b,).

    `members`, shape (K, b), becomes 1 where an anchor is the nearest and 0 elsewhere; `distances` is used up. No step
    branches on a value, which would take longer than all the rest.
    """
    best = distances.min(axis=0)
    np.equal(distances, best, out=members)
    if members.sum() > len(best):  # two anchors in one place: the first
        members[:] = np.arange(len(distances))[:, None] == members.argmax(axis=0)
    distances += members * NOT_AGAIN
    nearest = np.arange(len(distances), dtype=np.float64) @ members
    return nearest.astype(np.int16), best, distances.min(axis=0)


def _measure_spreads(
    matrix: NDArray[np.float32],
    middle: NDArray[np.float64],
    means: NDArray[np.float64],
    sizes: NDArray[np.int64],
    labels: Sequence[NDArray[np.int16]],
    edges: Sequence[int],
) -> NDArray[np.float64]:
    """Return the mean distance of each cluster's rows to its mean, shape (P,) for the clusters of all K."""
    sums = np.zeros(len(means))
    for block in iter_centred_blocks(matrix, middle):
        distances = partial_distances(block.rows, means)
        rows = np.arange(len(block.rows))
        for assigned, (first, last) in zip(labels, itertools.pairwise(edges), strict=True):
            own = assigned[block.start : block.start + len(rows)]
            distance = np.sqrt(complete_distances(distances[first:last][own, rows], block.norms))
            sums[first:last] += np.bincount(own, weights=distance, minlength=last - first)
    return np.divide(sums, sizes, out=np.zeros_like(sums), where=sizes > 0)


def _davies_bouldin(means: NDArray[np.float64], spreads: NDArray[np.float64]) -> float:
    """Davies and Bouldin 1979 (doi:10.1109/TPAMI.1979.4766909), and 0 where scikit-learn returns 0."""
    apart = np.sqrt(squared_distances_between(means, means))
    if np.allclose(spreads, 0) or np.allclose(apart, 0):
        return 0.0
    apart[apart == 0] = np.inf
    return float(((spreads[:, None] + spreads[None]) / apart).max(axis=1).mean())


def _calinski_harabasz(between: float, within: float, *, n_rows: int, k: int) -> float:
    """Calinski and Harabasz 1974 (doi:10.1080/03610927408827101); 1 where no cluster has any spread."""
    if within <= 0 or k < 2:
        return 1.0
    return between * (n_rows - k) / (within * (k - 1))
