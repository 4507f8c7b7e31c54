"""Which rows can be used, and every reason why the others cannot: a pandera schema built from the spec."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pandas.api import types

from segmentation_pipeline.analysis.features.categorical import read_categories
from segmentation_pipeline.analysis.features.dates import count_days_before, is_date
from segmentation_pipeline.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from segmentation_pipeline.analysis.arrays.rows import Rows
    from segmentation_pipeline.spec import FeatureSpec

KEY_NULL: Final = "key is null"
KEY_DUPLICATED: Final = "key is duplicated"
# beyond it the squares that a variance needs are no doubles any more
LARGEST: Final = 1e100
_WANTED: Final = {"numeric": "a number", "date": "a date", "boolean": "true or false"}
_TRUTH: Final = {"true": True, "t": True, "1": True, "1.0": True, "yes": True,
                 "false": False, "f": False, "0": False, "0.0": False, "no": False}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ValidatedRows:
    """Usable rows, and per rejected row (positions in the input) its reasons."""

    rows: pd.DataFrame
    rejected: pd.DataFrame
    reasons: tuple[tuple[str, ...], ...]

    @property
    def reason_counts(self) -> dict[str, int]:
        """How many rows each reason rejects; a row with two reasons counts in both."""
        return count_reasons(self.reasons)


def count_reasons(reasons: Iterable[Sequence[str]]) -> dict[str, int]:
    """Count the rows that each reason rejects, the most frequent reason first."""
    flat = pd.Series([reason for of_one_row in reasons for reason in of_one_row], dtype="object")
    return {str(reason): int(count) for reason, count in flat.value_counts().items()}


def find_repeated_keys(keys: pd.Series) -> NDArray[np.bool_]:
    """Which of `keys`, shape (n,), more than one row has; nulls are not counted as the same."""
    return np.asarray(keys.duplicated(keep=False) & keys.notna(), dtype=np.bool_)


def validate(
    frame: pd.DataFrame,
    features: Sequence[FeatureSpec],
    *,
    key: str,
    as_of: datetime | None = None,
    repeated: NDArray[np.bool_] | None = None,
) -> ValidatedRows:
    """Split `frame`, shape (n, c), into usable rows (all columns kept, features typed) and rejected ones.

    A numeric column that arrives as text is read as numbers; a row whose text is no number is rejected for it, but a
    blank is a null where nulls are filled. A date becomes the days before `as_of`; a date after it rejects the row.
    Every reason of a row is collected before it is rejected. Where `frame` is a block of a larger table, `repeated`,
    shape (n,), says which of its keys are `find_repeated_keys` in all of it.

    Raises:
        SourceError: a feature's column or the key is not there, or a column is of a kind that cannot be read so.
    """
    require_columns(frame, [key, *(feature.column for feature in features)])
    frame = frame.reset_index(drop=True)
    reasons: dict[int, list[str]] = {}
    unreadable: dict[str, set[int]] = {}
    typed = frame.copy(deep=False)
    for feature in features:
        typed[feature.column], bad = _typed(frame[feature.column], feature, as_of)
        unreadable[feature.column] = set(np.flatnonzero(bad).tolist())
        for position in sorted(unreadable[feature.column]):
            text = str(frame[feature.column].iloc[position])[:40]
            reasons.setdefault(position, []).append(f"{feature.column}: {text!r} is not {_WANTED[feature.kind]}")
    for position in np.flatnonzero(find_repeated_keys(frame[key]) if repeated is None else repeated).tolist():
        reasons.setdefault(position, []).append(KEY_DUPLICATED)
    for position, column, reason in _schema_failures(typed, features, key=key):
        # what could not be read is reported already; it is not null as well
        if position not in unreadable.get(column, ()):
            reasons.setdefault(position, []).append(reason)
    mask = np.zeros(len(frame), dtype=bool)
    positions = sorted(reasons)
    mask[positions] = True
    return ValidatedRows(
        rows=typed.loc[~mask].reset_index(drop=True),
        rejected=frame.loc[mask],
        reasons=tuple(tuple(reasons[position]) for position in positions),
    )


def count_unreadable(values: pd.Series, feature: FeatureSpec, *, as_of: datetime | None = None) -> int:
    """How many values of a column, shape (n,), are neither null nor of the feature's kind.

    Raises:
        SourceError: the whole column is of a kind that cannot be read so.
    """
    return int(np.count_nonzero(_typed(values, feature, as_of)[1]))


def build_schema(features: Sequence[FeatureSpec], *, key: str) -> pa.DataFrameSchema:
    """Build the pandera schema that the features and the key describe."""
    columns = {
        key: pa.Column(
            nullable=True,
            checks=[pa.Check(lambda values: values.notna(), error=KEY_NULL, ignore_na=False)],
        )
    }
    for feature in features:
        columns[feature.column] = pa.Column(nullable=True, checks=_checks(feature))
    return pa.DataFrameSchema(columns, strict=False)


def _checks(feature: FeatureSpec) -> list[pa.Check]:
    column = feature.column
    checks = []
    if feature.missing == "reject":
        checks.append(pa.Check(lambda values: values.notna(), error=f"{column}: null", ignore_na=False))
    if feature.kind == "date":
        checks.append(pa.Check.ge(0.0, error=f"{column}: after as_of"))
    if feature.is_number:
        checks.append(
            pa.Check(lambda values: values.isna() | ~np.isinf(values), error=f"{column}: infinite", ignore_na=False)
        )
        checks.append(
            pa.Check(
                lambda values: values.isna() | np.isinf(values) | (values.abs() <= LARGEST),
                error=f"{column}: beyond {LARGEST:g}",
                ignore_na=False,
            )
        )
        floor = {"log1p": -1.0, "sqrt": 0.0}.get(feature.transform)
        if floor is not None:
            wanted = f"> {floor:g}" if feature.transform == "log1p" else f">= {floor:g}"
            rule = pa.Check.gt if feature.transform == "log1p" else pa.Check.ge
            checks.append(rule(floor, error=f"{column}: {feature.transform} needs {wanted}"))
        if feature.min is not None:
            checks.append(pa.Check.ge(feature.min, error=f"{column}: below {feature.min:g}"))
        if feature.max is not None:
            checks.append(pa.Check.le(feature.max, error=f"{column}: above {feature.max:g}"))
    if feature.allowed is not None:
        checks.append(pa.Check.isin(feature.allowed, error=f"{column}: not an allowed value"))
    return checks


def _schema_failures(frame: pd.DataFrame, features: Sequence[FeatureSpec], *, key: str) -> list[tuple[int, str, str]]:
    """Position, column and reason of every value that the schema refuses."""
    try:
        build_schema(features, key=key).validate(frame, lazy=True)
    except pa.errors.SchemaErrors as errors:
        cases = errors.failure_cases
        positions = cases["index"]
        if positions.isna().any():
            # a failure of the whole column, not of a row: a check could not be computed
            first = cases.loc[positions.isna()].iloc[0]
            message = f"column {first['column']}: {first['check']} ({first['failure_case']})"
            raise SourceError(message) from errors
        return [
            (int(position), str(column), str(check))
            for position, column, check in zip(positions, cases["column"], cases["check"], strict=True)
        ]
    return []


def _typed(values: pd.Series, feature: FeatureSpec, as_of: datetime | None) -> tuple[pd.Series, pd.Series]:
    """The column in the type its feature wants, and where that was impossible."""
    nowhere = pd.Series(data=False, index=values.index)
    if feature.is_number and feature.missing != "reject" and _is_text(values):
        # a blank is how a text file writes a null; where nulls are filled, so is it
        values = values.mask(values.astype("string").str.strip() == "")
    if feature.kind == "date":
        days = count_days_before(values, as_of)
        return days, days.isna() & values.notna()
    if feature.kind == "numeric":
        if types.is_numeric_dtype(values.dtype):
            return values.astype(np.float64), nowhere
        if is_date(values):
            message = (
                f"{feature.column} is a date, and a date is not a number. List it with kind: date (the days before "
                f"as_of), or give the number in the query, for example (:as_of::date - {feature.column}::date)."
            )
            raise SourceError(message)
        numbers = pd.to_numeric(values, errors="coerce").astype(np.float64)
        return numbers, numbers.isna() & values.notna()
    if feature.kind == "boolean":
        if types.is_bool_dtype(values.dtype):
            return values, nowhere
        words = values.astype("string").str.strip().str.lower()
        truth = words.astype("object").map(_TRUTH).astype("object")
        return truth, truth.isna() & values.notna()
    return _named(values), nowhere


def _named(values: pd.Series) -> pd.Series:
    """The categories' names, nulls where they are; text is its own name."""
    if isinstance(values.dtype, pd.StringDtype):
        return values
    found = read_categories(values)
    names = np.array(found.names, dtype=object)[found.codes] if len(values) else np.array([], dtype=object)
    return pd.Series(names, index=values.index, name=values.name, dtype=object).where(values.notna())


def _is_text(values: pd.Series) -> bool:
    return types.infer_dtype(values, skipna=True) == "string"


def require_columns(rows: Rows, wanted: Sequence[str]) -> None:
    """Refuse rows that lack a column.

    Raises:
        SourceError: naming the missing columns and those that are there.
    """
    missing = [column for column in wanted if column not in rows.columns]
    if missing:
        message = (
            f"the source has no column {', '.join(missing)}; it has {', '.join(map(str, rows.columns))}. "
            "Add it to the query or take it out of defs.yaml."
        )
        raise SourceError(message)
