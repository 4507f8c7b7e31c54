"""Who changed segment, and whether the customer moved or the border did."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from segmentation_pipeline.model import Transition
from segmentation_pipeline.stages.evidence import UNASSIGNED

if TYPE_CHECKING:
    from numpy.typing import NDArray


def transitions(
    before: NDArray[np.int64], segments: NDArray[np.int64], by_parent: NDArray[np.int64] | None
) -> tuple[Transition, ...]:
    """Count the customers by the segment they were in and the one they are in, both shape (n,), -1 for none.

    `by_parent`, shape (n,), is what the parent's model says of them today: another segment than before, and the
    customer has moved; the same, and the new fit has put the border elsewhere. None: it cannot say. Customers who were
    in no segment are left out; who is in none now has `to` None.
    """
    known = before != UNASSIGNED
    pairs = np.stack([before[known], segments[known]], axis=1)
    if not len(pairs):
        return ()
    found, inverse, counts = np.unique(pairs, axis=0, return_inverse=True, return_counts=True)
    moved = None
    if by_parent is not None:
        moved = np.bincount(inverse.reshape(-1), weights=by_parent[known] != before[known], minlength=len(found))
    return tuple(
        Transition(
            from_segment_id=int(start),
            to_segment_id=int(end) if end != UNASSIGNED else None,
            n_customers=int(counts[index]),
            n_moved=int(moved[index]) if moved is not None else None,
        )
        for index, (start, end) in enumerate(found)
    )
