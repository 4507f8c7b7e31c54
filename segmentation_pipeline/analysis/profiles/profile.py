"""What a segment is like, in original units, and a plain name for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from segmentation_pipeline.analysis.arrays.grouping import Groups
from segmentation_pipeline.analysis.arrays.rows import BLOCK_ROWS
from segmentation_pipeline.analysis.arrays.threads import map_in_order
from segmentation_pipeline.analysis.features.numeric import drop_nan
from segmentation_pipeline.analysis.profiles.categories import count_categories

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from segmentation_pipeline.analysis.arrays.rows import Rows
    from segmentation_pipeline.model import Json
    from segmentation_pipeline.spec import FeatureSpec

# people see a third of a standard deviation; below it a feature does not set a segment apart
NOTABLE: Final = 0.33
WORDS_IN_A_NAME: Final = 3


@dataclass(frozen=True, slots=True)
class SegmentProfile:
    """One segment: customers, share, root mean square distance to its prototype, figures per feature, a name."""

    n_customers: int
    share: float
    radius: float
    figures: Json
    name: str


def profile_segments(
    rows: Rows,
    segments: NDArray[np.int32],
    distance: NDArray[np.float64],
    *,
    features: Sequence[FeatureSpec],
    outcomes: Sequence[str] = (),
) -> dict[int, SegmentProfile]:
    """Profile every segment; `rows` (n, c), `segments` and `distance` (n,) are row by row the same customers.

    A number has mean, median and z (mean minus everybody's mean, in standard deviations of everybody), a category the
    share of each value in the segment and among everybody. One column is read after the other. Only the counts of the
    categories are added up from parts: a median needs the whole column, and the last bits of means, deviations and
    radii depend on the order of all rows.
    """
    assigned = segments >= 0
    everyone = bool(assigned.all())
    own = segments if everyone else segments[assigned]
    sizes = np.bincount(own)
    ids = np.flatnonzero(sizes)
    radii = np.sqrt(
        np.bincount(own, weights=np.square(distance if everyone else distance[assigned])) / np.maximum(sizes, 1)
    )
    numeric = [feature.column for feature in features if feature.is_number]
    numeric += [column for column in outcomes if pd.api.types.is_numeric_dtype(rows[column].dtype)]
    categorical = [feature.column for feature in features if not feature.is_number]
    figures: dict[int, Json] = {int(segment): {} for segment in ids}
    groups = Groups.of(own, len(sizes))

    def describe(named: tuple[str, pd.Series]) -> tuple[str, dict[int, Json]]:
        column, values = named
        here = values if everyone else values.loc[assigned]
        if column in categorical:
            return column, count_categories(here, own, n_segments=len(sizes)).finish()
        return column, _describe_numbers(here, groups)

    columns = [*numeric, *categorical]
    for column, found in map_in_order(describe, ((column, rows[column]) for column in columns)):
        for segment, figure in found.items():
            figures[segment][column] = figure
    named = [column for column in columns if column not in outcomes]
    return {
        segment: SegmentProfile(
            n_customers=int(sizes[segment]),
            share=float(sizes[segment] / max(len(own), 1)),
            radius=float(radii[segment]),
            figures=own_figures,
            name=name_segment({column: own_figures[column] for column in named}),
        )
        for segment, own_figures in figures.items()
    }


def _describe_numbers(values: pd.Series, groups: Groups) -> dict[int, Json]:
    """Return mean, median and z of each segment; `values`, shape (m,), and `groups` are the assigned customers."""
    numbers: NDArray[np.float64] = values.to_numpy(dtype=np.float64, na_value=np.nan)
    known = drop_nan(numbers)
    everybody = float(known.mean()) if len(known) else np.nan
    # the rounding error of a constant is not a spread
    spread = _deviation(known, everybody) if len(known) and known.max() > known.min() else 0.0
    figures: dict[int, Json] = {}
    for segment, rows in enumerate(groups.rows):
        if not len(rows):
            continue
        inside = drop_nan(numbers[rows])
        mean, median = (float(inside.mean()), float(np.median(inside))) if len(inside) else (np.nan, np.nan)
        figures[segment] = {"mean": mean, "median": median, "z": (mean - everybody) / spread if spread else 0.0}
    return figures


def _deviation(numbers: NDArray[np.float64], mean: float) -> float:
    """Return the standard deviation of numbers, shape (m,), without a second array of that size."""
    squares = (np.square(numbers[start : start + BLOCK_ROWS] - mean) for start in range(0, len(numbers), BLOCK_ROWS))
    return float(np.sqrt(sum(float(block.sum()) for block in squares) / len(numbers)))


def name_segment(figures: Mapping[str, Json]) -> str:
    """Name a segment by its largest differences from everybody: "high spend, low recency days, mostly web"."""
    words = []
    for column, figure in figures.items():
        plain = column.replace("_", " ")
        if "z" in figure:
            if np.isnan(figure["z"]):  # the segment has no value
                continue
            words.append((abs(figure["z"]), f"{'high' if figure['z'] > 0 else 'low'} {plain}"))
        elif figure["shares"]:
            value, share = max(figure["shares"].items(), key=lambda item: item[1] - figure["everybody"][item[0]])
            common = figure["everybody"][value]
            lift = _lift(share, common)
            label = {"true": plain, "false": f"not {plain}"}.get(value, f"{plain} {value}")
            words.append((lift, f"mostly {label}" if share > 1 / 2 else f"more {label}"))
    notable = [word for weight, word in sorted(words, reverse=True) if weight >= NOTABLE]
    return ", ".join(notable[:WORDS_IN_A_NAME]) or "average customers"


def score_segments(
    profiles: Mapping[int, SegmentProfile], *, features: Sequence[FeatureSpec]
) -> dict[int, dict[str, float]]:
    """Return how far each segment is from everybody, by feature, in standard deviations of everybody.

    A category has an entry for each value, "country is DE", with the standard deviation of a 0/1 column. Of two values
    one says everything, of a boolean "true". NaN: the segment has no value.
    """
    scores: dict[int, dict[str, float]] = {segment: {} for segment in profiles}
    for feature in features:
        column = feature.column
        if feature.is_number:
            for segment, profile in profiles.items():
                scores[segment][column] = profile.figures[column]["z"]
            continue
        everybody: dict[str, float] = {}
        for profile in profiles.values():
            everybody |= profile.figures[column]["everybody"]
        values = sorted(everybody, key=lambda value: (value == "false", -everybody[value], value))
        for value in values[:1] if len(values) == 2 else values:
            name = column if value == "true" else f"{column} is {value}"
            for segment, profile in profiles.items():
                share = profile.figures[column]["shares"].get(value, 0.0)
                scores[segment][name] = _lift(share, everybody[value])
    return scores


def _lift(share: float, common: float) -> float:
    """Return a share less everybody's share, in standard deviations of a 0/1 column."""
    spread = float(np.sqrt(common * (1 - common)))
    return (share - common) / spread if spread > 0 else 0.0
