"""Whether a person must look at a snapshot before it is published, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segmentation_pipeline.model import LineageEvent
    from segmentation_pipeline.spec import Approval


@dataclass(frozen=True, slots=True)
class Change:
    """The changes that publishing a snapshot would make.

    `k_before` and `partition_before` describe the parent or, without one, the published version that the snapshot would
    replace; None where there is neither. Of the `n_shared` customers whom the parent had in a segment, `n_moved` are in
    another segment or in none. `is_first`: nothing was ever published, and nothing waited, before.
    """

    is_first: bool
    has_parent: bool
    events: Sequence[LineageEvent]
    k: int
    k_before: int | None
    partition_before: str | None
    n_shared: int
    n_moved: int


def list_reasons_to_wait(approval: Approval, change: Change, *, max_moved: float | None) -> tuple[str, ...]:
    """Return a sentence for each reason why a person must look before the snapshot is published; empty without one.

    `on_change` lets the first snapshot pass. Without a parent the lineage calls every segment born. Then only the
    segments with a new id are a reason; the others come from a version or a later period that is known.
    """
    if approval == "auto" or (approval == "on_change" and change.is_first):
        return ()
    reasons = (
        [] if change.is_first else [*_compare_k(change), *_compare_segments(change), *_compare_moved(change, max_moved)]
    )
    if approval == "manual":
        return ("publish.approval is manual: every snapshot waits for a person", *reasons)
    return tuple(reasons)


def _compare_k(change: Change) -> list[str]:
    if change.k_before is None or change.k == change.k_before:
        return []
    return [f"K is {change.k}; it was {change.k_before} in {change.partition_before}"]


def _compare_segments(change: Change) -> list[str]:
    origins = {
        (event.segment_id, event.event): event.other_segment_id
        for event in change.events
        if event.event in {"split_from", "merged_into"}
    }
    reasons = []
    for event in change.events:
        segment = event.segment_id
        if event.event == "born" and (change.has_parent or event.evidence is None):
            origin = origins.get((segment, "split_from"))
            reasons.append(f"segment {segment} is born" + (f", split from {origin}" if origin is not None else ""))
        elif event.event == "returned":
            reasons.append(f"segment {segment} returns")
        elif event.event == "retired":
            into = origins.get((segment, "merged_into"))
            reasons.append(f"segment {segment} is retired" + (f", merged into {into}" if into is not None else ""))
    return reasons


def _compare_moved(change: Change, max_moved: float | None) -> list[str]:
    if max_moved is None or not change.n_shared or change.n_moved / change.n_shared <= max_moved:
        return []
    share = change.n_moved / change.n_shared
    moved = f"{change.n_moved:,} of {change.n_shared:,} customers change segment"
    return [f"{moved}: {share:.1%}, more than gates.max_moved {max_moved:g}"]
