"""What an earlier snapshot says of today's customers: by its model, by their own history, by place."""

from __future__ import annotations

import functools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np
from pandas.api.types import is_integer_dtype

from segmentation_pipeline.analysis.arrays.grouping import Groups
from segmentation_pipeline.analysis.arrays.rows import BLOCK_ROWS, iter_placed_blocks
from segmentation_pipeline.analysis.arrays.threads import map_in_order
from segmentation_pipeline.analysis.clustering.labelling import assign
from segmentation_pipeline.analysis.features.encoding import transform
from segmentation_pipeline.analysis.features.kinds import kind_of
from segmentation_pipeline.analysis.identity.evidence import Reference
from segmentation_pipeline.model import UNASSIGNED, Encoding, FittedModel

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from numpy.typing import NDArray

    from segmentation_pipeline.analysis.arrays.rows import Rows
    from segmentation_pipeline.model import EarlierSnapshot, Snapshot

# A tenth of a standard deviation of everybody: a cluster in which all are alike is not a point.
LEAST_SPREAD: Final = 0.1


def missing_columns(snapshot: Snapshot, rows: Rows) -> list[str]:
    """The columns that a snapshot's encoding reads and `rows` lack, or have as dates where it reads days."""
    columns = Encoding.from_json(snapshot.encoding).features
    return [
        each.column
        for each in columns
        if each.column not in rows.columns or not kind_of(each).can_encode(rows[each.column])
    ]


def refer(
    past: EarlierSnapshot,
    rows: Rows,
    clusters: NDArray[np.int32],
    *,
    k: int,
    keys: pd.Series,
    history: Callable[[], pd.Series | None] = lambda: None,
) -> Reference:
    """What `past` says of today's `rows`, shape (n, c), with `keys` and `clusters` of shape (n,), block by block.

    `history` gives the segment of each customer in that snapshot, indexed by key, if there is one; it is called in a
    thread of its own while the model labels. Rows that lack a column of the past's encoding leave it as the only
    witness; rows that the encoding cannot take (a null that was rejected then and is filled today) have no opinion by
    the model.
    """
    labels = likeness = None
    with ThreadPoolExecutor(1) as aside:
        segments = aside.submit(lambda: _segments_then(history(), keys))
        if not missing_columns(past.snapshot, rows):
            labels, likeness = _by_model(past, rows, clusters, k=k)
        return Reference(past.through, labels, past.segment_ids, past.sizes, segments.result(), likeness)


def _segments_then(history: pd.Series | None, keys: pd.Series) -> NDArray[np.int32] | None:
    """The segment of each of `keys`, shape (n,), in `history`, -1 for who was not in it; None without one."""
    if history is None:
        return None
    if not (is_integer_dtype(history.index.dtype) and is_integer_dtype(keys.dtype)):
        return history.reindex(keys).fillna(UNASSIGNED).to_numpy(dtype=np.int32)
    # sorted, not hashed: a table of ten million keys would be several hundred megabytes
    order = np.argsort(history.index.to_numpy())
    then, segments = history.index.to_numpy()[order], history.to_numpy()[order]
    del history, order  # as much as all that follows
    today, found = keys.to_numpy(), np.full(len(keys), UNASSIGNED, dtype=np.int32)
    for start in range(0, len(today) if len(then) else 0, BLOCK_ROWS):
        here = slice(start, start + BLOCK_ROWS)
        place = np.searchsorted(then, today[here]).clip(max=len(then) - 1)
        found[here] = np.where(then[place] == today[here], segments[place], UNASSIGNED)
    return found


def _by_model(
    past: EarlierSnapshot, rows: Rows, clusters: NDArray[np.int32], *, k: int
) -> tuple[NDArray[np.int32], NDArray[np.float64] | None]:
    """Today's rows labelled by the past's encoding and model, and how near clusters and segments lie in its frame."""
    model, encoding = FittedModel.from_json(past.snapshot.model), Encoding.from_json(past.snapshot.encoding)
    labels = np.full(len(rows), UNASSIGNED, dtype=np.int32)
    everyone = tuple(sorted({*past.segment_ids, *past.sizes}))
    placed = sorted(model.labels) == sorted(everyone)
    middle = model.centers.mean(axis=0)  # near the rows, which keeps the products small

    nothing = np.empty((0, len(middle)), dtype=np.float32), np.empty(0, dtype=np.int32)
    nobody = Spreads.of(*nothing, k=k if placed else 0, middle=middle)

    def spreads_of(matrix: NDArray[np.float32], own: NDArray[np.int32]) -> Spreads:
        return Spreads.of(matrix, own, k=k, middle=middle) if placed else nobody

    def label(placed_block: tuple[slice, pd.DataFrame]) -> Spreads:
        here, block = placed_block
        with np.errstate(invalid="ignore", divide="ignore"):  # log1p(-2): that row has no opinion
            matrix = transform(block, encoding).matrix
        own = clusters[here]
        if np.isfinite(matrix.sum(dtype=np.float64)):
            labels[here] = assign(matrix, model).labels
            return spreads_of(matrix, own)
        usable = np.isfinite(matrix).all(axis=1)
        labels[here][usable] = assign(matrix[usable], model).labels
        return spreads_of(matrix[usable], own[usable])

    spreads = functools.reduce(Spreads.plus, map_in_order(label, iter_placed_blocks(rows)), nobody)
    return labels, likeness_by_place(spreads, model, everyone)


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
        """Those of k clusters, from rows of shape (b, D) by their `clusters`, shape (b,), -1 for none."""
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
        """Those of both, around the same middle."""
        return Spreads(self.middle, self.counts + other.counts, self.sums + other.sums, self.products + other.products)

    def mean(self, cluster: int) -> NDArray[np.float64]:
        """The mean of a cluster's rows, shape (D,)."""
        mean: NDArray[np.float64] = self.middle + self.sums[cluster] / self.counts[cluster]
        return mean

    def along(self, cluster: int, directions: NDArray[np.float64]) -> NDArray[np.float64]:
        """The standard deviation of a cluster's rows along each of `directions`, shape (S, D) of unit length."""
        mean = self.sums[cluster] / self.counts[cluster]
        covariance = self.products[cluster] / self.counts[cluster] - np.outer(mean, mean)
        variance: NDArray[np.float64] = np.einsum("sd,de,se->s", directions, covariance, directions)
        return np.sqrt(np.maximum(variance, 0.0))


def likeness_by_place(spreads: Spreads, model: FittedModel, segment_ids: tuple[int, ...]) -> NDArray[np.float64] | None:
    """How much a cluster and a segment would overlap as two normals, shape (k, S); None where a center says little.

    `spreads` are those of today's clusters in the snapshot's frame. The normals lie on the line between the cluster's
    mean and the segment's center, with the cluster's spread there: means d spreads apart overlap by 2 Phi(-d / 2). A
    segment of several prototypes has no center.
    """
    from scipy.stats import norm

    if sorted(model.labels) != sorted(segment_ids):
        return None
    centers = np.stack([model.centers[model.labels.index(segment)] for segment in segment_ids])
    likeness = np.zeros((len(spreads.counts), len(segment_ids)))
    for cluster in np.flatnonzero(spreads.counts).tolist():
        way = centers - spreads.mean(cluster)
        length = np.sqrt(np.square(way).sum(axis=1))
        direction = np.divide(way, length[:, None], out=np.zeros_like(way), where=length[:, None] > 0)
        spread = np.maximum(spreads.along(cluster, direction), LEAST_SPREAD)
        likeness[cluster] = 2 * norm.cdf(-length / spread / 2)
    return likeness
