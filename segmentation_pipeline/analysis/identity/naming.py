"""Names for new segments: what sets them apart, and which segment they were a part of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segmentation_pipeline.analysis.profiles.profile import NOTABLE
from segmentation_pipeline.model import Segment

if TYPE_CHECKING:
    from collections.abc import Mapping

    from segmentation_pipeline.analysis.profiles.profile import SegmentProfile
    from segmentation_pipeline.model import Alignment, Json


def name_new_segments(
    alignment: Alignment, profiles: Mapping[int, SegmentProfile], known: Mapping[int, str]
) -> list[Segment]:
    """Return the segments with a fresh id, each with an automatic name that no segment of `known` (id to name) has.

    The child of a split is named after its origin and the difference between the two: "Big spenders: higher orders".
    """
    origins = {event.segment_id: event.other_segment_id for event in alignment.events if event.event == "split_from"}
    taken = set(known.values())
    made = []
    for match in alignment.matches:
        if match.through != "new":
            continue
        origin = origins.get(match.segment_id)
        name = profiles[match.segment_id].name
        if origin is not None and origin in known:
            other = profiles[origin].figures if origin in profiles else {}
            name = f"{known[origin]}: {_describe_difference(profiles[match.segment_id].figures, other) or name}"
        if name in taken:
            name = f"{name} ({match.segment_id})"
        taken.add(name)
        made.append(Segment(match.segment_id, name, "automatic"))
    return made


def _describe_difference(figures: Mapping[str, Json], other: Mapping[str, Json]) -> str:
    """Name the two features in which a segment differs most from another; empty without a notable difference."""
    gaps = [
        (figure["z"] - other[column]["z"], column.replace("_", " "))
        for column, figure in figures.items()
        if "z" in figure and "z" in other.get(column, {})
    ]
    notable = sorted(((gap, column) for gap, column in gaps if abs(gap) >= NOTABLE), key=lambda pair: -abs(pair[0]))
    if notable:
        return ", ".join(f"{'higher' if gap > 0 else 'lower'} {column}" for gap, column in notable[:2])
    return ""
