"""Dates as the days before as_of, in whatever type they come."""

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from segmentation_pipeline.analysis.features.dates import count_days_before
from segmentation_pipeline.errors import SourceError

AS_OF = datetime(2024, 4, 1, tzinfo=UTC)


def _count_days(values: Any, as_of: datetime = AS_OF) -> list[float]:
    return count_days_before(pd.Series(values, name="x"), as_of).tolist()


@pytest.mark.parametrize(
    "values",
    [
        [date(2024, 3, 31), date(2024, 4, 1), date(2024, 4, 2)],
        pd.to_datetime(["2024-03-31", "2024-04-01", "2024-04-02"]),
        pd.to_datetime(["2024-03-31", "2024-04-01", "2024-04-02"], utc=True),
        [datetime(2024, 3, 31), datetime(2024, 4, 1), datetime(2024, 4, 2)],  # noqa: DTZ001  a timestamp without time zone arrives so
        ["2024-03-31", "2024-04-01", "2024-04-02T00:00:00"],
        ["2024-03-31T00:00:00+00:00", "2024-04-01T02:00:00+02:00", "2024-04-01T22:00:00-02:00"],
    ],
)
def test_days_are_counted_back_from_as_of(values: Any) -> None:
    """Dates, timestamps and ISO texts become days before as_of, negative after it."""
    assert _count_days(values) == [1.0, 0.0, -1.0]


def test_parts_of_a_day_count() -> None:
    """A timestamp is a fraction of a day."""
    assert _count_days(pd.to_datetime(["2024-03-31T18:00"])) == [0.25]


def test_days_are_those_of_the_calendar() -> None:
    """Across a change to summer time a day is a day, in the time zone of as_of, with or without a zone in the data."""
    berlin = datetime(2024, 4, 1, tzinfo=ZoneInfo("Europe/Berlin"))

    assert _count_days([date(2024, 3, 1)], berlin) == [31.0]
    assert _count_days(pd.to_datetime(["2024-03-01"]), berlin) == [31.0]
    assert _count_days(pd.to_datetime(["2024-02-29T23:00"], utc=True), berlin) == [31.0]


@pytest.mark.parametrize(
    "values", [[None, date(2024, 3, 31)], pd.to_datetime([None, "2024-03-31"]), ["soon", "2024-03-31"]]
)
def test_what_is_not_a_date_has_no_days(values: Any) -> None:
    """Nulls and texts that are not dates are NaN."""
    assert np.isnan(_count_days(values)[0])
    assert _count_days(values)[1] == 1.0


def test_dates_at_the_end_of_time_are_dates() -> None:
    """The sentinels that databases use for ever and never are counted, not lost."""
    days = _count_days([date(9999, 12, 31), date(1, 1, 1)])

    assert days == [(date(2024, 4, 1) - day).days for day in (date(9999, 12, 31), date(1, 1, 1))]


@pytest.mark.parametrize("values", [[1, 2], [1.5, 2.5], [True, False]])
def test_a_number_is_not_a_date(values: Any) -> None:
    """A numeric or boolean column under a date feature is refused, with what to write."""
    with pytest.raises(SourceError, match=r"x is of type .*, and a number is not a date. List it with kind: numeric"):
        _count_days(values)


def test_without_as_of_there_are_no_days() -> None:
    """Days are never counted from now."""
    with pytest.raises(SourceError, match="there is no as_of to count its days from"):
        count_days_before(pd.Series([date(2024, 1, 1)], name="x"), None)
