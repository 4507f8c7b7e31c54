"""Which customers changed segment since last time: the picture, and the list of the moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from segmentation_pipeline.reporting.svg import LEFT, NEW, Flow, count_flows, lay_out_flow

if TYPE_CHECKING:
    from segmentation_pipeline.model import Transition
    from segmentation_pipeline.model.report import SnapshotReport


@dataclass(frozen=True, slots=True)
class Movement:
    """The customers whom the parent knew: how many of them moved, how many are new or have left, and the moves.

    `moves` begin with the largest; `picture` is None where there is no customer to compare.
    """

    n_known: int
    n_moved: int
    n_new: int
    n_left: int
    moves: tuple[Transition, ...]
    picture: Flow | None

    @property
    def knows_why(self) -> bool:
        """Whether it is known for every move if the customers changed, or the border between the segments."""
        return all(move.n_moved is not None for move in self.moves)


def count_moves(report: SnapshotReport) -> Movement:
    """Count who moved: nobody in a first snapshot, or where the parent's customers are no longer kept."""
    transitions = report.snapshot.metrics.transitions
    if report.parent is None or not transitions:
        return Movement(0, 0, 0, 0, (), None)
    parent = next((period for period in report.periods if period.snapshot_id == report.parent.snapshot_id), None)
    moves = [transition for transition in transitions if transition.from_segment_id != transition.to_segment_id]
    known = sum(transition.n_customers for transition in transitions)
    # a parent that has been rolled back or replaced is not among the periods: then it is not known who left
    before = parent.sizes if parent is not None else {}
    counts = count_flows(transitions, before, report.periods[-1].sizes, report.making.n_unassigned)
    return Movement(
        n_known=known,
        n_moved=sum(move.n_customers for move in moves),
        n_new=sum(n for (start, _), n in counts.items() if start == NEW),
        n_left=sum(n for (_, end), n in counts.items() if end == LEFT),
        moves=tuple(sorted(moves, key=lambda move: -move.n_customers)),
        picture=lay_out_flow(counts),
    )
