"""The report of one snapshot: a self-contained HTML file for the people who know the customers."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from segmentation_pipeline.model.commands import name_command
from segmentation_pipeline.reporting import svg
from segmentation_pipeline.reporting.movement import Movement, count_moves
from segmentation_pipeline.reporting.notice import Notice, make_notice
from segmentation_pipeline.reporting.story import Life, Tick, place_ticks, tell_lives
from segmentation_pipeline.reporting.style import segment_colour, segment_ink
from segmentation_pipeline.reporting.traits import Portrait, draw_portraits
from segmentation_pipeline.reporting.words import (
    Calendar,
    GateShown,
    describe_gates,
    event_sentence,
    format_number,
    format_percent,
    join_words,
    mark_event,
    to_words,
)

if TYPE_CHECKING:
    from segmentation_pipeline.model import SweepResult
    from segmentation_pipeline.model.report import ReportedSegment, Rule, RunDetails, SnapshotReport

BARS_HEIGHT: Final = 110.0


@dataclass(frozen=True, slots=True)
class Card:
    """One segment of the snapshot."""

    segment: ReportedSegment
    portrait: Portrait
    life: Life
    happened: tuple[str, ...]
    trend: str
    rule: Rule | None


@dataclass(frozen=True, slots=True)
class Page:
    """All that the template shows."""

    report: SnapshotReport
    details: RunDetails
    calendar: Calendar
    notice: Notice
    summary: tuple[str, ...]
    cards: tuple[Card, ...]
    lives: tuple[Life, ...]
    ticks: tuple[Tick, ...]
    movement: Movement
    gates: tuple[GateShown, ...]
    bars: tuple[svg.Bar, ...]
    k_reason: str


def render(report: SnapshotReport, details: RunDetails) -> bytes:
    """Render the report as HTML; the same data makes the same bytes."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("segmentation_pipeline.reporting"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": format_number, "percent": format_percent, "mark": mark_event, "words": to_words}
    environment.globals |= {
        "colour": segment_colour,
        "name_command": name_command,
        "ink": segment_ink,
        "width": svg.WIDTH,
        "bars_height": BARS_HEIGHT,
    }
    return environment.get_template("report.html").render(page=_make_page(report, details)).encode()


def _make_page(report: SnapshotReport, details: RunDetails) -> Page:
    snapshot = report.snapshot
    calendar = Calendar.of(snapshot.partition, snapshot.as_of)
    found_portraits = draw_portraits(report.segments, snapshot.metrics.features, details.units)
    found_lives = tell_lives(report.periods, report.names, calendar)
    life_of = {life.segment_id: life for life in found_lives}
    moved = count_moves(report)
    return Page(
        report=report,
        details=details,
        calendar=calendar,
        notice=make_notice(report),
        summary=_summarise(report, moved, calendar),
        cards=tuple(
            Card(
                segment=segment,
                portrait=found_portraits[segment.segment_id],
                life=life_of[segment.segment_id],
                happened=tuple(
                    event_sentence(event, calendar.unit)
                    for event in report.periods[-1].events
                    if event.segment_id == segment.segment_id
                ),
                trend=_describe_trend(life_of[segment.segment_id], calendar.unit),
                rule=_find_rule(details, segment),
            )
            for segment in report.segments
        ),
        lives=found_lives,
        ticks=place_ticks(report.periods, calendar),
        movement=moved,
        gates=describe_gates(report.gates),
        bars=svg.draw_sweep_bars(details.sweep, height=BARS_HEIGHT) if details.sweep is not None else (),
        k_reason=_explain_k(report, details.sweep),
    )


def _summarise(report: SnapshotReport, moved: Movement, calendar: Calendar) -> tuple[str, ...]:
    """Return the three or four sentences for a person who reads nothing else."""
    snapshot = report.snapshot
    n_segments = len(report.segments)
    sentences = [
        f"{snapshot.n_assigned:,} customers are in {n_segments} segment{'' if n_segments == 1 else 's'}.",
    ]
    if report.parent is None:
        sentences.append(f"This is the first {calendar.unit}: there is nothing to compare with yet.")
        return tuple(sentences)
    if moved.n_known:
        sentences.append(
            f"Of the {moved.n_known:,} who were also there in {calendar.long(report.parent.partition)}, "
            f"{moved.n_moved:,} ({format_percent(moved.n_moved / moved.n_known)}) are in another segment now."
        )
    news = [
        f"segment {event.segment_id} ({report.names.get(event.segment_id, '')}) {_VERBS[event.event]}"
        for event in report.periods[-1].events
        if event.event in _VERBS
    ]
    text = join_words(news) if news else "no segment came, went, split or merged"
    sentences.append(f"{text[0].upper()}{text[1:]}.")
    return tuple(sentences)


_VERBS: Final = {"born": "is new", "retired": "is gone", "returned": "is back"}


def _describe_trend(life: Life, unit: str) -> str:
    """Return how the share of a segment changed over time, in a sentence."""
    present = [share for share in life.shares if share is not None]
    now = present[-1]
    if len(present) == 1:
        return f"{format_percent(now)} in its first {unit}"
    before = life.shares[-2]
    since = f", {format_percent(before)} the {unit} before" if before is not None else ""
    low, high = format_percent(min(present)), format_percent(max(present))
    span = f"between {low} and {high}" if low != high else "the same"
    return f"{format_percent(now)} now{since}; {span} over {len(present)} {unit}s"


def _find_rule(details: RunDetails, segment: ReportedSegment) -> Rule | None:
    """Return the rule of thumb that finds most customers of a segment, its columns as words."""
    own = [rule for rule in details.rules or () if rule.segment_id == segment.segment_id]
    best = max(own, key=lambda rule: rule.n_customers * rule.right, default=None)
    if best is None:
        return None
    condition = best.condition.replace("<=", "≤")
    for column in sorted(segment.profile, key=len, reverse=True):
        condition = re.sub(rf"\b{re.escape(column)}\b", to_words(column), condition)
    return replace(best, condition=condition)


def _explain_k(report: SnapshotReport, sweep: SweepResult | None) -> str:
    """Return the reason for the number of segments, in a sentence for people."""
    k = report.snapshot.k
    groups = f"{k} group{'' if k == 1 else 's'}"
    scores = {tried.k: tried.simplified_silhouette for tried in sweep.candidates} if sweep is not None else {}
    if sweep is None or len(scores) < 2 or k not in scores or sweep.k != k:
        return f"The customers are in {groups}."
    tried = f"Of {min(scores)} to {max(scores)} groups that were tried"
    if scores[k] == max(scores.values()):
        return f"{tried}, {k} are the most clearly separated."
    best = max(scores, key=scores.__getitem__)
    if best in sweep.vetoed:
        return f"{tried}, {k} were chosen: {best} score higher, but two of them are clearly one group."
    return f"{tried}, {k} were chosen. {best} score a little higher; the technical reason says why it is {k}."
