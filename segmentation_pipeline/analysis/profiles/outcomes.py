"""Do the segments differ in what matters? The effect of the segments on outcomes that did not make them.

With many customers the smallest difference has a small p-value, so the size of the effect comes first: omega squared
for numbers (Hays 1963; eta squared less what chance explains) and Cramer's V, corrected for its bias (Bergsma 2013,
doi:10.1016/j.jkss.2012.10.002), for categories. The p-value is that of Kruskal and Wallis, which is robust against
spend with a long tail, or that of chi squared; Holm's correction (1979) covers several outcomes.

An outcome is measured on one whole column: the bootstrap draws from all of its rows, and ranks and the mean's last
bits depend on all of them together. Nothing here can be added up from parts of the rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd
from pandas.api import types

from segmentation_pipeline.model import OutcomeEffect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from segmentation_pipeline.analysis.arrays.rows import Rows

    Codes = NDArray[np.intp]

SIGNIFICANT: Final = 0.05
CONFIDENCE: Final = 0.95
# The interval of a mean needs no more rows; the effect and its p-value are computed on all of them.
BOOTSTRAP_ROWS: Final = 20_000
# Cochran's rule (1954): with fewer than five expected customers in a cell the table of chi squared does not hold.
EXPECTED: Final = 5.0
_MAX_CATEGORIES: Final = 50


@dataclass(frozen=True, slots=True)
class _Estimate:
    measure: Literal["omega squared", "V"]
    effect: float
    low: float
    high: float
    p_value: float


def measure_outcome_effects(
    rows: Rows,
    segments: NDArray[np.integer[Any]] | pd.Series,
    outcomes: Sequence[str],
    *,
    rng: np.random.Generator,
    n_resamples: int = 400,
) -> tuple[OutcomeEffect, ...]:
    """Return the effect of `segments`, shape (n,), on each column of `outcomes` in `rows`, shape (n, c).

    Customers without a segment (negative or null) and nulls of an outcome are left out and counted. A number with more
    than two values is compared as a number, everything else as categories; dates count as numbers.

    Raises:
        ValueError: the lengths differ, or an outcome is not a column.
    """
    if not outcomes:
        return ()
    labels: NDArray[np.float64] = pd.to_numeric(pd.Series(np.asarray(segments))).fillna(-1).to_numpy(dtype=np.float64)
    if len(labels) != len(rows):
        raise ValueError(f"{len(labels)} segments for {len(rows)} rows: expected one for each row.")
    if missing := [outcome for outcome in outcomes if outcome not in rows.columns]:
        raise ValueError(f"outcomes {', '.join(missing)} are not among the columns: add them to the query.")
    effects = [_measure_effect(rows[outcome], labels, rng=rng, n_resamples=n_resamples) for outcome in outcomes]
    adjusted = correct_p_values([effect.p_value for effect in effects])
    return tuple(add_verdict(effect, p_value) for effect, p_value in zip(effects, adjusted, strict=True))


def correct_p_values(p_values: Sequence[float | None]) -> list[float | None]:
    """Correct p-values for their number (Holm 1979); None stays None and does not count."""
    order = sorted((p, position) for position, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, position) in enumerate(order):
        highest = max(highest, min(1.0, p * (len(order) - rank)))
        adjusted[position] = highest
    return adjusted


def _measure_effect(
    values: pd.Series, labels: NDArray[np.float64], *, rng: np.random.Generator, n_resamples: int
) -> OutcomeEffect:
    numbers = _to_numbers(values)
    null = np.asarray(values.isna(), dtype=np.bool_) if numbers is None else ~np.isfinite(numbers)
    usable = (labels >= 0) & ~null
    codes = np.unique(labels[usable], return_inverse=True)[1].astype(np.intp)
    name, n_null = str(values.name), int((null & (labels >= 0)).sum())
    kept = values.to_numpy()[usable].astype(str) if numbers is None else numbers[usable]
    n_values = len(np.unique(kept))
    numeric = numbers is not None and n_values > 2
    why = None
    if not usable.any():
        why = "no customer has both a segment and a value"
    elif codes.max() == 0:
        why = "there is only one segment"
    elif n_values == 1:
        why = "every customer has the same value"
    elif len(codes) < codes.max() + 3:
        why = f"there are only {len(codes)} customers for {codes.max() + 1} segments"
    if why is not None:
        sentence = f"segments were not compared in {name}: {why}"
        measure: Literal["omega squared", "V"] = "omega squared" if numeric else "V"
        return OutcomeEffect(
            name,
            measure,
            None,
            None,
            None,
            None,
            None,
            differ=False,
            n_rows=len(codes),
            n_null=n_null,
            sentence=sentence,
        )
    estimate = _omega(kept, codes, rng, n_resamples) if numeric else _cramer(kept, codes, rng, n_resamples)
    return OutcomeEffect(
        outcome=name,
        measure=estimate.measure,
        effect=estimate.effect,
        low=estimate.low,
        high=estimate.high,
        p_value=estimate.p_value,
        p_adjusted=None,
        differ=False,
        n_rows=len(codes),
        n_null=n_null,
        sentence="",
    )


def add_verdict(effect: OutcomeEffect, p_adjusted: float | None) -> OutcomeEffect:
    """Return the effect with its adjusted p value and the sentence that follows from it."""
    if p_adjusted is None:
        return effect
    differ = p_adjusted < SIGNIFICANT
    verdict = "segments differ in" if differ else "segments are statistically indistinguishable in"
    interval = f"{_short(effect.low)} to {_short(effect.high)}"
    sentence = f"{verdict} {effect.outcome}: {effect.measure} = {_short(effect.effect)} ({interval})"
    return replace(effect, p_adjusted=p_adjusted, differ=differ, sentence=sentence)


def _short(value: float | None) -> str:
    return "0" if not value or value < 0.005 else f"{value:.2f}"


def _to_numbers(values: pd.Series) -> NDArray[np.float64] | None:
    """Return the values as float64 with NaN for nulls; None where they are not numbers."""
    if types.is_bool_dtype(values.dtype):
        return None
    if types.is_datetime64_any_dtype(values.dtype) or types.is_timedelta64_dtype(values.dtype):
        days = (values - values.min()) / pd.Timedelta(days=1)
        return np.asarray(days.to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float64)
    if types.is_numeric_dtype(values.dtype):
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    present = values.dropna()
    # money arrives as Decimal
    if len(present) and not present.map(lambda value: isinstance(value, str | bool | np.bool_)).any():
        numbers = pd.to_numeric(values, errors="coerce")
        if numbers.notna().sum() == len(present):
            return numbers.to_numpy(dtype=np.float64, na_value=np.nan)
    return None


def _omega(values: NDArray[Any], codes: Codes, rng: np.random.Generator, n_resamples: int) -> _Estimate:
    from scipy.stats import kruskal

    wide = np.asarray(values, dtype=np.float64)
    wide = (wide - wide.mean()) / wide.std()
    k = int(codes.max()) + 1
    p_value = float(kruskal(*[wide[codes == code] for code in range(k)]).pvalue)
    rows = np.arange(len(wide))
    if len(rows) > BOOTSTRAP_ROWS:
        rows = rng.choice(rows, size=BOOTSTRAP_ROWS, replace=False)
    picks = (rng.choice(rows, size=len(rows)) for _ in range(n_resamples))
    resamples = np.array([_omega_squared(wide[pick], codes[pick], k) for pick in picks])
    effect = _omega_squared(wide, codes, k)
    low, high = _interval(resamples, effect)
    return _Estimate("omega squared", max(effect, 0.0), low, high, p_value)


def _omega_squared(values: NDArray[np.float64], codes: Codes, k: int) -> float:
    """Return omega squared; it is below 0 where segments explain less than chance would."""
    sizes = np.bincount(codes, minlength=k)
    sums = np.bincount(codes, weights=values, minlength=k)
    present = sizes > 0
    n, groups = len(values), int(present.sum())
    total = float(np.square(values - values.mean()).sum())
    between = float((sums[present] ** 2 / sizes[present]).sum() - values.sum() ** 2 / n)
    if total <= 0 or n <= groups:
        return 0.0
    noise = max(total - between, 0.0) / (n - groups)
    return (between - (groups - 1) * noise) / (total + noise)


def _cramer(values: NDArray[Any], codes: Codes, rng: np.random.Generator, n_resamples: int) -> _Estimate:
    from scipy.stats import chi2_contingency

    table = _tabulate(values, codes)
    n = int(table.sum())
    test = chi2_contingency(table, correction=False)
    p_value = float(test.pvalue)
    if test.expected_freq.min() < EXPECTED:
        p_value = _exact_p(table, float(test.statistic), test.expected_freq, rng)
    effect = _phi_squared(table)
    resampled = rng.multinomial(n, (table / n).ravel(), size=n_resamples).reshape(n_resamples, *table.shape)
    low, high = _interval(np.array([_phi_squared(resample) for resample in resampled]), effect)
    return _Estimate("V", _v(effect, table), _v(low, table), _v(high, table), p_value)


def _tabulate(values: NDArray[Any], codes: Codes) -> NDArray[np.int64]:
    """Count customers, shape (segments, categories); beyond fifty categories the rarest become one."""
    categories, counts = np.unique(values, return_inverse=True)
    sizes = np.bincount(counts)
    if len(categories) > _MAX_CATEGORIES:
        rank = np.empty(len(sizes), dtype=np.intp)
        rank[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
        counts = np.minimum(rank, _MAX_CATEGORIES - 1)[counts]
    k, r = int(codes.max()) + 1, int(counts.max()) + 1
    return np.bincount(codes * r + counts, minlength=k * r).reshape(k, r).astype(np.int64)


def _phi_squared(table: NDArray[np.int64]) -> float:
    """Return chi squared over n, less what chance alone yields (Bergsma 2013); it may be below 0."""
    rows, columns = table.sum(axis=1), table.sum(axis=0)
    n = float(table.sum())
    table = table[np.ix_(rows > 0, columns > 0)]
    expected = np.outer(rows[rows > 0], columns[columns > 0]) / n
    chi_squared = float((np.square(table - expected) / expected).sum())
    return float(chi_squared / n - (table.shape[0] - 1) * (table.shape[1] - 1) / (n - 1))


def _v(phi_squared: float, table: NDArray[np.int64]) -> float:
    n = float(table.sum())
    least = min(size - (size - 1) ** 2 / (n - 1) for size in table.shape)
    return float(np.sqrt(min(max(phi_squared, 0.0) / max(least - 1, 1e-12), 1.0)))


def _exact_p(
    table: NDArray[np.int64], statistic: float, expected: NDArray[np.float64], rng: np.random.Generator
) -> float:
    """Return the p-value by 999 random tables with the same margins, as if the segments were dealt out again."""
    from scipy.stats import random_table

    draws = random_table(table.sum(axis=1), table.sum(axis=0)).rvs(999, random_state=rng)
    statistics = (np.square(draws - expected) / expected).sum(axis=(1, 2))
    return float((1 + (statistics >= statistic * (1 - 1e-9)).sum()) / 1000)


def _interval(resamples: NDArray[np.float64], effect: float) -> tuple[float, float]:
    """Return the percentiles, centered on the estimate: a resample repeats customers, which raises the effect."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(resamples, [tail, 1 - tail]) - float(resamples.mean()) + effect
    return max(float(low), 0.0), min(max(float(high), 0.0), 1.0)
