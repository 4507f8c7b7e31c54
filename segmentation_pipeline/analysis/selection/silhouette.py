"""Silhouettes: exact for many labelings at once, estimated on a stratified sample, simplified on all rows.

The silhouette of a row is (b - a) / max(a, b), with a the mean distance to the other rows of its cluster and
b the smallest mean distance to the rows of another cluster (Rousseeuw 1987,
doi:10.1016/0377-0427(87)90125-7). The distances do not depend on the labels, so one pass over blocks of the
distance matrix serves every K.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.analysis.arrays.grouping import Groups

Matrix = NDArray[np.floating[Any]]
Labels = NDArray[np.integer[Any]]
# Few large products (32 MB of float32 distances), for BLAS threads wait for each other after each, and strips
# of 1 MB for the passes between them, which stay in cache.
BLOCK_ROWS, BLOCK_COLUMNS, STRIP_ROWS = 1024, 8192, 32
# So few rows cost nothing in float64, and single distances matter too much for float32's rounding of them.
DOUBLE_ROWS = 4_096
# Up to this many rows a silhouette is exact, from all distances; above it is estimated from a sample.
EXACT_ROWS = 20_000
# Labels up to it are counted, not sorted.
MOST_COUNTED = 65_535


@dataclass(frozen=True, slots=True)
class StratifiedSample:
    """Rows drawn cluster by cluster; `weights[i]` is how many rows of the data `indices[i]` stands for."""

    indices: NDArray[np.intp]
    weights: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Runs:
    """Rows side by side that belong together: segment i, if it has any, begins at `starts[i]`, shape (S,).

    Adding up what lies side by side is several times as fast as a product with one-hot columns.
    """

    starts: NDArray[np.intp]
    found: NDArray[np.intp]
    n_segments: int

    @classmethod
    def of(cls, codes: NDArray[np.intp], n_segments: int) -> Self:
        """The segments of ascending `codes`, shape (n,), in 0..n_segments-1."""
        starts = np.flatnonzero(np.diff(codes, prepend=-1))
        return cls(starts, codes[starts], n_segments)

    def add(self, strip: NDArray[np.floating[Any]], left: int, *, into: NDArray[np.float64]) -> None:
        """Add the columns of `strip`, shape (b, m), which are rows `left` and on, to `into`, shape (b, n_segments)."""
        # from the segment that reaches into the strip from the left
        first = int(np.searchsorted(self.starts, left, side="right")) - 1
        last = int(np.searchsorted(self.starts, left + strip.shape[1], side="left"))
        edges = np.maximum(self.starts[first:last] - left, 0)
        into[:, self.found[first:last]] += np.add.reduceat(strip, edges, axis=1)


@dataclass(frozen=True, slots=True)
class SilhouetteEstimate:
    """The mean silhouette as a sample sees it; the standard error is 0 when every row was used."""

    mean: float
    standard_error: float
    n_sampled: int
    negative_share: float
    indices: NDArray[np.intp]
    samples: NDArray[np.float64]


def silhouette_samples(
    matrix: Matrix, labelings: Sequence[Labels], *, block_rows: int = BLOCK_ROWS
) -> list[NDArray[np.float64]]:
    """Return the exact silhouette of every row under every labeling, from one pass over the distances.

    `matrix` is (n_rows, n_features), each labeling (n_rows,) integers of any values. The result has one
    float64 array (n_rows,) per labeling; rows alone in their cluster score 0. Memory is a tile of distances
    and copies of the matrix and the one-hot labels; time is O(n_rows^2 (n_features + clusters)).

    Raises ValueError for fewer than two clusters, labels of another length, or values that are not finite.
    """
    codes, counts = _encode(matrix, labelings)
    silhouettes = [np.zeros(len(matrix)) for _ in codes]
    if not codes:
        return silhouettes
    # Rows of one cluster side by side: a block is centred on itself, which is what keeps float32 honest.
    finest = max(range(len(codes)), key=lambda position: len(counts[position]))
    order = Groups.of(codes[finest], len(counts[finest])).order
    data = _shrink(matrix, order)
    ordered = [code[order] for code in codes]
    edges = np.cumsum([0, *(len(count) for count in counts)])
    members = np.zeros((len(matrix), int(edges[-1])), dtype=np.float32)
    for code, edge in zip(ordered, edges, strict=False):
        members[np.arange(len(matrix)), edge + code] = 1.0
    for start, stop in _blocks(ordered[finest], block_rows):
        sums = np.split(_distance_sums(data, start, stop, members), edges[1:-1], axis=1)
        for into, code, count, own in zip(silhouettes, ordered, counts, sums, strict=True):
            into[order[start:stop]] = _from_sums(own, code[start:stop], count)
    return silhouettes


def stratified_sample(labels: Labels, *, size: int, floor: int, rng: np.random.Generator) -> StratifiedSample:
    """Draw about `size` rows without replacement: in proportion to the clusters, but `floor` from each.

    A cluster smaller than the floor is taken whole. When the floors alone exceed `size` they win. `weights`
    is float64 and sums to len(labels). Raises ValueError for a size or floor below 1 or for no labels at all.
    """
    if size < 1 or floor < 1 or len(labels) == 0:
        found = f"size={size}, floor={floor}, {len(labels)} labels"
        raise ValueError(f"{found}: each should be at least 1. Raise the one that is not.")
    codes, counts = _codes(labels)
    if size >= len(labels):
        return StratifiedSample(np.arange(len(labels), dtype=np.intp), np.ones(len(labels)))
    takes = _allocate(counts, size=size, floor=floor)
    pairs = zip(Groups.of(codes, len(counts)).rows, takes, strict=True)
    indices = np.concatenate([rng.choice(rows, size=take, replace=False) for rows, take in pairs])
    weights = np.repeat(counts / takes, takes)
    ascending = np.argsort(indices)
    return StratifiedSample(indices[ascending], weights[ascending])


def silhouette_estimate(
    matrix: Matrix,
    labels: Labels,
    *,
    size: int = 10_000,
    floor: int = 100,
    rng: np.random.Generator,
    groups: int = 20,
) -> SilhouetteEstimate:
    """Estimate the mean silhouette of all rows from a sample stratified by cluster, with its standard error.

    The sample is uniform within a cluster, so mean distances to it are unbiased, and a row counts for as many
    as it stands for. The same rows are judged and judge others, which a textbook stratified variance ignores:
    hence a delete-a-group jackknife (Kott 2001, Journal of Official Statistics 17(4)) in which a group leaves
    both roles. With `size` at least the number of rows the result is exact and the error 0.

    Raises ValueError as `silhouette_samples` and `stratified_sample` do, and for fewer than two groups.
    """
    if groups < 2:
        raise ValueError(f"groups={groups} should be at least 2 to give a standard error.")
    codes, counts = _encode_one(matrix, labels)
    sample = stratified_sample(labels, size=size, floor=max(floor, 2), rng=rng)
    rows, drawn = matrix[sample.indices], codes[sample.indices]
    _require_finite(rows)
    if len(rows) == len(matrix):
        samples, replicates = silhouette_samples(rows, [drawn])[0], np.zeros(groups)
    else:
        samples, replicates = _jackknife(rows, drawn, counts, groups=groups, rng=rng)
    spread, unseen = (groups - 1) * float(replicates.var()), 1.0 - len(rows) / len(matrix)
    return SilhouetteEstimate(
        mean=float(np.average(samples, weights=sample.weights)),
        standard_error=float(np.sqrt(spread * unseen)),
        n_sampled=len(rows),
        negative_share=float(np.average(samples < 0, weights=sample.weights)),
        indices=sample.indices,
        samples=samples,
    )


def simplified_silhouette(
    matrix: Matrix, centers: Matrix, labels: Labels, *, block_rows: int = 65_536
) -> NDArray[np.float64]:
    """Return per row the silhouette with centroids in place of clusters: exact, streamed, O(n_rows * K).

    `matrix` is (n_rows, n_features) and may be memory-mapped, `centers` is (K, n_features), `labels` is
    (n_rows,) with values in 0..K-1. Rows alone in their cluster score 0, else adding clusters would add
    perfect scores; a tie between the own and the next centroid scores 0 too (Hruschka, Campello and de
    Castro 2006, doi:10.1016/j.ins.2005.07.015).

    Raises ValueError for fewer than two centroids, labels outside 0..K-1 or lengths that differ.
    """
    k = len(centers)
    if k < 2 or len(matrix) != len(labels):
        raise ValueError(
            f"{k} centroids, {len(matrix)} rows, {len(labels)} labels: expected two centroids or more and "
            "one label a row. Raise sweep.k_min to 2."
        )
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < k:
        found = f"{labels.min()} to {labels.max()}"
        raise ValueError(f"labels run from {found}, expected 0..{k - 1}: pass cluster indices.")
    middle = np.asarray(centers, dtype=np.float64).mean(axis=0)
    anchors = np.asarray(centers, dtype=np.float64) - middle
    alone = np.bincount(labels, minlength=k) == 1
    silhouettes = np.empty(len(matrix))
    for start in range(0, len(matrix), block_rows):
        block = np.asarray(matrix[start : start + block_rows], dtype=np.float64) - middle
        own, here = labels[start : start + block_rows], np.arange(len(block))
        squared = -2.0 * (block @ anchors.T)
        squared += np.einsum("ij,ij->i", anchors, anchors)
        squared += np.einsum("ij,ij->i", block, block)[:, None]
        distances = np.sqrt(np.maximum(squared, 0.0))
        a = distances[here, own]
        distances[here, own] = np.inf
        silhouettes[start : start + block_rows] = np.where(alone[own], 0.0, _ratio(a, distances.min(axis=1)))
    return silhouettes


def _codes(labels: Labels) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The labels as 0..K-1 in their order, shape (n,), and how many rows each has, shape (K,)."""
    if len(labels) and int(labels.min()) >= 0 and int(labels.max()) <= MOST_COUNTED:
        # cluster numbers are small: counting them is ten times as fast as sorting
        sizes = np.bincount(labels)
        found = np.flatnonzero(sizes)
        place = np.zeros(len(sizes), dtype=np.intp)
        place[found] = np.arange(len(found))
        return place[labels], sizes[found].astype(np.intp)
    _, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return codes.astype(np.intp), counts.astype(np.intp)


def _encode(matrix: Matrix, labelings: Sequence[Labels]) -> tuple[list[NDArray[np.intp]], list[NDArray[np.intp]]]:
    _require_finite(matrix)
    both = [_encode_one(matrix, labels, position) for position, labels in enumerate(labelings)]
    return [codes for codes, _ in both], [counts for _, counts in both]


def _encode_one(matrix: Matrix, labels: Labels, position: int = 0) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    if labels.shape != (len(matrix),):
        raise ValueError(f"labeling {position} has shape {labels.shape}, expected ({len(matrix)},).")
    codes, counts = _codes(labels)
    if len(counts) < 2:
        raise ValueError(
            f"labeling {position} has {len(counts)} cluster on {len(matrix)} rows, expected at least 2. "
            "Raise K, or check that the rows are not all alike."
        )
    return codes, counts


def _require_finite(matrix: Matrix) -> None:
    if matrix.ndim != 2:
        raise ValueError(f"matrix has {matrix.ndim} dimensions, expected 2: one row a customer.")
    if not np.isfinite(matrix.sum(dtype=np.float64)):
        raise ValueError("matrix holds values that are not finite: impute or reject them when encoding.")


def _shrink(matrix: Matrix, order: NDArray[np.intp]) -> NDArray[np.float64]:
    """Centre and shrink into -1..1, which leaves silhouettes as they are and float32 far from its limits."""
    data = np.asarray(matrix, dtype=np.float64) - matrix.mean(axis=0, dtype=np.float64)
    data /= np.abs(data).max(initial=0.0) or 1.0
    return np.take(data, order, axis=0)


def _blocks(codes: NDArray[np.intp], block_rows: int) -> Iterator[tuple[int, int]]:
    """Yield row ranges that never span two clusters of the (sorted) codes."""
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    for first, last in zip(starts, [*starts[1:], len(codes)], strict=True):
        for start in range(int(first), int(last), block_rows):
            yield start, min(start + block_rows, int(last))


def _distance_sums(
    data: NDArray[np.float64], start: int, stop: int, members: NDArray[np.float32] | Runs
) -> NDArray[np.float64]:
    """Return the summed distances from rows start..stop to every column of `members`, or to every segment of rows."""
    precision = np.float64 if len(data) <= DOUBLE_ROWS else np.float32
    center = data[start:stop].mean(axis=0)
    rows = (data[start:stop] - center).astype(precision)
    row_norms = np.einsum("ij,ij->i", rows, rows)[:, None]
    # The Gram form cannot tell smaller distances from rounding: equal rows have to come out as 0.
    smallest = (8 + data.shape[1]) * float(np.finfo(precision).eps) * row_norms
    rows *= -2.0
    n_sums = members.n_segments if isinstance(members, Runs) else members.shape[1]
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


def _from_sums(sums: NDArray[np.float64], codes: NDArray[np.intp], counts: NDArray[np.intp]) -> NDArray[np.float64]:
    here, own = np.arange(len(codes)), counts[codes]
    a = sums[here, codes] / np.maximum(own - 1, 1)
    means = sums / np.maximum(counts, 1)
    means[:, counts == 0] = np.inf
    means[here, codes] = np.inf
    return np.where(own <= 1, 0.0, _ratio(a, means.min(axis=1)))


def _ratio(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    larger = np.maximum(a, b)
    return np.divide(b - a, larger, out=np.zeros_like(larger), where=(larger > 0) & np.isfinite(larger))


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
    """Return the silhouettes on the sample and the weighted mean with each group left out, (groups,)."""
    k, sizes = len(population), np.bincount(codes, minlength=len(population))
    order = rng.permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    parts = np.arange(len(codes)) % groups  # at random, and evenly within every cluster
    places = codes[order] * groups + parts
    by_part = Groups.of(places, k * groups).order
    order, parts, places = order[by_part], parts[by_part], places[by_part]
    data, codes = _shrink(rows, order), codes[order]
    segments = Runs.of(places, k * groups)
    in_part = np.bincount(places, minlength=k * groups).reshape(k, groups)
    samples = np.empty(len(data))
    totals, kept = np.zeros((groups, k)), np.zeros((groups, k))
    for start, stop in _blocks(codes, BLOCK_ROWS):
        sums = _distance_sums(data, start, stop, segments).reshape(stop - start, k, groups)
        whole, own = sums.sum(axis=2), codes[start:stop]
        samples[order[start:stop]] = _from_sums(whole, own, sizes)
        for group in range(groups):
            stay = parts[start:stop] != group
            values = _from_sums((whole - sums[:, :, group])[stay], own[stay], sizes - in_part[:, group])
            totals[group, own[0]] += values.sum()
            kept[group, own[0]] += stay.sum()
    strata = np.where(kept > 0, totals / np.maximum(kept, 1), 0.0)
    return samples, strata @ (population / population.sum())
