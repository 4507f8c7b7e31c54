"""Who changed segment, and whether the customer moved or the border did."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from segmentation_pipeline.model import UNASSIGNED, Transition

if TYPE_CHECKING:
    from numpy.typing import NDArray


def transitions(
    before: NDArray[np.int32], segments: NDArray[np.int32], by_parent: NDArray[np.int32] | None
) -> tuple[Transition, ...]:
    """Count the customers by the segment they were in and the one they are in, both shape (n,), -1 for none.

    `by_parent`, shape (n,), is what the parent's model says of them today: another segment than before, and the
    customer has moved; the same, and the new fit has put the border elsewhere. None: it cannot say. Customers who were
    in no segment are left out; who is in none now has `to` None.
    """
    known = before != UNASSIGNED
    start, end = before[known], segments[known]
    if not len(start):
        return ()
    # one number a pair; UNASSIGNED is the lowest of the ends
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
