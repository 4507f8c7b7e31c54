"""Dates as numbers: the days before as_of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pandas as pd
from pandas.api import types

from segmentation_pipeline.errors import SourceError

if TYPE_CHECKING:
    from datetime import datetime

SECONDS_A_DAY: Final = 86_400


def is_date(values: pd.Series) -> bool:
    """Return whether a column holds dates or timestamps.

    A PostgreSQL `date` arrives as Python's, in an object column.
    """
    if types.is_object_dtype(values.dtype):
        return types.infer_dtype(values, skipna=True) in {"date", "datetime", "datetime64"}
    return bool(types.is_datetime64_any_dtype(values.dtype))


def count_days_before(values: pd.Series, as_of: datetime | None) -> pd.Series:
    """Count the days from each date to `as_of`: float64, negative after it, NaN where the value is not a date.

    Text is read as ISO 8601. Days are those of the calendar and the clock on the wall in as_of's time zone, so a month
    with a change to summer time has as many days as its calendar says.

    Raises:
        SourceError: the column holds numbers or booleans, or there is no as_of to count from.
    """
    if as_of is None:
        message = f"{values.name} is a date, and there is no as_of to count its days from"
        raise SourceError(message)
    if types.is_numeric_dtype(values.dtype):
        message = f"{values.name} is of type {values.dtype}, and a number is not a date. List it with kind: numeric."
        raise SourceError(message)
    dates = values
    if not types.is_datetime64_any_dtype(values.dtype):
        try:
            dates = pd.to_datetime(values, errors="coerce", format="ISO8601")
        except ValueError:  # several time zones in one column
            dates = pd.to_datetime(values, errors="coerce", format="ISO8601", utc=True)
    if isinstance(dates.dtype, pd.DatetimeTZDtype):
        dates = dates.dt.tz_convert(as_of.tzinfo).dt.tz_localize(None)
    passed: pd.Series = (dates - pd.Timestamp(as_of.replace(tzinfo=None))).dt.total_seconds()
    return passed / -SECONDS_A_DAY
