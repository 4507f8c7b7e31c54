"""A tree's answers in words: all answers about one column become one condition, with limits as short as possible."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Question:
    """A question about a customer: a number, in `unit` where it has one, or whether a category has this value.

    `other_value` is the other value of a category that has two.
    """

    column: str
    kind: Literal["number", "value"]
    value: str = ""
    other_value: str = ""
    has_nulls: bool = False
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Cut:
    """One answer: `above` the limit or not (of a category: it has the value or not), and whether it includes nulls.

    The limit is infinite where the question was whether there is a value.
    """

    question: Question
    limit: float
    above: bool
    nulls: bool


def shorten_limit(threshold: float, values: NDArray[np.floating]) -> float:
    """Return the shortest number that divides `values`, shape (n,), exactly as `<= threshold` does."""
    # NaN is on neither side; a limit with a type of its own is not rounded to the type of the values
    limit = np.float64(threshold)
    low = float(np.max(values, initial=-np.inf, where=values <= limit))
    high = float(np.min(values, initial=np.inf, where=values > limit))
    if not (np.isfinite(low) and np.isfinite(high)):
        return threshold
    start = -int(np.floor(np.log10(max(abs(low), abs(high), 1e-300))))
    for digits in range(start, start + 18):
        step = 10.0**digits
        for short in (round(threshold, digits), round(float(np.floor(threshold * step)) / step, digits)):
            if low <= short < high:
                return short
    return threshold


def describe_cuts(cuts: Sequence[Cut]) -> str:
    """Join all answers to one condition: "100 < spend <= 250 and channel is web"; without answers "everybody"."""
    columns: dict[str, list[Cut]] = {}
    for cut in cuts:
        columns.setdefault(cut.question.column, []).append(cut)
    return " and ".join(_describe_column(column, answers) for column, answers in columns.items()) or "everybody"


def _describe_column(column: str, cuts: Sequence[Cut]) -> str:
    question = cuts[0].question
    if question.kind == "value":
        return _describe_values(column, cuts)
    unit = f" {question.unit}" if question.unit else ""
    least = max((cut.limit for cut in cuts if cut.above), default=-np.inf)
    most = min((cut.limit for cut in cuts if not cut.above), default=np.inf)
    if least == np.inf:
        return f"{column} is missing"
    if least == -np.inf:
        text = f"{column} <= {_format(most)}{unit}" if most < np.inf else f"{column} is known"
    elif most == np.inf:
        text = f"{column} > {_format(least)}{unit}"
    else:
        text = f"{_format(least)} < {column} <= {_format(most)}{unit}"
    with_nulls = question.has_nulls and all(cut.nulls for cut in cuts)
    return f"({text} or missing)" if with_nulls else text


def _describe_values(column: str, cuts: Sequence[Cut]) -> str:
    for cut in cuts:
        if cut.above:  # the values that it is not add nothing
            return f"{column} is {cut.question.value}"
        if cut.question.other_value:
            return f"{column} is {cut.question.other_value}"
    return f"{column} is not {' or '.join(cut.question.value for cut in cuts)}"


def _format(limit: float) -> str:
    """Write a limit with thousands separated, and no more digits than it has."""
    text = f"{limit:,.12g}" if abs(limit) < 1e12 else f"{limit:g}"
    if "e" in text:
        return text
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction.ljust(2, '0')}" if fraction else whole
