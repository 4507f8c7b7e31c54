"""Which rows can be used, and every reason why the others cannot: a pandera schema built from the features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
import pandera.pandas as pa

from segmentation_pipeline.analysis.features.kinds import kind_of
from segmentation_pipeline.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from numpy.typing import NDArray

    from segmentation_pipeline.analysis.arrays.rows import Rows
    from segmentation_pipeline.spec import FeatureSpec

KEY_NULL: Final = "key is null"
KEY_DUPLICATED: Final = "key is duplicated"


@dataclass(frozen=True, slots=True)
class SplitRows:
    """Usable rows, rejected rows (indexed by their positions in the input), and the reasons of each rejected row."""

    rows: pd.DataFrame
    rejected: pd.DataFrame
    reasons: tuple[tuple[str, ...], ...]

    @property
    def reason_counts(self) -> dict[str, int]:
        """The number of rows that each reason rejects; a row with two reasons counts in both."""
        return count_reasons(self.reasons)


def count_reasons(reasons: Iterable[Sequence[str]]) -> dict[str, int]:
    """Count the rows that each reason rejects, the most frequent reason first."""
    flat = pd.Series([reason for of_one_row in reasons for reason in of_one_row], dtype="object")
    return {str(reason): int(count) for reason, count in flat.value_counts().items()}


def find_repeated_keys(keys: pd.Series) -> NDArray[np.bool_]:
    """Return which of `keys`, shape (n,), more than one row has; nulls do not count as the same key."""
    return np.asarray(keys.duplicated(keep=False) & keys.notna(), dtype=np.bool_)


def validate(
    frame: pd.DataFrame,
    features: Sequence[FeatureSpec],
    *,
    key: str,
    as_of: datetime | None = None,
    repeated: NDArray[np.bool_] | None = None,
) -> SplitRows:
    """Split `frame`, shape (n, c), into usable rows (all columns kept, features read) and rejected ones.

    Each feature is read as its kind says: a numeric column that arrives as text is read as numbers, a date becomes the
    days before `as_of`. A value that cannot be read, or a date after `as_of`, rejects its row; a blank is a null where
    nulls are filled. All reasons of a row are collected before it is rejected. Where `frame` is a block of a larger
    table, `repeated`, shape (n,), says which of its keys are `find_repeated_keys` of the whole table.

    Raises:
        SourceError: a feature's column or the key is missing, or a column cannot be of the feature's kind.
    """
    require_columns(frame, [key, *(feature.column for feature in features)])
    frame = frame.reset_index(drop=True)
    reasons: dict[int, list[str]] = {}
    unreadable: dict[str, set[int]] = {}
    valid = frame.copy(deep=False)
    for feature in features:
        kind, column = kind_of(feature), feature.column
        read = kind.read(frame[column], feature, as_of)
        valid[column] = read.series
        unreadable[column] = set(np.flatnonzero(read.unreadable).tolist())
        for position in sorted(unreadable[column]):
            text = str(frame[column].iloc[position])[:40]
            reasons.setdefault(position, []).append(f"{column}: {text!r} is not {kind.wanted}")
    for position in np.flatnonzero(find_repeated_keys(frame[key]) if repeated is None else repeated).tolist():
        reasons.setdefault(position, []).append(KEY_DUPLICATED)
    for position, column, reason in _schema_failures(valid, features, key=key):
        # what could not be read is reported already; it is not null as well
        if position not in unreadable.get(column, ()):
            reasons.setdefault(position, []).append(reason)
    mask = np.zeros(len(frame), dtype=bool)
    positions = sorted(reasons)
    mask[positions] = True
    return SplitRows(
        rows=valid.loc[~mask].reset_index(drop=True),
        rejected=frame.loc[mask],
        reasons=tuple(tuple(reasons[position]) for position in positions),
    )


def count_unreadable(values: pd.Series, feature: FeatureSpec, *, as_of: datetime | None = None) -> int:
    """Count the values of a column, shape (n,), that are neither null nor of the feature's kind.

    Raises:
        SourceError: the column cannot be of the feature's kind.
    """
    return int(np.count_nonzero(kind_of(feature).read(values, feature, as_of).unreadable))


def build_schema(features: Sequence[FeatureSpec], *, key: str) -> pa.DataFrameSchema:
    """Build the pandera schema of the features and the key."""
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
    checks = kind_of(feature).checks(feature)
    if feature.missing != "reject":
        return checks
    return [pa.Check(lambda values: values.notna(), error=f"{feature.column}: null", ignore_na=False), *checks]


def _schema_failures(frame: pd.DataFrame, features: Sequence[FeatureSpec], *, key: str) -> list[tuple[int, str, str]]:
    """List position, column and reason of every value that the schema refuses."""
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


def require_columns(rows: Rows, wanted: Sequence[str]) -> None:
    """Require that the rows have all columns that are `wanted`.

    Raises:
        SourceError: a column is missing; the message names it, and the columns that are there.
    """
    missing = [column for column in wanted if column not in rows.columns]
    if missing:
        message = (
            f"the source has no column {', '.join(missing)}; it has {', '.join(map(str, rows.columns))}. "
            "Add it to the query or take it out of defs.yaml."
        )
        raise SourceError(message)
