"""The distance of today's customers from the parent's: by feature, by segment shares, by place of each segment.

The population stability index of two distributions p and q over the same bins is the sum of (p - q) ln(p / q), the
symmetric Kullback-Leibler divergence (Kullback and Leibler 1951, doi:10.1214/aoms/1177729694); scorecards read it as
small below 0.1 and large above 0.25 (Siddiqi 2006, Credit Risk Scorecards).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

from segmentation_pipeline.analysis.arrays.threads import map_in_order
from segmentation_pipeline.analysis.features.categorical import read_categories
from segmentation_pipeline.analysis.features.numeric import drop_nan
from segmentation_pipeline.model import CentroidShift, Drift

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from segmentation_pipeline.analysis.arrays.rows import Rows
    from segmentation_pipeline.model import Json
    from segmentation_pipeline.spec import FeatureSpec

LARGE: Final = 0.25
N_BINS: Final = 10
MOST_CATEGORIES: Final = 50
# counts for an empty bin: half a customer, so that the logarithm exists
HALF: Final = 0.5


def describe_distributions(rows: Rows, features: Sequence[FeatureSpec]) -> Json:
    """Return the distribution of each feature of `rows`, shape (n, c), in the form that a snapshot saves.

    A number: the inner edges of its deciles, the count in each bin and of nulls, mean and standard deviation. A
    category: the count of each of the 50 most frequent values, and of all others together.
    """
    columns = ((feature, rows[feature.column]) for feature in features)
    return dict(
        map_in_order(lambda pair: (pair[0].column, _describe_column(pair[1], is_number=pair[0].is_number)), columns)
    )


def measure_drift(
    distributions: Mapping[str, Any],
    rows: Rows,
    features: Sequence[FeatureSpec],
    *,
    sizes_before: Mapping[int, int],
    sizes_now: Mapping[int, int],
    profiles_before: Mapping[int, Json],
    profiles_now: Mapping[int, Json],
) -> Drift:
    """Compare today's customers, `rows` (n, c), with the `distributions` that the parent saved.

    Sizes and profiles are by segment id. A column that is not a feature today, or is a feature of another kind, is left
    out.
    """
    is_number = {feature.column: feature.is_number for feature in features}
    comparable = (
        (column, then, rows[column])
        for column, then in distributions.items()
        if column in is_number and is_number[column] == ("edges" in then)
    )
    counts = map_in_order(lambda column: (column[0], count_bins(column[2], column[1])), comparable)
    indices = {column: _compare_counts(distributions[column], now) for column, now in counts}
    ids = sorted({*sizes_before, *sizes_now})
    shares = stability_index(
        [sizes_before.get(segment, 0) for segment in ids], [sizes_now.get(segment, 0) for segment in ids]
    )
    shifts = [
        shift
        for segment in sorted(profiles_before.keys() & profiles_now.keys())
        for shift in _measure_shifts(segment, profiles_before[segment], profiles_now[segment], distributions)
    ]
    return Drift(features=indices, shares=shares, shifts=tuple(shifts))


def stability_index(before: Sequence[int], now: Sequence[int]) -> float:
    """Return the population stability index of two lists of counts over the same bins; 0 where either is empty."""
    p, q = np.asarray(before, dtype=np.float64), np.asarray(now, dtype=np.float64)
    if not p.sum() or not q.sum():
        return 0.0
    used = (p + q) > 0
    p, q = (np.maximum(counts[used], HALF) for counts in (p, q))
    p, q = p / p.sum(), q / q.sum()
    return float(((p - q) * np.log(p / q)).sum())


@dataclass(frozen=True, slots=True)
class BinCounts:
    """How many customers are in each bin of a column, and in none of them: whole numbers that add up over any parts."""

    counts: tuple[int, ...]

    def merge(self, other: Self) -> Self:
        """Add the counts of other rows, in the same bins."""
        return type(self)(tuple(one + two for one, two in zip(self.counts, other.counts, strict=True)))


def count_bins(values: pd.Series, then: Mapping[str, Any]) -> BinCounts:
    """Count a block of a column, shape (b,), in the bins, or by the values, of the distribution that it had `then`."""
    if "edges" in then:
        return BinCounts(tuple(_count_in_bins(_known_numbers(values), then["edges"], n_rows=len(values))))
    counts = read_categories(values).count()
    known = [counts.get(name, 0) for name in then["values"]]
    return BinCounts((*known, len(values) - sum(known)))


@dataclass(frozen=True, slots=True)
class ValueCounts:
    """How many customers have each value of a column: whole numbers that add up over any parts."""

    counts: Mapping[str, int]

    def merge(self, other: Self) -> Self:
        """Add the counts of other rows."""
        return type(self)(Counter(self.counts) + Counter(other.counts))

    def finish(self) -> Json:
        """Return the most frequent values, ties by name, and the number of all others together."""
        ordered = sorted(self.counts.items(), key=lambda item: (-item[1], item[0]))
        most = dict(ordered[:MOST_CATEGORIES])
        return {"values": most, "rest": sum(self.counts.values()) - sum(most.values())}


def count_values(values: pd.Series) -> ValueCounts:
    """Count the values of a block of a column, shape (b,)."""
    return ValueCounts(read_categories(values).count())


def _describe_column(values: pd.Series, *, is_number: bool) -> Json:
    """Describe a whole column, shape (n,).

    The figures of a number cannot be added up from parts: quantiles need all values, and the last bits of mean and
    standard deviation depend on all of them together.
    """
    if not is_number:
        return count_values(values).finish()
    numbers = _known_numbers(values)
    inner = np.linspace(0, 1, N_BINS + 1)[1:-1]
    edges = np.unique(np.quantile(numbers, inner)).tolist() if len(numbers) else []
    return {
        "edges": edges,
        "counts": _count_in_bins(numbers, edges, n_rows=len(values)),
        "mean": float(numbers.mean()) if len(numbers) else None,
        "std": float(numbers.std()) if len(numbers) else None,
    }


def _known_numbers(values: pd.Series) -> NDArray[np.float64]:
    return drop_nan(values.to_numpy(dtype=np.float64, na_value=np.nan))


def _count_in_bins(numbers: NDArray[np.float64], edges: Sequence[float], *, n_rows: int) -> list[int]:
    """Count the numbers in each bin, and the rows without a number."""
    # comparing with nine edges is ten times as fast as a binary search for each number
    below = [int(np.count_nonzero(numbers < edge)) for edge in edges]
    return [*np.diff([0, *below, len(numbers)]).tolist(), n_rows - len(numbers)]


def _compare_counts(then: Mapping[str, Any], now: BinCounts) -> float:
    """Return the stability index of a column, over the bins or the values of the parent."""
    before = then["counts"] if "edges" in then else [*then["values"].values(), then["rest"]]
    return stability_index(before, now.counts)


def _measure_shifts(segment: int, before: Json, now: Json, distributions: Mapping[str, Any]) -> list[CentroidShift]:
    found = []
    for column, figure in before.items():
        then, today = figure.get("mean"), now.get(column, {}).get("mean")
        spread = distributions.get(column, {}).get("std")
        if then is None or today is None:
            continue
        z = (today - then) / spread if spread else 0.0
        found.append(CentroidShift(segment, column, float(then), float(today), float(z)))
    return found
