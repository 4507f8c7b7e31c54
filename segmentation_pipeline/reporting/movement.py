"""Who moved where since last time: the picture, and the moves one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from segmentation_pipeline.reporting.svg import LEFT, NEW, Flow, count_flows, lay_out_flow

if TYPE_CHECKING:
    from segmentation_pipeline.model import Transition
    from segmentation_pipeline.model.report import SnapshotReport


@dataclass(frozen=True, slots=True)
class Movement:
    """Customers known from the parent, how many of them changed, who came and who left, and each move.

    `moves` are the largest first; `picture` is None where there is nobody to compare.
    """

    n_known: int
    n_moved: int
    n_new: int
    n_left: int
    moves: tuple[Transition, ...]
    picture: Flow | None

    @property
    def knows_why(self) -> bool:
        """Whether it is known of every move if the customer moved or the border did."""
        return all(each.n_moved is not None for each in self.moves)


def count_moves(reported: SnapshotReport) -> Movement:
    """Count who moved; of a first snapshot, or one whose parent's customers are not kept any more, nobody did."""
    transitions = reported.snapshot.metrics.transitions
    if reported.parent is None or not transitions:
        return Movement(0, 0, 0, 0, (), None)
    parent = next((each for each in reported.periods if each.snapshot_id == reported.parent.snapshot_id), None)
    moves = [each for each in transitions if each.from_segment_id != each.to_segment_id]
    known = sum(each.n_customers for each in transitions)
    # a parent that was rolled back or replaced since is not among the periods: then those who left are not known
    before = parent.sizes if parent is not None else {}
    counts = count_flows(
        reported.snapshot.metrics.transitions, before, reported.periods[-1].sizes, reported.making.n_unassigned
    )
    return Movement(
        n_known=known,
        n_moved=sum(each.n_customers for each in moves),
        n_new=sum(n for (start, _), n in counts.items() if start == NEW),
        n_left=sum(n for (_, end), n in counts.items() if end == LEFT),
        moves=tuple(sorted(moves, key=lambda each: -each.n_customers)),
        picture=lay_out_flow(counts),
    )
