"""The questions of a tree as words: several about one column become one, and limits as short as they may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a customer: a number, in `unit` where it has one, or whether a category has this value.

    `otherwise` is the other value of a category that has two.
    """

    column: str
    kind: Literal["number", "value"]
    value: str = ""
    otherwise: str = ""
    has_nulls: bool = False
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Cut:
    """One answer: `above` the limit or not (a value: it is the one asked for or not), and whether nulls go along.

    The limit is infinite where the question was whether there is a value.
    """

    question: Question
    limit: float
    above: bool
    nulls: bool


def readable(threshold: float, values: NDArray[np.floating]) -> float:
    """The shortest number that parts `values`, shape (n,), exactly as `<= threshold` does."""
    # of a number that is none neither holds; and a limit of a type of its own is not rounded to that of the values
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


def sentence(cuts: Sequence[Cut]) -> str:
    """All answers as one condition: "100 < spend <= 250 and channel is web"; without any, "everybody"."""
    columns: dict[str, list[Cut]] = {}
    for cut in cuts:
        columns.setdefault(cut.question.column, []).append(cut)
    return " and ".join(_of_one_column(column, each) for column, each in columns.items()) or "everybody"


def _of_one_column(column: str, cuts: Sequence[Cut]) -> str:
    question = cuts[0].question
    if question.kind == "value":
        return _of_values(column, cuts)
    unit = f" {question.unit}" if question.unit else ""
    least = max((cut.limit for cut in cuts if cut.above), default=-np.inf)
    most = min((cut.limit for cut in cuts if not cut.above), default=np.inf)
    if least == np.inf:
        return f"{column} is missing"
    if least == -np.inf:
        text = f"{column} <= {_number(most)}{unit}" if most < np.inf else f"{column} is known"
    elif most == np.inf:
        text = f"{column} > {_number(least)}{unit}"
    else:
        text = f"{_number(least)} < {column} <= {_number(most)}{unit}"
    along = question.has_nulls and all(cut.nulls for cut in cuts)
    return f"({text} or missing)" if along else text


def _of_values(column: str, cuts: Sequence[Cut]) -> str:
    for cut in cuts:
        if cut.above:  # whatever else it is not
            return f"{column} is {cut.question.value}"
        if cut.question.otherwise:
            return f"{column} is {cut.question.otherwise}"
    return f"{column} is not {' or '.join(cut.question.value for cut in cuts)}"


def _number(limit: float) -> str:
    """With thousands set off, and no more digits than it has."""
    text = f"{limit:,.12g}" if abs(limit) < 1e12 else f"{limit:g}"
    if "e" in text:
        return text
    whole, _, rest = text.partition(".")
    return f"{whole}.{rest.ljust(2, '0')}" if rest else whole
