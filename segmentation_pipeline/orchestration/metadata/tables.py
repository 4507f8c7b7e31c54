"""An alignment in the UI: a list of segments and tables that are narrow enough for a metadata value."""

from typing import Final

from segmentation_pipeline.lifecycle.record import RecordedSnapshot
from segmentation_pipeline.model import Drift, Transition

MOST_SHIFTS: Final = 12


def list_segments(recorded: RecordedSnapshot) -> str:
    """Return a line for each segment with its name, its size, its events and how sure its identity is."""
    alignment, profiles = recorded.identity.alignment, recorded.identity.profiles
    events: dict[int, list[str]] = {}
    for event in alignment.events:
        other = f" {event.other_segment_id}" if event.other_segment_id is not None else ""
        events.setdefault(event.segment_id, []).append(event.event.replace("_", " ") + other)
    match_of = {match.segment_id: match for match in alignment.matches}
    rows = [
        f"- **{segment} {recorded.names.get(segment, profile.name)}**: {profile.n_customers:,} customers "
        f"({profile.share:.1%}), {', '.join(events[segment])}; match {match_of[segment].score:.2f}, confidence "
        f"{match_of[segment].confidence:.2f}"
        for segment, profile in sorted(profiles.items())
    ]
    rows += [
        f"- **{segment} {recorded.names.get(segment, '')}**: {', '.join(happened)}"
        for segment, happened in events.items()
        if "retired" in happened
    ]
    return "\n".join(rows)


def tabulate_transitions(transitions: tuple[Transition, ...]) -> str:
    """Return the customers by the segment before (rows) and now (columns), and how many moved by both models."""
    if not transitions:
        return "no customer had a segment before"
    before = sorted({transition.from_segment_id for transition in transitions})
    after = sorted({transition.to_segment_id or 0 for transition in transitions})
    cells = {(found.from_segment_id, found.to_segment_id or 0): found for found in transitions}
    head = "| from \\ to | " + " | ".join(str(segment) if segment else "unassigned" for segment in after) + " |"
    rows = [
        f"| **{start}** | " + " | ".join(_format_cell(cells.get((start, end)), start, end) for end in after) + " |"
        for start in before
    ]
    legend = "In brackets: how many of these moved by the parent's model as well; for the others the border has moved."
    return f"{head}\n|{'---|' * (len(after) + 1)}\n" + "\n".join(rows) + f"\n\n{legend}"


def tabulate_drift(drift: Drift | None) -> str:
    """Return the stability indices, and the largest shifts of segments in original units."""
    if drift is None:
        return "no parent to compare with"
    indices = [f"| {column} | {index:.3f} |" for column, index in drift.features.items()]
    shifts = sorted(drift.shifts, key=lambda shift: -abs(shift.z))[:MOST_SHIFTS]
    rows = [
        f"| {shift.segment_id} | {shift.column} | {shift.before:,.4g} | {shift.now:,.4g} | {shift.z:+.2f} |"
        for shift in shifts
    ]
    return (
        "| population stability index | |\n|---|---|\n"
        + "\n".join([f"| segment shares | {drift.shares:.3f} |", *indices])
        + "\n\nBelow 0.1 is small, above 0.25 is large. The means that shifted most; shift in standard deviations:\n\n"
        + "| segment | feature | before | now | shift |\n|---|---|---|---|---|\n"
        + "\n".join(rows)
    )


def _format_cell(transition: Transition | None, start: int, end: int) -> str:
    if transition is None:
        return ""
    if start == end or transition.n_moved is None:
        return f"{transition.n_customers:,}"
    return f"{transition.n_customers:,} ({transition.n_moved:,})"
