"""Dates and timestamps: the days before as_of, and then numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from pandas.api import types

from segmentation_pipeline.analysis.features.dates import count_days_before, is_date
from segmentation_pipeline.analysis.features.kinds.categorical import MAX_CATEGORIES
from segmentation_pipeline.analysis.features.kinds.column import NEARLY_ALL
from segmentation_pipeline.analysis.features.kinds.kind import Kind, ReadColumn
from segmentation_pipeline.analysis.features.kinds.numeric import (
    check_number,
    explain_transform,
    fit_as_number,
    infer_number,
    read_blanks_as_nulls,
)

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd
    import pandera.pandas as pa

    from segmentation_pipeline.analysis.features.kinds.column import UnknownColumn
    from segmentation_pipeline.spec import FeatureSpec


def _read(values: pd.Series, feature: FeatureSpec, as_of: datetime | None) -> ReadColumn:
    values = read_blanks_as_nulls(values, feature)
    days = count_days_before(values, as_of)
    return ReadColumn(days, days.isna() & values.notna())


def _check(feature: FeatureSpec) -> list[pa.Check]:
    import pandera.pandas as pa

    return [pa.Check.ge(0.0, error=f"{feature.column}: after as_of"), *check_number(feature)]


def _infer(column: UnknownColumn) -> FeatureSpec | str | None:
    if not is_date(column.present):
        return None
    if column.as_of is None:
        return f"of type {types.infer_dtype(column.present)}"
    days = count_days_before(column.present, column.as_of).to_numpy(dtype=np.float64)
    if n_after := int(np.count_nonzero(days < 0)):
        return f"{n_after:,} of {len(days):,} dates are after as_of, {column.as_of:%Y-%m-%d}"
    # a date that is null is mostly one that has not come yet: that says more than the median day
    return infer_number(days, column.name, kind=DATE.name, missing="indicator" if column.has_nulls else "reject")


def _draft(column: UnknownColumn) -> str | None:
    """Leave out text that could be read as dates, and say how; up to MAX_CATEGORIES values, it is a category."""
    if not column.is_text or column.n_values <= MAX_CATEGORIES:
        return None
    words = column.read_words()
    days = count_days_before(words[words != ""], column.as_of)
    if not days.notna().mean() >= NEARLY_ALL:  # NaN without a word
        return None
    return f"dates written as text; with `kind: {DATE.name}` they become the days before as_of"


def _explain(feature: FeatureSpec, column: UnknownColumn) -> list[str]:
    return ["the days before as_of", explain_transform(count_days_before(column.series, column.as_of), feature)]


DATE: Final = Kind(
    name="date",
    wanted="a date",
    read=_read,
    checks=_check,
    fit=fit_as_number,
    infer=_infer,
    draft=_draft,
    explain=_explain,
    can_encode=lambda values: not is_date(values),
    unit="days ago",
)
