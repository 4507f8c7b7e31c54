"""The report of one snapshot: a self-contained HTML file for the people who know the customers."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from segmentation_pipeline.model.commands import name_command
from segmentation_pipeline.reporting import svg as shapes
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

BARS_HEIGHT = 110.0


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

    reported: SnapshotReport
    workings: RunDetails
    calendar: Calendar
    notice: Notice
    summary: tuple[str, ...]
    cards: tuple[Card, ...]
    lives: tuple[Life, ...]
    ticks: tuple[Tick, ...]
    movement: Movement
    gates: tuple[GateShown, ...]
    bars: tuple[shapes.Bar, ...]
    k_told: str


def render(reported: SnapshotReport, workings: RunDetails) -> bytes:
    """Render the report; the same data gives the same bytes."""
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
        "width": shapes.WIDTH,
        "bars_height": BARS_HEIGHT,
    }
    return environment.get_template("report.html").render(page=_make_page(reported, workings)).encode()


def _make_page(reported: SnapshotReport, workings: RunDetails) -> Page:
    snapshot = reported.snapshot
    calendar = Calendar.of(snapshot.partition, snapshot.as_of)
    found = draw_portraits(reported.segments, snapshot.metrics.features, workings.units)
    told_lives = tell_lives(reported.periods, reported.names, calendar)
    by_id = {each.segment_id: each for each in told_lives}
    moved = count_moves(reported)
    return Page(
        reported=reported,
        workings=workings,
        calendar=calendar,
        notice=make_notice(reported),
        summary=_summarise(reported, moved, calendar),
        cards=tuple(
            Card(
                segment=each,
                portrait=found[each.segment_id],
                life=by_id[each.segment_id],
                happened=tuple(
                    event_sentence(event, calendar.unit)
                    for event in reported.periods[-1].events
                    if event.segment_id == each.segment_id
                ),
                trend=_describe_trend(by_id[each.segment_id], calendar.unit),
                rule=_find_rule(workings, each),
            )
            for each in reported.segments
        ),
        lives=told_lives,
        ticks=place_ticks(reported.periods, calendar),
        movement=moved,
        gates=describe_gates(reported.gates),
        bars=shapes.draw_sweep_bars(workings.sweep, height=BARS_HEIGHT) if workings.sweep is not None else (),
        k_told=_explain_k(reported, workings.sweep),
    )


def _summarise(reported: SnapshotReport, moved: Movement, calendar: Calendar) -> tuple[str, ...]:
    """The three or four sentences that a person who reads nothing else should read."""
    snapshot = reported.snapshot
    n_segments = len(reported.segments)
    sentences = [
        f"{snapshot.n_assigned:,} customers are in {n_segments} segment{'' if n_segments == 1 else 's'}.",
    ]
    if reported.parent is None:
        sentences.append(f"This is the first {calendar.unit}: there is nothing to compare with yet.")
        return tuple(sentences)
    if moved.n_known:
        sentences.append(
            f"Of the {moved.n_known:,} who were there in {calendar.long(reported.parent.partition)} too, "
            f"{moved.n_moved:,} ({format_percent(moved.n_moved / moved.n_known)}) are in another segment now."
        )
    news = [
        f"segment {each.segment_id} ({reported.names.get(each.segment_id, '')}) {_VERBS[each.event]}"
        for each in reported.periods[-1].events
        if each.event in _VERBS
    ]
    text = join_words(news) if news else "no segment came, went, split or merged"
    sentences.append(f"{text[0].upper()}{text[1:]}.")
    return tuple(sentences)


_VERBS = {"born": "is new", "retired": "is gone", "returned": "is back"}


def _describe_trend(life: Life, unit: str) -> str:
    """How its share went, in a sentence."""
    present = [share for share in life.shares if share is not None]
    now = present[-1]
    if len(present) == 1:
        return f"{format_percent(now)} in its first {unit}"
    before = life.shares[-2]
    since = f", {format_percent(before)} the {unit} before" if before is not None else ""
    low, high = format_percent(min(present)), format_percent(max(present))
    span = f"between {low} and {high}" if low != high else "the same"
    return f"{format_percent(now)} now{since}; {span} over {len(present)} {unit}s"


def _find_rule(workings: RunDetails, segment: ReportedSegment) -> Rule | None:
    """The rule of thumb that finds most of a segment, its columns as words."""
    mine = [each for each in workings.rules or () if each.segment_id == segment.segment_id]
    best = max(mine, key=lambda each: each.n_customers * each.right, default=None)
    if best is None:
        return None
    condition = best.condition.replace("<=", "≤")
    for column in sorted(segment.profile, key=len, reverse=True):
        condition = re.sub(rf"\b{re.escape(column)}\b", to_words(column), condition)
    return replace(best, condition=condition)


def _explain_k(reported: SnapshotReport, sweep: SweepResult | None) -> str:
    """Why there are so many segments, in a sentence for people."""
    k = reported.snapshot.k
    groups = f"{k} group{'' if k == 1 else 's'}"
    scores = {each.k: each.simplified_silhouette for each in sweep.candidates} if sweep is not None else {}
    if sweep is None or len(scores) < 2 or k not in scores or sweep.k != k:
        return f"The customers are in {groups}."
    tried = f"Of {min(scores)} to {max(scores)} groups tried"
    if scores[k] == max(scores.values()):
        return f"{tried}, {k} stand apart most clearly."
    best = max(scores, key=lambda each: scores[each])
    if best in sweep.vetoed:
        return f"{tried}, {k} were taken: {best} score higher, but two of them are plainly one group."
    return f"{tried}, {k} were taken; {best} score a little higher, and the technical reason says what spoke for {k}."
