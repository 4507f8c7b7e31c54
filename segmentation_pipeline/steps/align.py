"""Each customer's segment, from the customer's cluster and what the clusters were found to be."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from segmentation_pipeline.analysis.identity.matching import apply_alignment
from segmentation_pipeline.engines.base import Mapped
from segmentation_pipeline.model import UNASSIGNED

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from segmentation_pipeline.engines.base import Blocks, Engine, Sink
    from segmentation_pipeline.model import Alignment


def to_ids(segments: NDArray[np.integer[Any]]) -> pa.Array:
    """Return segment ids as Arrow, null for none."""
    return pa.array(segments.astype(np.int32), mask=segments == UNASSIGNED)


def name_segments(
    engine: Engine, blocks: Blocks[pa.RecordBatch], alignment: Alignment, *, schema: pa.Schema, assignments: Sink
) -> int:
    """Write the segment of each labelled customer, and return how many are in none.

    `blocks` are the labels of the final fit; `schema` has the columns of the assignments.
    """
    kernel = partial(name_block, alignment=alignment, schema=schema)
    return engine.map(blocks, kernel, into=(assignments,), merge=int.__add__, empty=0)


def name_block(place: slice, batch: pa.RecordBatch, *, alignment: Alignment, schema: pa.Schema) -> Mapped[int]:  # noqa: ARG001  a kernel takes the place
    """Return the assignments of a block of labels, and how many of its customers are in no segment."""
    segments = apply_alignment(batch.column("cluster").to_numpy(), alignment)
    second = apply_alignment(batch.column("second_cluster").to_numpy(), alignment)
    columns = [
        batch.column(0),
        to_ids(segments),
        batch.column("distance"),
        to_ids(second),
        batch.column("margin"),
    ]
    return Mapped((pa.table(columns, schema=schema),), int((segments == UNASSIGNED).sum()))
