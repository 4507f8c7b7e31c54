"""Numbers, dates, events and gates in the words that people use."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from segmentation_pipeline.model import Event, GateResult, LineageEvent

NOTHING: Final = "–"  # noqa: RUF001  a dash where there is no number
_MONTH_DAYS: Final = 28
_WEEK_DAYS: Final = 7


def format_number(value: float | None) -> str:
    """Return a number in two or three digits, or whole from 100 on: 1,234, 45.6, 0.061."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if abs(value) >= 100:
        return f"{value:,.0f}"
    text = f"{value:.3g}" if abs(value) >= 1 else f"{value:.2g}"
    return f"{value:.6f}".rstrip("0") if "e" in text else text


def format_percent(value: float | None) -> str:
    """Return a share in per cent with one decimal."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return f"{value:.1%}".replace("-0.0%", "0.0%")


def to_words(column: str) -> str:
    """Return the name of a column as words."""
    return column.replace("_", " ")


def join_words(parts: Sequence[str]) -> str:
    """Return several things as in a sentence: "a, b and c"."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


@dataclass(frozen=True, slots=True)
class Calendar:
    """The names of a segmentation's periods, which last `days` days."""

    days: int

    @classmethod
    def of(cls, partition: str, as_of: datetime) -> Calendar:
        """Return the calendar of a period that ends at `as_of`."""
        return cls((as_of.date() - date.fromisoformat(partition)).days)

    @property
    def unit(self) -> str:
        """The word for a period: month, week or day."""
        return "month" if self.days >= _MONTH_DAYS - 1 else "week" if self.days >= _WEEK_DAYS - 1 else "day"

    def long(self, partition: str) -> str:
        """Return the period in full: December 2025, the week of 1 December 2025, 1 December 2025."""
        start = date.fromisoformat(partition)
        if self.unit == "month":
            return f"{start:%B %Y}"
        return f"{'the week of ' if self.unit == 'week' else ''}{start.day} {start:%B %Y}"

    def short(self, partition: str) -> str:
        """Return the period in short: Dec 2025, 1 Dec."""
        start = date.fromisoformat(partition)
        return f"{start:%b %Y}" if self.unit == "month" else f"{start.day} {start:%b}"


_MARKS: Final[dict[Event, str]] = {"born": "new", "retired": "gone", "returned": "back"}


def mark_event(event: LineageEvent) -> str:
    """Return an event in a word or two, for a timeline; empty where nothing happened."""
    if event.event == "split_from":
        return f"split from {event.other_segment_id}"
    if event.event == "merged_into":
        return f"merged into {event.other_segment_id}"
    return _MARKS.get(event.event, "")


def event_sentence(event: LineageEvent, unit: str) -> str:
    """Return an event of the report's period as a sentence."""
    other = f"segment {event.other_segment_id}"
    return {
        "kept": f"Kept: it is the same segment as the {unit} before",
        "born": "New: no earlier segment is like it",
        "returned": "Back: it was gone and has returned under its old number",
        "retired": "Gone: no group of customers is like it any more",
        "split_from": f"Split off from {other}",
        "merged_into": f"Most of its customers are now in {other}",
    }[event.event]


@dataclass(frozen=True, slots=True)
class GateWords:
    """A gate for people: its title, what it checks, and how its value and its limit are shown."""

    title: str
    meaning: str
    limit: str
    show: Callable[[float | None], str]


GATE_WORDS: Final = {
    "counts_add_up": GateWords(
        "Nothing is lost", "Every customer who was read is in a segment, in none, or rejected with a reason.",
        "exactly", format_number,
    ),
    "structure": GateWords(
        "There are groups", "How far the groups stand out from data without any groups, in standard deviations.",
        "at least", format_number,
    ),
    "min_segment_share": GateWords(
        "No tiny segment", "The smallest segment's share. A few unusual customers are not a segment.",
        "at least", format_percent,
    ),
    "max_row_drop": GateWords(
        "Nobody is missing", "How many customers fewer than last time. Far fewer usually means that data is missing.",
        "at most", format_percent,
    ),
    "max_rejected_share": GateWords(
        "The data is usable", "The share of customers whose data could not be used.", "at most", format_percent,
    ),
    "min_silhouette": GateWords(
        "Segments differ", "How clearly customers belong to their own segment: 0 is not at all, 1 is perfectly.",
        "at least", format_number,
    ),
    "match_confidence": GateWords(
        "Same number, same people", "How sure it is that every segment is the one that had its number before, 0 to 1.",
        "at least", format_number,
    ),
    "outcomes": GateWords(
        "Segments matter", "How much the segments differ in what the business wants to know, 0 to 1.",
        "at least", format_number,
    ),
    "max_moved": GateWords(
        "Few have changed", "The share of known customers who are in another segment than last time.",
        "at most", format_percent,
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class GateShown:
    """A row of the table of checks."""

    title: str
    meaning: str
    message: str
    value: str
    limit: str
    result: str
    tone: str


def describe_gates(gates: Sequence[GateResult]) -> tuple[GateShown, ...]:
    """Return the results of the gates: the failed ones first, and then the most important ones."""
    order = list(GATE_WORDS)
    known = sorted(gates, key=lambda gate: order.index(gate.name) if gate.name in order else len(order))
    return tuple(_describe_gate(gate) for gate in sorted(known, key=lambda gate: (gate.passed, gate.severity)))


def _describe_gate(gate: GateResult) -> GateShown:
    """Return a gate's result for people; a gate that this version does not know keeps its name."""
    words = GATE_WORDS.get(gate.name) or GateWords(to_words(gate.name), "", "", format_number)
    failed = ("failed", "bad") if gate.severity == "block" else ("warning", "warn")
    # without a value there was nothing to check, which is not the same as having passed
    result, tone = (
        failed if not gate.passed else ("passed", "good") if gate.value is not None else ("not checked", "calm")
    )
    return GateShown(
        title=words.title,
        meaning=words.meaning,
        message=gate.message.replace(
            f" (limit {gate.threshold:g})" if gate.threshold is not None else "", "", 1
        ).rstrip("."),
        value=words.show(gate.value),
        limit=f"{words.limit} {words.show(gate.threshold)}".strip() if gate.threshold is not None else NOTHING,
        result=result,
        tone=tone,
    )
