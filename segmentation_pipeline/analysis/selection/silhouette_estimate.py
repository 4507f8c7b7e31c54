"""The mean silhouette of many rows, estimated on a sample that is stratified by cluster, with its standard error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from segmentation_pipeline.analysis.arrays.distance_sums import Runs, sum_distances
from segmentation_pipeline.analysis.arrays.grouping import Groups
from segmentation_pipeline.analysis.selection.silhouette import (
    BLOCK_ROWS,
    count_labels,
    encode_labels,
    require_finite,
    score_sums,
    shrink,
    silhouette_samples,
    split_blocks,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Matrix = NDArray[np.floating[Any]]
    Labels = NDArray[np.integer[Any]]

# Up to this many rows a silhouette is exact, from all distances; above, it is estimated from a sample.
EXACT_ROWS: Final = 20_000


@dataclass(frozen=True, slots=True)
class StratifiedSample:
    """Rows drawn cluster by cluster; `weights[i]` is the number of rows of the data that `indices[i]` stands for."""

    indices: NDArray[np.intp]
    weights: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SilhouetteEstimate:
    """The mean silhouette as a sample sees it; the standard error is 0 when every row was used.

    `samples` (m,) are the silhouettes of the rows at `indices` (m,).
    """

    mean: float
    standard_error: float
    negative_share: float
    indices: NDArray[np.intp]
    samples: NDArray[np.float64]


def estimate_silhouette(
    matrix: Matrix,
    labels: Labels,
    *,
    size: int = 10_000,
    floor: int = 100,
    rng: np.random.Generator,
    groups: int = 20,
) -> SilhouetteEstimate:
    """Estimate the mean silhouette of all rows, shape (n, D), from a sample stratified by their labels, shape (n,).

    The sample is uniform within a cluster, so mean distances to it are unbiased, and a row counts for as many as it
    stands for. The same rows are judged and judge others, which a textbook stratified variance ignores: hence a
    delete-a-group jackknife (Kott 2001, Journal of Official Statistics 17(4)) in which a group leaves both roles. With
    `size` at least the number of rows the result is exact and the error 0.

    Raises:
        ValueError: as of `silhouette_samples` and `draw_stratified`, and for fewer than two groups.
    """
    if groups < 2:
        raise ValueError(f"groups={groups} should be at least 2 to estimate a standard error.")
    encoded = encode_labels(matrix, labels)
    sample = draw_stratified(labels, size=size, floor=max(floor, 2), rng=rng)
    rows, drawn = matrix[sample.indices], encoded.codes[sample.indices]
    require_finite(rows)
    if len(rows) == len(matrix):
        samples, replicates = silhouette_samples(rows, [drawn])[0], np.zeros(groups)
    else:
        samples, replicates = _jackknife(rows, drawn, encoded.counts, groups=groups, rng=rng)
    spread, unseen = (groups - 1) * float(replicates.var()), 1.0 - len(rows) / len(matrix)
    return SilhouetteEstimate(
        mean=float(np.average(samples, weights=sample.weights)),
        standard_error=float(np.sqrt(spread * unseen)),
        negative_share=float(np.average(samples < 0, weights=sample.weights)),
        indices=sample.indices,
        samples=samples,
    )


def draw_stratified(labels: Labels, *, size: int, floor: int, rng: np.random.Generator) -> StratifiedSample:
    """Draw about `size` rows without replacement: in proportion to the clusters, but `floor` from each.

    A cluster smaller than the floor is taken whole. When the floors alone exceed `size` they win. `weights` is float64
    and sums to len(labels).

    Raises:
        ValueError: a size or floor below 1, or no labels at all.
    """
    if size < 1 or floor < 1 or len(labels) == 0:
        given = f"size={size}, floor={floor}, {len(labels)} labels"
        raise ValueError(f"{given}: each should be at least 1. Raise the one that is not.")
    encoded = count_labels(labels)
    if size >= len(labels):
        return StratifiedSample(np.arange(len(labels), dtype=np.intp), np.ones(len(labels)))
    takes = _allocate(encoded.counts, size=size, floor=floor)
    pairs = zip(Groups.of(encoded.codes, len(encoded.counts)).rows, takes, strict=True)
    indices = np.concatenate([rng.choice(rows, size=take, replace=False) for rows, take in pairs])
    weights = np.repeat(encoded.counts / takes, takes)
    ascending = np.argsort(indices)
    return StratifiedSample(indices[ascending], weights[ascending])


def _allocate(counts: NDArray[np.intp], *, size: int, floor: int) -> NDArray[np.intp]:
    """Share `size` among clusters in proportion, none below the floor or, if smaller, its own size."""
    minimum = np.minimum(counts, floor)
    takes, open_ = minimum.copy(), np.ones(len(counts), dtype=bool)
    # Clusters held at their floor leave less to share: repeat until the rest stays above its floors.
    while open_.any():
        left = size - int(takes[~open_].sum())
        shares = np.floor(counts * max(left, 0) / counts[open_].sum()).astype(np.intp)
        held = open_ & (shares < minimum)
        if not held.any():
            takes[open_] = np.minimum(shares, counts)[open_]
            break
        open_ &= ~held
    return takes


def _jackknife(
    rows: Matrix,
    codes: NDArray[np.intp],
    population: NDArray[np.intp],
    *,
    groups: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the silhouettes on the sample and the weighted mean with each group left out, shape (groups,)."""
    k, sizes = len(population), np.bincount(codes, minlength=len(population))
    order = rng.permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    parts = np.arange(len(codes)) % groups  # at random, and evenly within every cluster
    places = codes[order] * groups + parts
    by_part = Groups.of(places, k * groups).order
    order, parts, places = order[by_part], parts[by_part], places[by_part]
    data, codes = shrink(rows, order), codes[order]
    runs = Runs.of(places, k * groups)
    in_part = np.bincount(places, minlength=k * groups).reshape(k, groups)
    samples = np.empty(len(data))
    totals, kept = np.zeros((groups, k)), np.zeros((groups, k))
    for start, stop in split_blocks(codes, BLOCK_ROWS):
        sums = sum_distances(data, start, stop, runs).reshape(stop - start, k, groups)
        whole, own = sums.sum(axis=2), codes[start:stop]
        samples[order[start:stop]] = score_sums(whole, own, sizes)
        for group in range(groups):
            stay = parts[start:stop] != group
            values = score_sums((whole - sums[:, :, group])[stay], own[stay], sizes - in_part[:, group])
            totals[group, own[0]] += values.sum()
            kept[group, own[0]] += stay.sum()
    strata = np.where(kept > 0, totals / np.maximum(kept, 1), 0.0)
    return samples, strata @ (population / population.sum())
