"""Periods as Dagster partitions: their names, their dates, which have ended, and when the schedule fires."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segmentation_pipeline.orchestration.partitions import (
    define_partitions,
    find_delay,
    find_latest_partition,
    find_period,
    find_scoring_period,
    list_ended_partitions,
    make_cron_line,
)
from segmentation_pipeline.spec import PartitionsSpec, ScheduleSpec

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2024, 4, 15, 12, tzinfo=UTC)


def _spec(cadence: Any = "monthly", start: str = "2024-01-01", **changes: Any) -> PartitionsSpec:
    return PartitionsSpec(cadence=cadence, start=start, **changes)


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        (_spec(), ["2024-01-01", "2024-02-01", "2024-03-01"]),
        (_spec("weekly", "2024-03-25"), ["2024-03-25", "2024-04-01", "2024-04-08"]),
        (_spec("daily", "2024-04-12"), ["2024-04-12", "2024-04-13", "2024-04-14"]),
        (_spec(end="2024-03-01"), ["2024-01-01", "2024-02-01"]),
        (_spec("weekly", "2024-03-25", end="2024-04-08"), ["2024-03-25", "2024-04-01"]),
        (_spec("daily", "2024-04-12", end="2024-04-13"), ["2024-04-12"]),
        (_spec(start="2024-04-01"), []),
        (_spec(start="2030-01-01"), []),
    ],
)
def test_ended_periods_are_named_by_their_start(spec: PartitionsSpec, names: list[str]) -> None:
    """The periods that have ended by now are listed in order, up to the end, which is exclusive."""
    assert list_ended_partitions(spec, NOW) == names
    assert find_latest_partition(spec, NOW) == (names[-1] if names else None)


@pytest.mark.parametrize(
    ("now", "latest"),
    [
        (datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC), "2024-01-01"),
        (datetime(2024, 3, 1, tzinfo=UTC), "2024-02-01"),
    ],
)
def test_a_period_has_ended_at_its_end(now: datetime, latest: str) -> None:
    """A month is complete from the first moment of the next."""
    assert find_latest_partition(_spec(), now) == latest


def test_a_day_ends_where_the_segmentation_lives() -> None:
    """In Berlin a summer month ends two hours before it does in UTC."""
    spec = _spec(timezone="Europe/Berlin")

    assert find_latest_partition(spec, datetime(2024, 6, 30, 21, 59, tzinfo=UTC)) == "2024-05-01"
    assert find_latest_partition(spec, datetime(2024, 6, 30, 22, 0, tzinfo=UTC)) == "2024-06-01"


@pytest.mark.parametrize(
    ("spec", "partition", "start", "end"),
    [
        (_spec(), "2024-02-01", datetime(2024, 2, 1, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC)),
        (_spec(), "2024-12-01", datetime(2024, 12, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)),
        (_spec("weekly"), "2024-02-26", datetime(2024, 2, 26, tzinfo=UTC), datetime(2024, 3, 4, tzinfo=UTC)),
        (_spec("daily"), "2024-02-29", datetime(2024, 2, 29, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC)),
        (
            _spec(timezone="Europe/Berlin"),
            "2024-03-01",
            datetime(2024, 3, 1, tzinfo=BERLIN),
            datetime(2024, 4, 1, tzinfo=BERLIN),
        ),
        (
            _spec("daily", timezone="Europe/Berlin"),
            "2024-03-31",
            datetime(2024, 3, 31, tzinfo=BERLIN),
            datetime(2024, 4, 1, tzinfo=BERLIN),
        ),
    ],
)
def test_a_period_ends_where_the_next_begins(
    spec: PartitionsSpec, partition: str, start: datetime, end: datetime
) -> None:
    """A partition's dates are its first moment and its end, exclusive, across leap days and clock changes."""
    period = find_period(spec, partition)

    assert period.partition == partition
    assert (period.window_start, period.as_of) == (start, end)
    assert (period.window_start.isoformat(), period.as_of.isoformat()) == (start.isoformat(), end.isoformat())


def test_the_day_of_the_clock_change_has_23_hours() -> None:
    """The day on which summer time begins is an hour shorter, and nothing falls between two days."""
    period = find_period(_spec("daily", timezone="Europe/Berlin"), "2024-03-31")

    assert period.as_of.astimezone(UTC) - period.window_start.astimezone(UTC) == timedelta(hours=23)


@given(
    cadence=st.sampled_from(["daily", "weekly", "monthly"]),
    timezone=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]),
    months=st.integers(1, 14),
)
@settings(deadline=None, max_examples=30)
def test_periods_follow_each_other_without_a_gap(cadence: str, timezone: str, months: int) -> None:
    """Whatever the cadence and the time zone, each period ends exactly where the next begins."""
    spec = _spec(cadence, timezone=timezone)
    names = list_ended_partitions(spec, datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=31 * months + 2))

    periods = [find_period(spec, name) for name in names]

    assert len(names) == len(set(names)) > 0
    assert [period.as_of for period in periods[:-1]] == [period.window_start for period in periods[1:]]
    assert [f"{period.window_start:%Y-%m-%d}" for period in periods] == names
    assert {(period.window_start.hour, period.window_start.minute) for period in periods} == {(0, 0)}


def test_weeks_begin_on_monday() -> None:
    """Every weekly period starts on a Monday."""
    names = list_ended_partitions(_spec("weekly"), NOW)

    assert {datetime.fromisoformat(name).weekday() for name in names} == {0}


@pytest.mark.parametrize(
    ("cadence", "hours", "cron"),
    [
        ("daily", 6, "0 6 * * *"),
        ("daily", 0, "0 0 * * *"),
        ("daily", 30, "0 6 * * *"),
        ("weekly", 6, "0 6 * * 1"),
        ("weekly", 24 * 6 + 3, "0 3 * * 0"),
        ("weekly", 24 * 7, "0 0 * * 1"),
        ("monthly", 6, "0 6 1 * *"),
        ("monthly", 49, "0 1 3 * *"),
        ("monthly", 24 * 27, "0 0 28 * *"),
    ],
)
def test_the_schedule_fires_after_the_end(cadence: str, hours: int, cron: str) -> None:
    """The cron line is that many hours after a period's end, on a day that every month has."""
    schedule = ScheduleSpec(hours_after_end=hours)

    assert make_cron_line(_spec(cadence), schedule) == cron
    assert find_delay(schedule) == timedelta(hours=hours)


@pytest.mark.parametrize("cadence", ["daily", "weekly", "monthly"])
def test_the_definition_names_partitions_by_day(cadence: str) -> None:
    """Dagster's definition starts where the spec says, in its time zone, with names like 2024-01-01."""
    definition = define_partitions(_spec(cadence, timezone="Europe/Berlin"))

    assert definition.start == datetime(2024, 1, 1, tzinfo=BERLIN)
    assert (definition.fmt, definition.timezone) == ("%Y-%m-%d", "Europe/Berlin")


@pytest.mark.parametrize(
    ("spec", "now", "window_start"),
    [
        (_spec(), datetime(2024, 4, 15, 12, 30, tzinfo=UTC), datetime(2024, 3, 15, 12, 30, tzinfo=UTC)),
        (_spec(), datetime(2024, 3, 31, 8, tzinfo=UTC), datetime(2024, 2, 29, 8, tzinfo=UTC)),
        (_spec(), datetime(2025, 1, 10, tzinfo=UTC), datetime(2024, 12, 10, tzinfo=UTC)),
        (_spec("weekly"), datetime(2024, 4, 15, 12, tzinfo=UTC), datetime(2024, 4, 8, 12, tzinfo=UTC)),
        (_spec("daily"), datetime(2024, 3, 1, 1, tzinfo=UTC), datetime(2024, 2, 29, 1, tzinfo=UTC)),
        (_spec(end="2024-06-01"), datetime(2024, 5, 31, 23, 59, tzinfo=UTC), datetime(2024, 4, 30, 23, 59, tzinfo=UTC)),
        # the day of the clock change: the same time on the wall, an hour less
        (
            _spec("daily", timezone="Europe/Berlin"),
            datetime(2024, 3, 31, 10, tzinfo=UTC),
            datetime(2024, 3, 30, 12, tzinfo=BERLIN),
        ),
    ],
)
def test_customers_are_scored_by_the_period_that_ends_now(
    spec: PartitionsSpec, now: datetime, window_start: datetime
) -> None:
    """as_of is now, in the segmentation's time zone, and the window goes back by one period."""
    period = find_scoring_period(spec, now)

    assert period.as_of == now
    assert period.as_of.utcoffset() == now.astimezone(ZoneInfo(spec.timezone)).utcoffset()
    assert period.window_start == window_start
    assert period.partition == f"{now.astimezone(ZoneInfo(spec.timezone)):%Y-%m-%dT%H:%M}"


@pytest.mark.parametrize("cadence", ["daily", "weekly", "monthly"])
def test_at_a_period_s_end_the_window_is_that_period(cadence: str) -> None:
    """Scored in the moment in which a period ends, customers are seen as that period's fit sees them."""
    spec = _spec(cadence, timezone="Europe/Berlin")
    for partition in list_ended_partitions(spec, NOW):
        period = find_period(spec, partition)
        scored = find_scoring_period(spec, period.as_of)
        assert (scored.window_start, scored.as_of) == (period.window_start, period.as_of)


@pytest.mark.parametrize(
    ("spec", "now", "last"),
    [
        (_spec(end="2024-03-01"), datetime(2024, 3, 1, tzinfo=UTC), "2024-02-01"),
        (_spec(end="2024-03-01"), datetime(2031, 1, 1, tzinfo=UTC), "2024-02-01"),
        (_spec("weekly", end="2024-04-08"), datetime(2024, 4, 8, 5, tzinfo=UTC), "2024-04-01"),
        (
            _spec("daily", end="2024-04-08", timezone="Europe/Berlin"),
            datetime(2024, 4, 7, 22, tzinfo=UTC),
            "2024-04-07",
        ),
    ],
)
def test_from_the_end_on_customers_are_scored_by_the_last_period(
    spec: PartitionsSpec, now: datetime, last: str
) -> None:
    """After `end` nothing moves any more: the dates are the last period's own."""
    assert find_scoring_period(spec, now) == find_period(spec, last)
