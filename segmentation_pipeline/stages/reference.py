"""What an earlier snapshot says of today's customers: by its model, by their own history, by place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from segmentation_pipeline.model import Encoding, FittedModel
from segmentation_pipeline.stages.clustering import assign
from segmentation_pipeline.stages.dates import is_date
from segmentation_pipeline.stages.encoding import transform
from segmentation_pipeline.stages.evidence import UNASSIGNED, Reference

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from segmentation_pipeline.model import Past, Snapshot

# A tenth of a standard deviation of everybody: a cluster in which all are alike is not a point.
LEAST_SPREAD: Final = 0.1
BLOCK_ROWS: Final = 65_536


def missing_columns(snapshot: Snapshot, frame: pd.DataFrame) -> list[str]:
    """The columns that a snapshot's encoding reads and `frame` lacks, or has as dates where it reads days."""
    columns = Encoding.from_json(snapshot.encoding).features
    return [
        each.column
        for each in columns
        if each.column not in frame.columns or (each.kind == "date" and is_date(frame[each.column]))
    ]


def refer(
    past: Past,
    frame: pd.DataFrame,
    clusters: NDArray[np.int64],
    *,
    k: int,
    keys: pd.Series,
    history: pd.Series | None = None,
) -> Reference:
    """What `past` says of today's rows, `frame` of shape (n, c) with `keys` and `clusters` of shape (n,).

    `history` holds the segment of each customer in that snapshot, indexed by key. A frame that lacks a column of its
    encoding leaves the history as the only witness; rows that its encoding cannot take (a null that was rejected then
    and is filled today) have no opinion by its model.
    """
    everyone = tuple(sorted({*past.segment_ids, *past.sizes}))
    labels = likeness = None
    if not missing_columns(past.snapshot, frame):
        model = FittedModel.from_json(past.snapshot.model)
        with np.errstate(invalid="ignore", divide="ignore"):  # log1p(-2): that row has no opinion
            matrix = transform(frame, Encoding.from_json(past.snapshot.encoding)).matrix
        usable = np.isfinite(matrix).all(axis=1)
        labels = np.full(len(frame), UNASSIGNED, dtype=np.int64)
        labels[usable] = assign(matrix[usable], model).labels
        likeness = likeness_by_place(matrix, np.where(usable, clusters, UNASSIGNED), model, everyone, k=k)
    segments = history.reindex(keys).fillna(UNASSIGNED).to_numpy(dtype=np.int64) if history is not None else None
    return Reference(past.through, labels, past.segment_ids, past.sizes, segments, likeness)


def likeness_by_place(
    matrix: NDArray[np.float32],
    clusters: NDArray[np.int64],
    model: FittedModel,
    segment_ids: tuple[int, ...],
    *,
    k: int,
) -> NDArray[np.float64] | None:
    """How much a cluster and a segment would overlap as two normals, shape (k, S); None where a center says little.

    `matrix` (n, D) are today's customers in the snapshot's frame, `clusters` (n,) their clusters, -1 for none. The
    normals lie on the line between the cluster's mean and the segment's center, with the cluster's spread there: means
    d spreads apart overlap by 2 Phi(-d / 2). A segment of several prototypes has no center.
    """
    from scipy.stats import norm

    if sorted(model.labels) != sorted(segment_ids):
        return None
    centers = np.stack([model.centers[model.labels.index(segment)] for segment in segment_ids])
    likeness = np.zeros((k, len(segment_ids)))
    for cluster in range(k):
        inside = np.flatnonzero(clusters == cluster)
        if not len(inside):
            continue
        rows = matrix[inside].astype(np.float64)
        way = centers - rows.mean(axis=0)
        length = np.sqrt(np.square(way).sum(axis=1))
        direction = np.divide(way, length[:, None], out=np.zeros_like(way), where=length[:, None] > 0)
        spread = np.maximum((rows @ direction.T).std(axis=0), LEAST_SPREAD)
        likeness[cluster] = 2 * norm.cdf(-length / spread / 2)
    return likeness
