"""What an earlier snapshot says about today's customers: by its model, by their own history, by place."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np
from pandas.api.types import is_integer_dtype

from segmentation_pipeline.analysis.arrays.distances import squared_lengths
from segmentation_pipeline.analysis.arrays.grouping import Groups
from segmentation_pipeline.analysis.arrays.rows import BLOCK_ROWS, iter_placed_blocks
from segmentation_pipeline.analysis.arrays.threads import map_in_order
from segmentation_pipeline.analysis.clustering.labelling import assign
from segmentation_pipeline.analysis.features.encoding import transform
from segmentation_pipeline.analysis.features.kinds import kind_of
from segmentation_pipeline.analysis.identity.evidence import Reference
from segmentation_pipeline.model import UNASSIGNED, FittedModel

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from numpy.typing import NDArray

    from segmentation_pipeline.analysis.arrays.rows import Rows
    from segmentation_pipeline.model import EarlierSnapshot, Snapshot

# A tenth of a standard deviation of all customers: a cluster of equal customers is not a point.
LEAST_SPREAD: Final = 0.1


@dataclass(frozen=True, slots=True)
class EarlierCustomers:
    """An earlier snapshot, and the segments that today's customers had in it.

    `segments` returns them, shape (n,), -1 for customers who had none; None where it has no record of customers. It is
    called once, after the snapshot's model has labelled the rows, so that its caller may read them in the meantime.
    """

    snapshot: EarlierSnapshot
    segments: Callable[[], NDArray[np.int32] | None]


def find_missing_columns(snapshot: Snapshot, rows: Rows) -> list[str]:
    """Return the columns that a snapshot's encoding reads and `rows` lack, or have in a form that it cannot read."""
    features = snapshot.encoding.features
    return [
        feature.column
        for feature in features
        if feature.column not in rows.columns or not kind_of(feature).can_encode(rows[feature.column])
    ]


def consult(earlier: EarlierCustomers, rows: Rows, clusters: NDArray[np.int32], *, k: int) -> Reference:
    """Return what a snapshot says about today's `rows`, shape (n, c), with `clusters` of shape (n,), block by block.

    Where the rows lack a column of the snapshot's encoding, the history is the only witness. The model has no opinion
    on rows that the encoding cannot take (a null that was rejected then and is filled today).
    """
    snapshot = earlier.snapshot
    labels = likeness = None
    if not find_missing_columns(snapshot.snapshot, rows):
        labels, likeness = _label_by_model(snapshot, rows, clusters, k=k)
    return Reference(snapshot.through, labels, snapshot.segment_ids, snapshot.sizes, earlier.segments(), likeness)


def look_up_segments(history: pd.Series, keys: pd.Series) -> NDArray[np.int32]:
    """Return the segment of each of `keys`, shape (n,), in `history`, which is indexed by key; -1 where it is not."""
    if not (is_integer_dtype(history.index.dtype) and is_integer_dtype(keys.dtype)):
        return history.reindex(keys).fillna(UNASSIGNED).to_numpy(dtype=np.int32)
    # sorted, not hashed: a table of ten million keys would be several hundred megabytes
    order = np.argsort(history.index.to_numpy())
    then, segments = history.index.to_numpy()[order], history.to_numpy()[order]
    del history, order  # as large as all that follows
    today, found = keys.to_numpy(), np.full(len(keys), UNASSIGNED, dtype=np.int32)
    for start in range(0, len(today) if len(then) else 0, BLOCK_ROWS):
        here = slice(start, start + BLOCK_ROWS)
        place = np.searchsorted(then, today[here]).clip(max=len(then) - 1)
        found[here] = np.where(then[place] == today[here], segments[place], UNASSIGNED)
    return found


def _label_by_model(
    earlier: EarlierSnapshot, rows: Rows, clusters: NDArray[np.int32], *, k: int
) -> tuple[NDArray[np.int32], NDArray[np.float64] | None]:
    """Label today's rows by a snapshot's encoding and model; also compare clusters and segments in its frame."""
    model, encoding = earlier.snapshot.model, earlier.snapshot.encoding
    labels = np.full(len(rows), UNASSIGNED, dtype=np.int32)
    segment_ids = tuple(sorted({*earlier.segment_ids, *earlier.sizes}))
    placed = sorted(model.labels) == sorted(segment_ids)
    middle = model.centers.mean(axis=0)  # near the rows, which keeps the products small

    nothing = np.empty((0, len(middle)), dtype=np.float32), np.empty(0, dtype=np.int32)
    nobody = Spreads.of(*nothing, k=k if placed else 0, middle=middle)

    def measure(matrix: NDArray[np.float32], own: NDArray[np.int32]) -> Spreads:
        return Spreads.of(matrix, own, k=k, middle=middle) if placed else nobody

    def label(placed_block: tuple[slice, pd.DataFrame]) -> Spreads:
        here, block = placed_block
        with np.errstate(invalid="ignore", divide="ignore"):  # log1p(-2): that row has no opinion
            matrix = transform(block, encoding).matrix
        own = clusters[here]
        if np.isfinite(matrix.sum(dtype=np.float64)):
            labels[here] = assign(matrix, model).labels
            return measure(matrix, own)
        usable = np.isfinite(matrix).all(axis=1)
        labels[here][usable] = assign(matrix[usable], model).labels
        return measure(matrix[usable], own[usable])

    spreads = functools.reduce(Spreads.plus, map_in_order(label, iter_placed_blocks(rows)), nobody)
    return labels, compare_places(spreads, model, segment_ids)


@dataclass(frozen=True, slots=True)
class Spreads:
    """Where clusters lie and how they spread: counts (k,), sums (k, D) and products (k, D, D) less a middle (D,)."""

    middle: NDArray[np.float64]
    counts: NDArray[np.int64]
    sums: NDArray[np.float64]
    products: NDArray[np.float64]

    @classmethod
    def of(
        cls, matrix: NDArray[np.float32], clusters: NDArray[np.int32], *, k: int, middle: NDArray[np.float64]
    ) -> Self:
        """Measure k clusters, from rows of shape (b, D) and their `clusters`, shape (b,), -1 for none."""
        groups = Groups.of(clusters, k)
        rows = [own - middle for own in groups.split(matrix)]
        width = len(middle)
        return cls(
            middle,
            counts=groups.sizes.astype(np.int64),
            sums=np.array([own.sum(axis=0) for own in rows]).reshape(k, width),
            products=np.array([own.T @ own for own in rows]).reshape(k, width, width),
        )

    def plus(self, other: Spreads) -> Spreads:
        """Add the spreads of other rows, around the same middle."""
        return Spreads(self.middle, self.counts + other.counts, self.sums + other.sums, self.products + other.products)

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


def compare_places(spreads: Spreads, model: FittedModel, segment_ids: tuple[int, ...]) -> NDArray[np.float64] | None:
    """Return how much a cluster and a segment would overlap as two normals, shape (k, S).

    `spreads` are those of today's clusters in the snapshot's frame. The normals lie on the line between the cluster's
    mean and the segment's center, with the cluster's spread along it: means that are d spreads apart overlap by
    2 Phi(-d / 2). None where a segment has several prototypes, and so no center.
    """
    from scipy.stats import norm

    if sorted(model.labels) != sorted(segment_ids):
        return None
    centers = np.stack([model.centers[model.labels.index(segment)] for segment in segment_ids])
    likeness = np.zeros((len(spreads.counts), len(segment_ids)))
    for cluster in np.flatnonzero(spreads.counts).tolist():
        way = centers - spreads.mean(cluster)
        length = np.sqrt(squared_lengths(way))
        direction = np.divide(way, length[:, None], out=np.zeros_like(way), where=length[:, None] > 0)
        spread = np.maximum(spreads.along(cluster, direction), LEAST_SPREAD)
        likeness[cluster] = 2 * norm.cdf(-length / spread / 2)
    return likeness
