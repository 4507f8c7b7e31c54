"""What sets a segment apart, and what its typical customer is like, in original units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from segmentation_pipeline.reporting.words import format_number, format_percent, to_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from segmentation_pipeline.model import Json
    from segmentation_pipeline.model.report import ReportedSegment

# in standard deviations: a difference below the first is not noticed
SLIGHTLY: Final = 0.2
CLEARLY: Final = 0.5
MUCH: Final = 1.0
MOST_TRAITS: Final = 5
_YES_NO: Final = {"true": "yes", "false": "no"}


@dataclass(frozen=True, slots=True)
class Trait:
    """One property of a segment, compared with all customers; `z` is in standard deviations of all customers."""

    label: str
    here: str
    everybody: str
    z: float

    @property
    def words(self) -> str:
        """How the segment compares with all customers, in words."""
        size = abs(self.z)
        if size < SLIGHTLY:
            return "like everybody"
        how = "much " if size >= MUCH else "" if size >= CLEARLY else "a little "
        return f"{how}{'higher' if self.z > 0 else 'lower'}"


@dataclass(frozen=True, slots=True)
class Portrait:
    """What sets a segment apart, the strongest first; its typical customer as (feature, value); and its outcomes."""

    traits: tuple[Trait, ...]
    typical: tuple[tuple[str, str], ...]
    outcomes: tuple[Trait, ...]


def draw_portraits(
    segments: Sequence[ReportedSegment], features: Sequence[Json], units: Mapping[str, str]
) -> dict[int, Portrait]:
    """Draw the portrait of each segment.

    `features` are the features of the fit; the other columns of a profile are outcomes. `units` are by column.
    """
    columns = [str(feature["column"]) for feature in features]
    everybody = _average(segments)
    found = {}
    for segment in segments:
        compared: list[tuple[str, Trait]] = []
        for column, figure in segment.profile.items():
            compared += [(column, trait) for trait in _compare(column, figure, units, everybody)]
        own = sorted((trait for column, trait in compared if column in columns), key=lambda trait: -abs(trait.z))
        found[segment.segment_id] = Portrait(
            traits=tuple([trait for trait in own if abs(trait.z) >= SLIGHTLY][:MOST_TRAITS] or own[:1]),
            typical=tuple(
                (_make_label(column, units), _describe_typical(segment.profile[column]))
                for column in columns
                if column in segment.profile
            ),
            outcomes=tuple(trait for column, trait in compared if column not in columns),
        )
    return found


def _average(segments: Sequence[ReportedSegment]) -> dict[str, float | None]:
    """Return the mean of every number over all customers: that of the segments, weighted by their size."""
    sums: dict[str, float] = {}
    weights: dict[str, int] = {}
    for segment in segments:
        for column, figure in segment.profile.items():
            if (mean := figure.get("mean")) is not None:
                sums[column] = sums.get(column, 0.0) + mean * segment.n_customers
                weights[column] = weights.get(column, 0) + segment.n_customers
    return {column: total / weights[column] if weights[column] else None for column, total in sums.items()}


def _compare(
    column: str, figure: Json, units: Mapping[str, str], everybody: Mapping[str, float | None]
) -> Iterator[Trait]:
    """Yield a number as it is, or the value of a category that differs most."""
    if "shares" not in figure:
        if figure.get("z") is not None and figure.get("mean") is not None:
            yield Trait(
                _make_label(column, units),
                format_number(figure["mean"]),
                format_number(everybody.get(column)),
                figure["z"],
            )
        return
    if not figure["shares"]:
        return
    lifts = {value: _measure_lift(share, figure["everybody"][value]) for value, share in figure["shares"].items()}
    value = max(lifts, key=lifts.__getitem__)
    yield Trait(
        label=f"{to_words(column)}: {_YES_NO.get(value, value)}",
        here=format_percent(figure["shares"][value]),
        everybody=format_percent(figure["everybody"][value]),
        z=lifts[value],
    )


def _measure_lift(share: float, common: float) -> float:
    """Return a share minus that of all customers, in standard deviations of a 0/1 column."""
    spread = (common * (1 - common)) ** 0.5
    return (share - common) / spread if spread > 0 else 0.0


def _make_label(column: str, units: Mapping[str, str]) -> str:
    return f"{to_words(column)} ({units[column]})" if column in units else to_words(column)


def _describe_typical(figure: Json) -> str:
    """Return the median, or the most frequent value with its share."""
    if "shares" not in figure:
        return format_number(figure.get("median"))
    if not figure["shares"]:
        return format_number(None)
    value = max(figure["shares"], key=figure["shares"].__getitem__)
    return f"{_YES_NO.get(value, value)} ({figure['shares'][value]:.0%})"
