"""The life of the segments over the periods: how large each was, and what happened to it."""

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
# in per cent of the width: on a phone, two words need it
_ROOM: Final = 25


@dataclass(frozen=True, slots=True)
class Tick:
    """A word at a time: its place in per cent of the width, which edge it keeps to, and the line it stands on."""

    text: str
    left: float
    side: str
    level: int = 0


@dataclass(frozen=True, slots=True)
class Life:
    """One segment: its share and size in each period (None where it was not), its band, its events, all in words."""

    segment_id: int
    name: str
    shares: tuple[float | None, ...]
    sizes: tuple[int | None, ...]
    polygons: tuple[str, ...]
    marks: tuple[Tick, ...]
    told: str

    @property
    def levels(self) -> int:
        """How many lines its marks take."""
        return max((each.level for each in self.marks), default=0)

    @property
    def lives(self) -> bool:
        """Whether it is there in the last period."""
        return self.shares[-1] is not None


def tell_lives(periods: Sequence[ReportedPeriod], names: Mapping[int, str], calendar: Calendar) -> tuple[Life, ...]:
    """The life of every segment that was in one of the periods, by id; bands are comparable with each other."""
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
                told=life_sentence(events, periods, shares, calendar),
            )
        )
    return tuple(found)


def place_ticks(periods: Sequence[ReportedPeriod], calendar: Calendar) -> tuple[Tick, ...]:
    """The first and the last period, and a few between them."""
    n = len(periods)
    step = max(1, -(-(n - 1) // (_MOST_TICKS - 1)))
    # the last one is always named, so the one just before it must not be
    places = [each for each in range(0, n, step) if each == 0 or n - 1 - each >= step] + ([n - 1] if n > 1 else [])
    return tuple(_place_tick(calendar.short(periods[each].partition), each, n) for each in places)


def _place_tick(text: str, position: int, n: int) -> Tick:
    """Words near an edge keep to it, others are centred."""
    left = 100 * (position + 0.5) / n
    return Tick(text, round(left, 2), "start" if left < 12 else "end" if left > 88 else "middle")


def _place_marks(events: Sequence[tuple[int, LineageEvent]], n: int) -> Iterator[Tick]:
    """One mark a period, of all that happened in it; in the very first everything is new, which says nothing."""
    before: Tick | None = None
    for position in sorted({each for each, _ in events}):
        words = [word for each, event in events if each == position and (word := mark_event(event))]
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
    """The same for those who do not see the picture."""
    happened = [
        f"{mark_event(event)} in {calendar.long(periods[position].partition)}"
        for position, event in events
        if mark_event(event)
    ]
    present = [share for share in shares if share is not None]
    span = f"{format_percent(min(present))} to {format_percent(max(present))} of the customers"
    text = f"{join_words(happened)}; {span}" if happened else span
    return f"{text[0].upper()}{text[1:]}"
