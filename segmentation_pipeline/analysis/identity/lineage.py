"""What happened to the segments since the parent: kept, born, returned, retired, split and merged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from segmentation_pipeline.model import LineageEvent

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from segmentation_pipeline.analysis.identity.evidence import MatchScores, Reference
    from segmentation_pipeline.analysis.identity.overlap import Overlap
    from segmentation_pipeline.model import Match

# From this share of a segment's customers on, those who left it together are a part of it, not single people who moved.
PART: Final = 0.25


def trace_lineage(
    matches: Sequence[Match],
    parent: tuple[Reference, MatchScores] | None,
    *,
    sizes: NDArray[np.int64],
    seen_before: Collection[int] = (),
) -> list[LineageEvent]:
    """Return the lineage of a snapshot; `matches` and `sizes`, shape (k,), are today's clusters in the same order.

    A segment of the parent is kept; one of an earlier published snapshot (`seen_before`) has returned; any other is
    born. Splits and mergers are read from the parent's witness that weighs the most.
    """
    known = set(parent[0].segment_ids) if parent is not None else set()
    events = [_begin(match, known, seen_before) for match in matches]
    if parent is None:
        return events
    reference, overlap = parent[0], parent[1].witness
    newborn = [match for match, event in zip(matches, events, strict=True) if event.event == "born"]
    now = {match.segment_id: int(size) for match, size in zip(matches, sizes, strict=True)}
    return [
        *events,
        *_find_splits(newborn, overlap, reference.sizes, now),
        *_find_retirements(matches, overlap, reference.sizes),
    ]


def _begin(match: Match, known: Collection[int], seen_before: Collection[int]) -> LineageEvent:
    evidence = match.score if match.through != "new" else None
    if match.segment_id in known:
        return LineageEvent(match.segment_id, "kept", evidence=evidence)
    if match.through == "retired" or match.segment_id in seen_before:
        return LineageEvent(match.segment_id, "returned", evidence=evidence)
    return LineageEvent(match.segment_id, "born", evidence=evidence)


def _find_splits(
    newborn: Sequence[Match], overlap: Overlap, before: Mapping[int, int], now: Mapping[int, int]
) -> list[LineageEvent]:
    """Return the newborn segments that were a part of one of the parent's segments, with the part's share of it.

    New people who happen to be nearest to a segment are not a split: the segment itself must have lost a part.
    """
    events = []
    for match in newborn:
        row = overlap.counts[match.cluster]
        if not row.any():
            continue
        column = int(row.argmax())
        origin = overlap.segment_ids[column]
        share = float(row[column] / overlap.segment_sizes[column])
        mostly_from_there = row[column] > overlap.cluster_sizes[match.cluster] / 2
        shrunk = now.get(origin, 0) <= (1 - PART) * before.get(origin, int(overlap.segment_sizes[column]))
        if mostly_from_there and share >= PART and shrunk:
            events.append(LineageEvent(match.segment_id, "split_from", origin, share))
    return events


def _find_retirements(matches: Sequence[Match], overlap: Overlap, before: Mapping[int, int]) -> list[LineageEvent]:
    """Return the parent's segments that are gone, and where most of their customers went if these are still there."""
    segment_of = {match.cluster: match.segment_id for match in matches}
    events = []
    for column, segment in enumerate(overlap.segment_ids):
        if segment in segment_of.values():
            continue
        events.append(LineageEvent(segment, "retired"))
        gone, total = overlap.counts[:, column], int(overlap.segment_sizes[column])
        # customers of a season who stay away did not merge into anything
        if total == 0 or total < before.get(segment, total) / 2:
            continue
        into = int(gone.argmax())
        if gone[into] > total / 2:
            events.append(LineageEvent(segment, "merged_into", segment_of[into], float(gone[into] / total)))
    return events
