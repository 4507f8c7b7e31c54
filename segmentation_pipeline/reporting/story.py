"""The life of the segments over the periods: how large they were, and what happened to them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from segmentation_pipeline.reporting.svg import draw_ribbon
from segmentation_pipeline.reporting.words import format_percent, join_words, mark_event

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from segmentation_pipeline.model import LineageEvent
    from segmentation_pipeline.model.report import ReportedPeriod
    from segmentation_pipeline.reporting.words import Calendar

_MOST_TICKS: Final = 5
# in per cent of the width: two words need it on a phone
_ROOM: Final = 25


@dataclass(frozen=True, slots=True)
class Tick:
    """A word on the time axis: its place in per cent of the width, its anchor, and the line that it stands on."""

    text: str
    left: float
    side: str
    level: int = 0


@dataclass(frozen=True, slots=True)
class Life:
    """One segment: its shares and sizes by period (None where it was not there), its band, its events, a sentence."""

    segment_id: int
    name: str
    shares: tuple[float | None, ...]
    sizes: tuple[int | None, ...]
    polygons: tuple[str, ...]
    marks: tuple[Tick, ...]
    sentence: str

    @property
    def levels(self) -> int:
        """How many lines its marks need."""
        return max((mark.level for mark in self.marks), default=0)

    @property
    def lives(self) -> bool:
        """Whether it is there in the last period."""
        return self.shares[-1] is not None


def tell_lives(periods: Sequence[ReportedPeriod], names: Mapping[int, str], calendar: Calendar) -> tuple[Life, ...]:
    """Return the life of every segment of the periods, by id; the bands have one scale and can be compared."""
    largest = max((share for period in periods for share in period.shares.values()), default=1.0)
    ids = sorted({segment for period in periods for segment in period.shares})
    found = []
    for segment in ids:
        shares = tuple(period.shares.get(segment) for period in periods)
        events = [
            (position, event)
            for position, period in enumerate(periods)
            for event in period.events
            if event.segment_id == segment and event.event != "kept"
        ]
        found.append(
            Life(
                segment_id=segment,
                name=names.get(segment, ""),
                shares=shares,
                sizes=tuple(period.sizes.get(segment) for period in periods),
                polygons=draw_ribbon(shares, largest=largest),
                marks=tuple(_place_marks(events, len(periods))),
                sentence=life_sentence(events, periods, shares, calendar),
            )
        )
    return tuple(found)


def place_ticks(periods: Sequence[ReportedPeriod], calendar: Calendar) -> tuple[Tick, ...]:
    """Place the names of the first and the last period, and of a few between them."""
    n = len(periods)
    step = max(1, -(-(n - 1) // (_MOST_TICKS - 1)))
    # the last one is always named, so one just before it must not be
    shown = [place for place in range(0, n, step) if place == 0 or n - 1 - place >= step] + ([n - 1] if n > 1 else [])
    return tuple(_place_tick(calendar.short(periods[place].partition), place, n) for place in shown)


def _place_tick(text: str, position: int, n: int) -> Tick:
    """Anchor words near an edge to it, and centre the others."""
    left = 100 * (position + 0.5) / n
    return Tick(text, round(left, 2), "start" if left < 12 else "end" if left > 88 else "middle")


def _place_marks(events: Sequence[tuple[int, LineageEvent]], n: int) -> Iterator[Tick]:
    """Yield one mark for all events of a period; not for the first period, in which every segment is new."""
    before: Tick | None = None
    for position in sorted({place for place, _ in events}):
        words = [word for place, event in events if place == position and (word := mark_event(event))]
        if position and words:
            tick = _place_tick(", ".join(words), position, n)
            crowded = before is not None and before.level == 1 and tick.left - before.left < _ROOM
            before = replace(tick, level=2 if crowded else 1)
            yield before


def life_sentence(
    events: Sequence[tuple[int, LineageEvent]],
    periods: Sequence[ReportedPeriod],
    shares: Sequence[float | None],
    calendar: Calendar,
) -> str:
    """Return the life of a segment in words, for readers who do not see the picture."""
    happened = [
        f"{mark_event(event)} in {calendar.long(periods[position].partition)}"
        for position, event in events
        if mark_event(event)
    ]
    present = [share for share in shares if share is not None]
    span = f"{format_percent(min(present))} to {format_percent(max(present))} of the customers"
    text = f"{join_words(happened)}; {span}" if happened else span
    return f"{text[0].upper()}{text[1:]}"
