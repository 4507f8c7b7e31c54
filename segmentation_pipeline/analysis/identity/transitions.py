"""Which customers changed segment, and whether the customer moved or the border did."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from segmentation_pipeline.model import UNASSIGNED, Transition

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Moves:
    """Customers by the segment they were in and the cluster they are in, -1 for none: whole numbers that add up.

    `moved` are those of them whom the parent's model too puts into another segment than before; None where the model
    cannot say.
    """

    customers: Mapping[tuple[int, int], int]
    moved: Mapping[tuple[int, int], int] | None

    def merge(self, other: Self) -> Self:
        """Add the counts of other rows."""
        moved = None
        if self.moved is not None and other.moved is not None:
            moved = Counter(self.moved) + Counter(other.moved)
        return type(self)(Counter(self.customers) + Counter(other.customers), moved)


def count_moves(before: NDArray[np.int32], clusters: NDArray[np.int32], by_parent: NDArray[np.int32] | None) -> Moves:
    """Count a block of customers by the segment `before` and the cluster now, both shape (b,), -1 for none.

    `by_parent`, shape (b,), is the segment by the parent's model today. Where it is another segment than before, the
    customer has moved; where it is the same, the new fit has put the border elsewhere. None: the model cannot say.
    Customers who were in no segment are left out.
    """
    known = before != UNASSIGNED
    start, end = before[known], clusters[known]
    # one number for each pair; UNASSIGNED is the lowest of the clusters
    width = int(end.max(initial=UNASSIGNED)) - UNASSIGNED + 1
    pairs = start.astype(np.intp) * width + (end - UNASSIGNED)
    counts = np.bincount(pairs)
    moved = np.bincount(pairs, weights=by_parent[known] != start) if by_parent is not None else None

    def by_pair(counted: NDArray[np.int64] | NDArray[np.float64]) -> dict[tuple[int, int], int]:
        return {
            (int(pair // width), int(pair % width + UNASSIGNED)): int(counted[pair]) for pair in np.flatnonzero(counted)
        }

    return Moves(by_pair(counts), by_pair(moved) if moved is not None else None)


def list_transitions(moves: Moves, segment_of: Mapping[int, int]) -> tuple[Transition, ...]:
    """Return the moves between segments, in the order of their ids; `segment_of` maps clusters to segment ids.

    Customers who are in no segment now have the `to_segment_id` None, which comes first.
    """
    named = {(start, segment_of.get(cluster, UNASSIGNED)): (start, cluster) for start, cluster in moves.customers}
    return tuple(
        Transition(
            from_segment_id=start,
            to_segment_id=end if end != UNASSIGNED else None,
            n_customers=moves.customers[pair],
            n_moved=moves.moved.get(pair, 0) if moves.moved is not None else None,
        )
        for (start, end), pair in sorted(named.items())
    )
