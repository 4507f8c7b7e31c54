"""Every K of a sweep judged on every row, in one pass over the rows for all of them at once.

The centers of all K times a block of rows make all squared distances (in Gram form, float64); each K reads its own
rows of that product. A second pass measures the distances to the means of the clusters, by which the Davies-Bouldin
index is defined. Memory does not grow with the rows but for one small integer for each row and K. The sums of both
passes are those of `evaluation_sums`, which an engine can compute from parts of the rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from segmentation_pipeline.analysis.arrays.distances import squared_distances_between
from segmentation_pipeline.analysis.selection.evaluation_sums import (
    add_up,
    add_up_spreads,
    iter_block_spreads,
    iter_block_sums,
    pick_scored_rows,
    place_anchors,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from segmentation_pipeline.analysis.selection.evaluation_sums import Anchors, Totals


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The figures of one K on n rows, and the simplified silhouettes `scores` (m,) of the same m rows for each K.

    The simplified silhouette is that of Hruschka, Campello and de Castro (2006, doi:10.1016/j.ins.2005.07.015), the
    mean over all rows; Davies-Bouldin and Calinski-Harabasz are scikit-learn's; `shares` (K,) are the clusters'.
    `inertia_of_one` is that of K = 1, the same for every K.
    """

    inertia: float
    inertia_of_one: float
    simplified_silhouette: float
    scores: NDArray[np.float64]
    davies_bouldin: float
    calinski_harabasz: float
    shares: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class EvaluatedFits:
    """The evaluation of each fit, and the labels of the rows under each fit, shape (n,)."""

    evaluations: tuple[Evaluation, ...]
    labels: tuple[NDArray[np.int16], ...]


def evaluate_fits(matrix: NDArray[np.float32], centers: Sequence[NDArray[np.float64]]) -> EvaluatedFits:
    """Evaluate all of `centers`, shape (K, D) with K >= 2, on `matrix`, shape (n, D), which may be memory-mapped."""
    anchors = place_anchors(centers, n_rows=len(matrix), scored=matrix[pick_scored_rows(len(matrix))])
    labels = np.empty((len(centers), len(matrix)), dtype=np.int16)
    totals = add_up(iter_block_sums(matrix, anchors, first_row=0, labels=labels), anchors)
    spreads = iter_block_spreads(matrix, anchors, first_row=0, means=totals.means, labels=labels)
    return EvaluatedFits(finish_evaluations(anchors, totals, add_up_spreads(spreads, totals)), tuple(labels))


def finish_evaluations(anchors: Anchors, totals: Totals, spreads: NDArray[np.float64]) -> tuple[Evaluation, ...]:
    """Return the figures of each fit from the sums of all rows; `spreads` (P,) are those of `add_up_spreads`."""
    n_rows, means = anchors.n_rows, totals.means
    center = totals.sums[anchors.slices[0]].sum(axis=0) / n_rows
    total_inertia = totals.norms - n_rows * float(center @ center)
    evaluations = []
    for index, fit in enumerate(anchors.slices):
        count, mean, scores = totals.counts[fit], means[fit], totals.row_scores[index]
        # a row alone in its cluster scores 0, else adding clusters would add perfect scores
        alone = float(totals.cluster_scores[fit][count == 1].sum())
        scores = np.where((count == 1)[totals.row_labels[index]], 0.0, scores)
        between = float((count[:, None] * (mean - center) ** 2).sum())
        within = max(total_inertia - between, 0.0)
        evaluations.append(
            Evaluation(
                inertia=float(totals.inertias[index]),
                inertia_of_one=total_inertia,
                simplified_silhouette=float((totals.scores[index] - alone) / n_rows),
                scores=scores,
                davies_bouldin=_davies_bouldin(mean[count > 0], spreads[fit][count > 0]),
                calinski_harabasz=_calinski_harabasz(between, within, n_rows=n_rows, k=int((count > 0).sum())),
                shares=count / n_rows,
            )
        )
    return tuple(evaluations)


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
