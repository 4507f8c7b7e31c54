"""Partial sums of an evaluation: what some of the rows add to the figures of every fit, on whichever machine they lie.

Two passes over the rows, `sum_fits` and then `sum_spreads`, which needs the means that the first one found. Both are
kernels of an engine: a block of rows with its place among all rows and plain values in, a small value out, and the
values are merged with `+` in the order of the blocks. `add_up` and `add_up_spreads` finish what was merged.

Sums of floats depend on their order. So the rows are cut on a fixed grid, BLOCK_ROWS of `arrays.distances` apart, and a
partial result keeps one entry for every block of the grid: they are added up once, at the end, from the first to the
last. Parts that are cut on the grid lead to the same bits, however its blocks are grouped. Labels and counts are the
same for any cut. An entry holds P * D numbers for 8,192 rows of D numbers, with P the clusters of all K together: for
K = 2 to 10, which are 54 clusters, 1.3 % of the rows' size.
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
    partial_distances_on_grid,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from segmentation_pipeline.analysis.arrays.distances import CentredBlock

# This many rows show whether two K differ; the paired error is of these.
SCORED_ROWS: Final = 50_000
# larger than any squared distance, and still a number when it is multiplied by 0
NOT_AGAIN: Final = 1e300


@dataclass(frozen=True, slots=True)
class Anchors:
    """The centers of all fits, one fit below the other and less a `middle` (D,) near the rows: `points` (P, D).

    Fit i has the points from `edges[i]` to `edges[i + 1]`. Of the `n_rows` rows in all, `scored_rows` (m,) are the
    numbers of those whose scores are kept, ascending.
    """

    points: NDArray[np.float64]
    edges: tuple[int, ...]
    middle: NDArray[np.float64]
    n_rows: int
    scored_rows: NDArray[np.int64]

    @property
    def slices(self) -> list[slice]:
        """Where the points of each fit lie."""
        return [slice(first, last) for first, last in itertools.pairwise(self.edges)]


@dataclass(frozen=True, slots=True)
class BlockSums:
    """The sums of one block of the grid, for F fits with P clusters together.

    Of each fit `inertias` and simplified silhouettes `scores`, both (F,); of each cluster the same `cluster_scores` and
    the number of rows, `counts`, both (P,), and the sum of its rows less the middle, `sums` (P, D); `norms` is the sum
    of the rows' squared lengths. The block's scored rows have `row_scores` and `row_labels`, both (F, s).
    """

    counts: NDArray[np.int64]
    inertias: NDArray[np.float64]
    scores: NDArray[np.float64]
    cluster_scores: NDArray[np.float64]
    sums: NDArray[np.float64]
    norms: float
    row_scores: NDArray[np.float64]
    row_labels: NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class EvaluationSums:
    """The sums of adjoining rows, in order: an entry for every block of the grid."""

    blocks: tuple[BlockSums, ...] = ()

    def __add__(self, after: EvaluationSums) -> EvaluationSums:
        """Return these sums and those of the rows after them."""
        return EvaluationSums(self.blocks + after.blocks)


@dataclass(frozen=True, slots=True)
class SpreadSums:
    """The summed distances of adjoining rows to the means of their clusters: (P,) for every block of the grid."""

    blocks: tuple[NDArray[np.float64], ...] = ()

    def __add__(self, after: SpreadSums) -> SpreadSums:
        """Return these sums and those of the rows after them."""
        return SpreadSums(self.blocks + after.blocks)


@dataclass(frozen=True, slots=True)
class Totals:
    """The sums of all rows: the fields of `BlockSums`, with the scored rows of all blocks, both (F, m)."""

    counts: NDArray[np.int64]
    inertias: NDArray[np.float64]
    scores: NDArray[np.float64]
    cluster_scores: NDArray[np.float64]
    sums: NDArray[np.float64]
    norms: float
    row_scores: NDArray[np.float64]
    row_labels: NDArray[np.int16]

    @property
    def means(self) -> NDArray[np.float64]:
        """The mean of each cluster's rows less the middle, shape (P, D); 0 for a cluster without rows."""
        means = np.zeros(self.sums.shape)
        present = self.counts > 0
        means[present] = self.sums[present] / self.counts[present, None]
        return means


def pick_scored_rows(n_rows: int) -> NDArray[np.int64]:
    """Return the numbers of the rows whose scores are kept: at most SCORED_ROWS, spread over all of them."""
    return np.linspace(0, n_rows - 1, min(n_rows, SCORED_ROWS)).astype(np.int64)


def place_anchors(centers: Sequence[NDArray[np.float64]], *, n_rows: int, scored: NDArray[np.float32]) -> Anchors:
    """Return the anchors of `centers`, each (K, D); `scored` (m, D) are the rows of `pick_scored_rows`."""
    middle = scored.mean(axis=0, dtype=np.float64)  # near the rows, which keeps the products small
    edges = (0, *itertools.accumulate(map(len, centers)))
    return Anchors(np.vstack(centers) - middle, edges, middle, n_rows, pick_scored_rows(n_rows))


def sum_fits(place: slice, block: NDArray[np.float32], *, anchors: Anchors) -> EvaluationSums:
    """Return what `block`, shape (b, D), the rows at `place`, adds to the figures of every fit."""
    labels = np.empty((len(anchors.slices), len(block)), dtype=np.int16)
    return EvaluationSums(tuple(iter_block_sums(block, anchors, first_row=place.start, labels=labels)))


def sum_spreads(
    place: slice, block: NDArray[np.float32], *, anchors: Anchors, means: NDArray[np.float64]
) -> SpreadSums:
    """Return the summed distances of `block`, shape (b, D), the rows at `place`, to `means` (P, D), those of `Totals`.

    The rows are labelled again: their labels would take more room than all the sums.
    """
    labels = np.empty((len(anchors.slices), len(block)), dtype=np.int16)
    for piece in iter_centred_blocks(block, anchors.middle, first_row=place.start):
        distances = _anchor_distances(place.start, piece, anchors)
        members = np.empty(distances.shape)
        for named, fit in zip(labels, anchors.slices, strict=True):
            nearest, _, _ = _find_nearest_two(distances[fit], members=members[fit])
            named[piece.start : piece.start + len(nearest)] = nearest
    return SpreadSums(tuple(iter_block_spreads(block, anchors, first_row=place.start, means=means, labels=labels)))


def iter_block_sums(
    matrix: NDArray[np.float32], anchors: Anchors, *, first_row: int, labels: NDArray[np.int16]
) -> Iterator[BlockSums]:
    """Yield the sums of each block of the grid of `matrix`, shape (n, D), and write its labels into `labels` (F, n).

    `first_row` is the number of the first row among all rows.
    """
    for block in iter_centred_blocks(matrix, anchors.middle, first_row=first_row):
        here = slice(block.start, block.start + len(block.rows))
        yield _sum_block(first_row, block, anchors, labels=labels[:, here])


def iter_block_spreads(
    matrix: NDArray[np.float32],
    anchors: Anchors,
    *,
    first_row: int,
    means: NDArray[np.float64],
    labels: NDArray[np.int16],
) -> Iterator[NDArray[np.float64]]:
    """Yield the summed distances of each block of the grid to the means of the rows' clusters, shape (P,).

    `matrix` is (n, D), `means` (P, D), `labels` (F, n) says which cluster of each fit a row is in.
    """
    for block in iter_centred_blocks(matrix, anchors.middle, first_row=first_row):
        distances = partial_distances(block.rows, means)
        rows, sums = np.arange(len(block.rows)), np.empty(len(means))
        for named, fit in zip(labels, anchors.slices, strict=True):
            own = named[block.start : block.start + len(rows)]
            distance = np.sqrt(complete_distances(distances[fit][own, rows], block.norms))
            sums[fit] = np.bincount(own, weights=distance, minlength=fit.stop - fit.start)
        yield sums


def add_up(blocks: Iterable[BlockSums], anchors: Anchors) -> Totals:
    """Return the sums of all rows, from the entries of all blocks of the grid in order."""
    n_fits, shape = len(anchors.slices), anchors.points.shape
    counts = np.zeros(shape[0], dtype=np.int64)
    inertias, scores, cluster_scores = np.zeros(n_fits), np.zeros(n_fits), np.zeros(shape[0])
    sums, norms = np.zeros(shape), 0.0
    row_scores, row_labels = [], []
    for block in blocks:
        counts += block.counts
        inertias += block.inertias
        scores += block.scores
        cluster_scores += block.cluster_scores
        sums += block.sums
        norms += block.norms
        row_scores.append(block.row_scores)
        row_labels.append(block.row_labels)
    return Totals(
        counts=counts,
        inertias=inertias,
        scores=scores,
        cluster_scores=cluster_scores,
        sums=sums,
        norms=norms,
        row_scores=np.concatenate(row_scores, axis=1),
        row_labels=np.concatenate(row_labels, axis=1),
    )


def add_up_spreads(blocks: Iterable[NDArray[np.float64]], totals: Totals) -> NDArray[np.float64]:
    """Return the mean distance of each cluster's rows to its mean, shape (P,), from all blocks in order."""
    sums = np.zeros(len(totals.counts))
    for block in blocks:
        sums += block
    return np.divide(sums, totals.counts, out=np.zeros_like(sums), where=totals.counts > 0)


def _sum_block(first_row: int, block: CentredBlock, anchors: Anchors, *, labels: NDArray[np.int16]) -> BlockSums:
    """Return the sums of one block of the grid and write its labels into `labels`, shape (F, b).

    The block is one of those of the rows that begin with row `first_row` of all.
    """
    distances, norms = _anchor_distances(first_row, block, anchors), block.norms
    start = first_row + block.start
    first, last = np.searchsorted(anchors.scored_rows, [start, start + len(norms)])
    scored = anchors.scored_rows[first:last] - start
    members = np.empty(distances.shape)
    n_fits, n_clusters = len(labels), len(distances)
    counts, cluster_scores = np.empty(n_clusters, dtype=np.int64), np.empty(n_clusters)
    inertias, scores, row_scores = np.empty(n_fits), np.empty(n_fits), np.empty((n_fits, len(scored)))
    for index, fit in enumerate(anchors.slices):
        nearest, best, second = _find_nearest_two(distances[fit], members=members[fit])
        cost = complete_distances(best, norms)
        a, b = np.sqrt(cost), np.sqrt(complete_distances(second, norms))
        score = np.divide(b - a, b, out=np.zeros_like(a), where=b > 0)
        labels[index] = nearest
        counts[fit] = np.bincount(nearest, minlength=fit.stop - fit.start)
        inertias[index], scores[index] = cost.sum(), score.sum()
        cluster_scores[fit] = members[fit] @ score
        row_scores[index] = score[scored]
    return BlockSums(
        counts=counts,
        inertias=inertias,
        scores=scores,
        cluster_scores=cluster_scores,
        sums=members @ block.rows,
        norms=float(norms.sum()),
        row_scores=row_scores,
        row_labels=labels[:, scored],
    )


def _anchor_distances(first_row: int, block: CentredBlock, anchors: Anchors) -> NDArray[np.float64]:
    return partial_distances_on_grid(
        block.rows, anchors.points, first_row=first_row + block.start, n_rows=anchors.n_rows
    )


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
