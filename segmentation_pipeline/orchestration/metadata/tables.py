"""What the UI shows of an alignment: a list of segments and tables, narrow enough for a metadata value."""

from segmentation_pipeline.lifecycle.record import RecordedSnapshot
from segmentation_pipeline.model import Drift, Transition

MOST_SHIFTS = 12


def list_segments(recorded: RecordedSnapshot) -> str:
    """A line for each segment with its name, size, event and how sure its identity is."""
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
        f"- **{segment} {recorded.names.get(segment, '')}**: {', '.join(each)}"
        for segment, each in events.items()
        if "retired" in each
    ]
    return "\n".join(rows)


def tabulate_transitions(transitions: tuple[Transition, ...]) -> str:
    """From (rows) to (columns): customers, of which those who moved by the parent's model too."""
    if not transitions:
        return "no customer had a segment before"
    before = sorted({each.from_segment_id for each in transitions})
    after = sorted({each.to_segment_id or 0 for each in transitions})
    cells = {(each.from_segment_id, each.to_segment_id or 0): each for each in transitions}
    head = "| from \\ to | " + " | ".join(str(each) if each else "unassigned" for each in after) + " |"
    rows = [
        f"| **{start}** | " + " | ".join(_format_cell(cells.get((start, end)), start, end) for end in after) + " |"
        for start in before
    ]
    legend = "In brackets: of these, who moved by the parent's model as well; for the others the border has moved."
    return f"{head}\n|{'---|' * (len(after) + 1)}\n" + "\n".join(rows) + f"\n\n{legend}"


def tabulate_drift(drift: Drift | None) -> str:
    """The stability indices, and the largest shifts of segments in original units."""
    if drift is None:
        return "no parent to compare with"
    indices = [f"| {column} | {index:.3f} |" for column, index in drift.features.items()]
    shifts = sorted(drift.shifts, key=lambda each: -abs(each.z))[:MOST_SHIFTS]
    rows = [
        f"| {each.segment_id} | {each.column} | {each.before:,.4g} | {each.now:,.4g} | {each.z:+.2f} |"
        for each in shifts
    ]
    return (
        "| population stability index | |\n|---|---|\n"
        + "\n".join([f"| segment shares | {drift.shares:.3f} |", *indices])
        + "\n\nBelow 0.1 small, above 0.25 large. The means that shifted most, the shift in standard deviations:\n\n"
        + "| segment | feature | before | now | shift |\n|---|---|---|---|---|\n"
        + "\n".join(rows)
    )


def _format_cell(transition: Transition | None, start: int, end: int) -> str:
    if transition is None:
        return ""
    if start == end or transition.n_moved is None:
        return f"{transition.n_customers:,}"
    return f"{transition.n_customers:,} ({transition.n_moved:,})"
