"""What an earlier snapshot says about today's customers: by its model, by their own history, by place.

Everything is computed from blocks of rows, and the results are merged in the order of the rows. The counts are the same
for any cut of the rows; the sums of `places` are the same to the bit for any grouping of the same blocks.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from pandas.api.types import is_integer_dtype

from segmentation_pipeline.analysis.arrays.rows import BLOCK_ROWS, iter_placed_blocks
from segmentation_pipeline.analysis.arrays.threads import map_in_order
from segmentation_pipeline.analysis.clustering.labelling import assign
from segmentation_pipeline.analysis.features.encoding import transform
from segmentation_pipeline.analysis.features.kinds import kind_of
from segmentation_pipeline.analysis.identity.evidence import Reference
from segmentation_pipeline.analysis.identity.overlap import Overlap, count_overlap
from segmentation_pipeline.analysis.identity.places import (
    SpreadParts,
    begin_spreads,
    compare_places,
    find_middle,
    has_places,
    measure_spreads,
)
from segmentation_pipeline.analysis.identity.transitions import Moves, count_moves
from segmentation_pipeline.model import UNASSIGNED

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    from numpy.typing import NDArray

    from segmentation_pipeline.analysis.arrays.rows import Rows
    from segmentation_pipeline.model import EarlierSnapshot, Encoding, FittedModel, Snapshot


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
    missing = []
    for feature in snapshot.encoding.features:
        can_encode = kind_of(feature).can_encode
        # a column is read only where its kind asks for it
        if feature.column not in rows.columns or (can_encode is not None and not can_encode(rows[feature.column])):
            missing.append(feature.column)
    return missing


@dataclass(frozen=True, slots=True)
class LabelledBlock:
    """The segment of each row of a block by a snapshot's model, shape (b,), -1 for none, and the clusters' spreads."""

    labels: NDArray[np.int32]
    spreads: SpreadParts | None


@dataclass(frozen=True, slots=True)
class WitnessCounts:
    """What the model and the history of a snapshot say, counted; None where it has no such witness."""

    by_model: Overlap | None
    by_history: Overlap | None
    moves: Moves | None

    def merge(self, other: Self) -> Self:
        """Add the counts of other rows, by the same witnesses."""
        return type(self)(
            self.by_model.merge(other.by_model) if self.by_model and other.by_model else None,
            self.by_history.merge(other.by_history) if self.by_history and other.by_history else None,
            self.moves.merge(other.moves) if self.moves and other.moves else None,
        )


def consult(earlier: EarlierCustomers, rows: Rows, clusters: NDArray[np.int32], *, k: int) -> Reference:
    """Return what a snapshot says about today's `rows`, shape (n, c), with `clusters` of shape (n,), block by block.

    Where the rows lack a column of the snapshot's encoding, the history is the only witness.
    """
    snapshot = earlier.snapshot
    segment_ids = tuple(sorted({*snapshot.segment_ids, *snapshot.sizes}))
    labels = likeness = None
    if not find_missing_columns(snapshot.snapshot, rows):
        labels, likeness = _label_rows(snapshot.snapshot, rows, clusters, segment_ids=segment_ids, k=k)
    history = earlier.segments()
    kernel = functools.partial(count_witnesses, segment_ids=segment_ids, k=k, moves=snapshot.through == "parent")
    places = [slice(start, start + BLOCK_ROWS) for start in range(0, max(len(clusters), 1), BLOCK_ROWS)]
    counts = functools.reduce(
        WitnessCounts.merge,
        (
            kernel(
                clusters[place],
                labels=labels[place] if labels is not None else None,
                history=history[place] if history is not None else None,
            )
            for place in places
        ),
    )
    return Reference(
        snapshot.through,
        snapshot.segment_ids,
        snapshot.sizes,
        by_model=counts.by_model,
        by_history=counts.by_history,
        likeness=likeness,
        moves=counts.moves,
    )


def label_block(
    block: pd.DataFrame,
    clusters: NDArray[np.int32],
    *,
    start: int,
    encoding: Encoding,
    model: FittedModel,
    k: int,
    with_places: bool,
) -> LabelledBlock:
    """Label a block of b rows that begins at row `start` of all, with `clusters` of shape (b,).

    The model has no opinion on rows that the encoding cannot take (a null that was rejected then and is filled today).
    The spreads of the k clusters are measured where the snapshot's segments have places to compare with.
    """
    with np.errstate(invalid="ignore", divide="ignore"):  # log1p(-2): that row has no opinion
        matrix = transform(block, encoding).matrix
    labels = np.full(len(block), UNASSIGNED, dtype=np.int32)
    if np.isfinite(matrix.sum(dtype=np.float64)):
        labels[:] = assign(matrix, model).labels
    else:
        usable = np.isfinite(matrix).all(axis=1)
        matrix, clusters = matrix[usable], clusters[usable]
        labels[usable] = assign(matrix, model).labels
    spreads = measure_spreads(matrix, clusters, k=k, middle=find_middle(model), start=start) if with_places else None
    return LabelledBlock(labels, spreads)


def count_witnesses(
    clusters: NDArray[np.int32],
    *,
    labels: NDArray[np.int32] | None,
    history: NDArray[np.int32] | None,
    segment_ids: tuple[int, ...],
    k: int,
    moves: bool,
) -> WitnessCounts:
    """Count a block of customers by `clusters` and their segments by model (`labels`) and by `history`, all (b,)."""
    return WitnessCounts(
        count_overlap(clusters, labels, segment_ids, k=k) if labels is not None else None,
        count_overlap(clusters, history, segment_ids, k=k) if history is not None else None,
        count_moves(history, clusters, labels) if moves and history is not None else None,
    )


def _label_rows(
    snapshot: Snapshot, rows: Rows, clusters: NDArray[np.int32], *, segment_ids: tuple[int, ...], k: int
) -> tuple[NDArray[np.int32], NDArray[np.float64] | None]:
    """Label today's rows by a snapshot's encoding and model; also compare clusters and segments in its frame."""
    model, with_places = snapshot.model, has_places(snapshot.model, segment_ids)
    kernel = functools.partial(label_block, encoding=snapshot.encoding, model=model, k=k, with_places=with_places)

    def label(placed: tuple[slice, pd.DataFrame]) -> tuple[slice, LabelledBlock]:
        place, block = placed
        return place, kernel(block, clusters[place], start=place.start)

    labels = np.full(len(rows), UNASSIGNED, dtype=np.int32)
    spreads = begin_spreads(k=k, middle=find_middle(model))
    for place, part in map_in_order(label, iter_placed_blocks(rows)):
        labels[place] = part.labels
        if part.spreads is not None:
            spreads = spreads.merge(part.spreads)
    return labels, compare_places(spreads.finish(), model, segment_ids) if with_places else None


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
