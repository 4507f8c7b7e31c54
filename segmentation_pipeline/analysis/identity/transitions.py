"""Which customers changed segment, and whether the customer moved or the border did."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from segmentation_pipeline.model import UNASSIGNED, Transition

if TYPE_CHECKING:
    from numpy.typing import NDArray


def count_transitions(
    before: NDArray[np.int32], segments: NDArray[np.int32], by_parent: NDArray[np.int32] | None
) -> tuple[Transition, ...]:
    """Count the customers by the segment they were in and the one they are in, both shape (n,), -1 for none.

    `by_parent`, shape (n,), is the segment by the parent's model today. Where it is another segment than before, the
    customer has moved; where it is the same, the new fit has put the border elsewhere. None: the model cannot say.
    Customers who were in no segment are left out; those who are in none now have the `to_segment_id` None.
    """
    known = before != UNASSIGNED
    start, end = before[known], segments[known]
    if not len(start):
        return ()
    # one number for each pair; UNASSIGNED is the lowest of the ends
    width = int(end.max()) - UNASSIGNED + 1
    pairs = start.astype(np.intp) * width + (end - UNASSIGNED)
    counts = np.bincount(pairs)
    moved = None
    if by_parent is not None:
        moved = np.bincount(pairs, weights=by_parent[known] != start)
    return tuple(
        Transition(
            from_segment_id=int(pair // width),
            to_segment_id=int(pair % width + UNASSIGNED) if pair % width else None,
            n_customers=int(counts[pair]),
            n_moved=int(moved[pair]) if moved is not None else None,
        )
        for pair in np.flatnonzero(counts)
    )
