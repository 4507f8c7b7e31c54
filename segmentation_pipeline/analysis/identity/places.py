"""Where clusters lie in an earlier snapshot's frame, and how much each overlaps with a segment by its place."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from segmentation_pipeline.analysis.arrays.distances import squared_lengths
from segmentation_pipeline.analysis.arrays.grouping import Groups

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from segmentation_pipeline.model import FittedModel

# A tenth of a standard deviation of all customers: a cluster of equal customers is not a point.
LEAST_SPREAD: Final = 0.1


@dataclass(frozen=True, slots=True)
class Spreads:
    """Where clusters lie and how they spread: counts (k,), sums (k, D) and products (k, D, D) less a middle (D,)."""

    middle: NDArray[np.float64]
    counts: NDArray[np.int64]
    sums: NDArray[np.float64]
    products: NDArray[np.float64]

    def plus(self, other: Self) -> Self:
        """Add the spreads of other rows, around the same middle."""
        return type(self)(
            self.middle, self.counts + other.counts, self.sums + other.sums, self.products + other.products
        )

    def mean(self, cluster: int) -> NDArray[np.float64]:
        """Return the mean of a cluster's rows, shape (D,)."""
        mean: NDArray[np.float64] = self.middle + self.sums[cluster] / self.counts[cluster]
        return mean

    def along(self, cluster: int, directions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the standard deviation of a cluster's rows along `directions`, shape (S, D) of unit length."""
        mean = self.sums[cluster] / self.counts[cluster]
        covariance = self.products[cluster] / self.counts[cluster] - np.outer(mean, mean)
        variance: NDArray[np.float64] = np.einsum("sd,de,se->s", directions, covariance, directions)
        return np.sqrt(np.maximum(variance, 0.0))


@dataclass(frozen=True, slots=True)
class SpreadParts:
    """The spreads of consecutive blocks of rows, of which the first begins at row `start` of all.

    The bits of a sum of floats depend on the order of the addition. So the blocks of a part are kept apart until the
    blocks before them are there, and are then added from row 0 on, one after the other. Any grouping of the same blocks
    into parts has the same bits, and parts that are merged from row 0 on take the memory of one block.
    """

    start: int
    blocks: tuple[Spreads, ...]

    def merge(self, following: Self) -> Self:
        """Append the part of the rows that follow."""
        blocks = self.blocks + following.blocks
        return type(self)(self.start, blocks if self.start else (functools.reduce(Spreads.plus, blocks),))

    def finish(self) -> Spreads:
        """Return the spreads of all rows.

        Raises:
            ValueError: the rows before this part were not merged.
        """
        if self.start:
            raise ValueError(f"the part begins at row {self.start}: merge the parts from row 0 on.")
        return functools.reduce(Spreads.plus, self.blocks)


def begin_spreads(*, k: int, middle: NDArray[np.float64]) -> SpreadParts:
    """Return the part of no rows, to which the others are merged; the spreads are taken around `middle`, shape (D,)."""
    width = len(middle)
    nobody = Spreads(middle, np.zeros(k, dtype=np.int64), np.zeros((k, width)), np.zeros((k, width, width)))
    return SpreadParts(0, (nobody,))


def measure_spreads(
    matrix: NDArray[np.float32], clusters: NDArray[np.int32], *, k: int, middle: NDArray[np.float64], start: int
) -> SpreadParts:
    """Measure a block of rows, shape (b, D), that begins at row `start`, by clusters, shape (b,), -1 for none."""
    groups = Groups.of(clusters, k)
    rows = [own - middle for own in groups.split(matrix)]
    width = len(middle)
    spreads = Spreads(
        middle,
        counts=groups.sizes.astype(np.int64),
        sums=np.array([own.sum(axis=0) for own in rows]).reshape(k, width),
        products=np.array([own.T @ own for own in rows]).reshape(k, width, width),
    )
    return SpreadParts(start, (spreads,))


def find_middle(model: FittedModel) -> NDArray[np.float64]:
    """Return the mean of a model's centers, shape (D,): near the rows, which keeps the products small."""
    middle: NDArray[np.float64] = model.centers.mean(axis=0)
    return middle


def has_places(model: FittedModel, segment_ids: tuple[int, ...]) -> bool:
    """Return whether each segment has one prototype, which is its center."""
    return sorted(model.labels) == sorted(segment_ids)


def compare_places(spreads: Spreads, model: FittedModel, segment_ids: tuple[int, ...]) -> NDArray[np.float64]:
    """Return how much a cluster and a segment would overlap as two normals, shape (k, S).

    `spreads` are those of today's clusters in the snapshot's frame, and every segment of its `model` has one prototype.
    The normals lie on the line between the cluster's mean and the segment's center, with the cluster's spread along it:
    means that are d spreads apart overlap by 2 Phi(-d / 2).
    """
    from scipy.stats import norm

    centers = np.stack([model.centers[model.labels.index(segment)] for segment in segment_ids])
    likeness = np.zeros((len(spreads.counts), len(segment_ids)))
    for cluster in np.flatnonzero(spreads.counts).tolist():
        way = centers - spreads.mean(cluster)
        length = np.sqrt(squared_lengths(way))
        direction = np.divide(way, length[:, None], out=np.zeros_like(way), where=length[:, None] > 0)
        spread = np.maximum(spreads.along(cluster, direction), LEAST_SPREAD)
        likeness[cluster] = 2 * norm.cdf(-length / spread / 2)
    return likeness
