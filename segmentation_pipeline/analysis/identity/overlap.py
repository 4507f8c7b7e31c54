"""Counts of today's customers by cluster, and by cluster and segment: whole numbers that add up over any parts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from segmentation_pipeline.model import UNASSIGNED

if TYPE_CHECKING:
    from numpy.typing import NDArray

# the first row of a cluster without rows: behind all others
NO_ROW: Final = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class ClusterSizes:
    """How many customers each of k clusters has, shape (k,), and the first row of each, shape (k,)."""

    sizes: NDArray[np.int64]
    first: NDArray[np.int64]

    @classmethod
    def empty(cls, k: int) -> Self:
        """Return k clusters without customers."""
        return cls(np.zeros(k, dtype=np.int64), np.full(k, NO_ROW))

    def merge(self, other: Self) -> Self:
        """Add the counts of other rows."""
        return type(self)(self.sizes + other.sizes, np.minimum(self.first, other.first))

    def order(self) -> NDArray[np.int64]:
        """Return the clusters from the largest, equal ones by their first row, shape (k,)."""
        ranked = sorted(range(len(self.sizes)), key=lambda cluster: (-int(self.sizes[cluster]), self.first[cluster]))
        return np.asarray(ranked, dtype=np.int64)


def count_clusters(clusters: NDArray[np.int32], *, k: int, start: int = 0) -> ClusterSizes:
    """Count a block of rows, shape (b,), of which the first is row `start` of all; -1 is unassigned."""
    sizes = np.bincount(clusters[clusters >= 0], minlength=k)
    first = [start + int((clusters == cluster).argmax()) if sizes[cluster] else NO_ROW for cluster in range(k)]
    return ClusterSizes(sizes, np.asarray(first, dtype=np.int64))


@dataclass(frozen=True, slots=True)
class Overlap:
    """Counts of customers, shape (k, S), and the totals of both on the rows that the witness knows."""

    segment_ids: tuple[int, ...]
    counts: NDArray[np.int64]
    cluster_sizes: NDArray[np.int64]
    segment_sizes: NDArray[np.int64]

    @classmethod
    def empty(cls, segment_ids: tuple[int, ...], *, k: int) -> Self:
        """Return the overlap of k clusters with segments, without any customers."""
        width = len(segment_ids)
        sizes = np.zeros(k, dtype=np.int64), np.zeros(width, dtype=np.int64)
        return cls(tuple(sorted(segment_ids)), np.zeros((k, width), dtype=np.int64), *sizes)

    @property
    def jaccard(self) -> NDArray[np.float64]:
        """Shared customers over customers of either, shape (k, S)."""
        union = self.cluster_sizes[:, None] + self.segment_sizes[None, :] - self.counts
        score: NDArray[np.float64] = np.divide(self.counts, union, out=np.zeros(self.counts.shape), where=union > 0)
        return score

    def merge(self, other: Self) -> Self:
        """Add the counts of other rows, by the same segments."""
        return type(self)(
            self.segment_ids,
            self.counts + other.counts,
            self.cluster_sizes + other.cluster_sizes,
            self.segment_sizes + other.segment_sizes,
        )

    def reorder(self, order: NDArray[np.int64]) -> Self:
        """Return the clusters in another `order`, shape (k,)."""
        return type(self)(self.segment_ids, self.counts[order], self.cluster_sizes[order], self.segment_sizes)


def count_overlap(
    clusters: NDArray[np.int32], labels: NDArray[np.int32], segment_ids: tuple[int, ...], *, k: int
) -> Overlap:
    """Count a block of customers by (cluster, segment), on the rows whose cluster and label, both (b,), are known."""
    known = (clusters >= 0) & (labels != UNASSIGNED)
    rows, named = (clusters, labels) if known.all() else (clusters[known], labels[known])
    ids = np.asarray(sorted(segment_ids), dtype=np.int64)
    # one number for each pair
    width = max(int(ids.max(initial=0)), int(named.max(initial=0))) + 1
    counts = np.bincount(rows.astype(np.intp) * width + named, minlength=k * width).reshape(k, width)[:, ids]
    return Overlap(
        segment_ids=tuple(int(segment) for segment in ids),
        counts=counts,
        cluster_sizes=np.bincount(rows, minlength=k),
        segment_sizes=counts.sum(axis=0),
    )
