"""The silhouettes of a sweep's candidates: their means, those of the clusters, and a sample that a picture shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from segmentation_pipeline.analysis.selection.silhouette import silhouette_samples
from segmentation_pipeline.analysis.selection.silhouette_estimate import (
    EXACT_ROWS,
    draw_stratified,
    estimate_silhouette,
)
from segmentation_pipeline.model import SilhouetteSample

if TYPE_CHECKING:
    from collections.abc import Sequence
    from concurrent.futures import Executor

    from numpy.typing import NDArray

# Above EXACT_ROWS each silhouette is estimated on this many rows, with an error that is shown beside it; the cost grows
# with their square.
ESTIMATE_ROWS: Final = 5_000
# The error is that of this many groups, left out in turn.
ERROR_GROUPS: Final = 10
# A silhouette plot shows at most this many customers, and of each cluster, where it has them, at least SHOWN_FLOOR.
SHOWN_ROWS: Final = 2_000
SHOWN_FLOOR: Final = 40


@dataclass(frozen=True, slots=True)
class CandidateSilhouette:
    """The mean silhouette of one K; the standard `error` is 0 where every row was used.

    `values` (m,) are the silhouettes of the rows at `rows` (m,).
    """

    mean: float
    error: float
    negative_share: float
    rows: NDArray[np.intp]
    values: NDArray[np.float64]


def measure_silhouettes(
    matrix: NDArray[np.float32],
    labelings: Sequence[NDArray[np.integer[Any]]],
    rng: np.random.Generator,
    pool: Executor,
) -> list[CandidateSilhouette]:
    """Return the mean silhouette of each labeling (n,) of `matrix`, shape (n, D).

    They are exact up to EXACT_ROWS, from one pass over the distances for all of them; above it each is estimated on a
    stratified sample.
    """
    if len(matrix) <= EXACT_ROWS:
        exact = silhouette_samples(matrix, labelings)
        rows = np.arange(len(matrix), dtype=np.intp)
        return [
            CandidateSilhouette(float(values.mean()), 0.0, float((values < 0).mean()), rows, values) for values in exact
        ]
    futures = [
        pool.submit(estimate_silhouette, matrix, labels, size=ESTIMATE_ROWS, groups=ERROR_GROUPS, rng=own_rng)
        for labels, own_rng in zip(labelings, rng.spawn(len(labelings)), strict=True)
    ]
    estimates = [future.result() for future in futures]
    return [
        CandidateSilhouette(
            mean=estimate.mean,
            error=estimate.standard_error,
            negative_share=estimate.negative_share,
            rows=estimate.indices,
            values=estimate.samples,
        )
        for estimate in estimates
    ]


def average_by_cluster(silhouette: CandidateSilhouette, labels: NDArray[np.int64], k: int) -> tuple[float, ...]:
    """Return the mean silhouette of each cluster, over all rows that have one: they are a uniform sample within it.

    `labels` (n,) are those of all rows.
    """
    own = labels[silhouette.rows]
    sums, counts = np.bincount(own, weights=silhouette.values, minlength=k), np.bincount(own, minlength=k)
    return tuple((sums / np.maximum(counts, 1)).tolist())


def sample_silhouettes(
    silhouette: CandidateSilhouette, labels: NDArray[np.int64], rng: np.random.Generator
) -> SilhouetteSample:
    """Return a stratified sample of the silhouettes, with the number of rows that each stands for.

    `labels` (n,) are those of all rows.
    """
    own = labels[silhouette.rows]
    picked = draw_stratified(own, size=SHOWN_ROWS, floor=SHOWN_FLOOR, rng=rng).indices
    sizes, drawn = np.bincount(labels), np.bincount(own[picked], minlength=int(labels.max()) + 1)
    clusters = own[picked]
    return SilhouetteSample(clusters, silhouette.values[picked], (sizes / np.maximum(drawn, 1))[clusters])
