"""What an earlier model, or the history, says of today's customers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from segmentation_pipeline.model import Encoding, FittedModel
from segmentation_pipeline.stages.alignment import UNASSIGNED, Reference
from segmentation_pipeline.stages.clustering import assign
from segmentation_pipeline.stages.dates import is_date
from segmentation_pipeline.stages.encoding import transform

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from segmentation_pipeline.model import Snapshot

Through = Literal["parent", "earlier_version", "later_snapshot", "retired"]


def missing_columns(snapshot: Snapshot, frame: pd.DataFrame) -> list[str]:
    """The columns that a snapshot's encoding reads and `frame` lacks, or has as dates where it reads days."""
    columns = Encoding.from_json(snapshot.encoding).features
    return [
        each.column
        for each in columns
        if each.column not in frame.columns or (each.kind == "date" and is_date(frame[each.column]))
    ]


def by_model(
    through: Through,
    snapshot: Snapshot,
    frame: pd.DataFrame,
    *,
    segment_ids: Sequence[int] | None = None,
    sizes: Mapping[int, int] | None = None,
) -> Reference:
    """Label today's rows, `frame` of shape (n, c), with the snapshot's saved encoding and prototypes.

    Rows that its encoding cannot take (a null that is rejected then and filled today) are left without an opinion.
    """
    model = FittedModel.from_json(snapshot.model)
    with np.errstate(invalid="ignore", divide="ignore"):  # log1p(-2): that row has no opinion
        matrix = transform(frame, Encoding.from_json(snapshot.encoding)).matrix
    usable = np.isfinite(matrix).all(axis=1)
    labels = np.full(len(frame), UNASSIGNED, dtype=np.int64)
    labels[usable] = assign(matrix[usable], model).labels
    ids = tuple(segment_ids) if segment_ids is not None else tuple(sorted(set(model.labels)))
    return Reference(through, labels, ids, sizes or {})


def by_history(
    through: Through,
    snapshot: Snapshot,
    segments: pd.Series,
    keys: pd.Series,
    *,
    sizes: Mapping[int, int] | None = None,
) -> Reference:
    """Label today's customers, `keys` of shape (n,), with their own segment in the snapshot, indexed by key."""
    ids = tuple(sorted(set(FittedModel.from_json(snapshot.model).labels)))
    labels = segments.reindex(keys).fillna(UNASSIGNED).to_numpy(dtype=np.int64)
    return Reference(through, labels, ids, sizes or {})
