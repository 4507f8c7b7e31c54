"""A segmentation's periods as Dagster partitions."""

from calendar import monthrange
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import dagster as dg

from segmentation_pipeline.model import Period
from segmentation_pipeline.spec import PartitionsSpec, ScheduleSpec

DATE: Final = "%Y-%m-%d"
MONDAY: Final = 1
_CLASSES: Final = {
    "daily": dg.DailyPartitionsDefinition,
    "weekly": dg.WeeklyPartitionsDefinition,
    "monthly": dg.MonthlyPartitionsDefinition,
}


def define_partitions(spec: PartitionsSpec) -> dg.TimeWindowPartitionsDefinition:
    """Return the daily, weekly (from Monday) or monthly partitions, named by their start."""
    offset = {"day_offset": MONDAY} if spec.cadence == "weekly" else {}
    definition: dg.TimeWindowPartitionsDefinition = _CLASSES[spec.cadence](
        start_date=spec.start, end_date=spec.end, timezone=spec.timezone, fmt=DATE, **offset
    )
    return definition


def find_period(spec: PartitionsSpec, partition: str) -> Period:
    """Return the period of a partition."""
    window = define_partitions(spec).time_window_for_partition_key(partition)
    return Period(partition, window.start, window.end)


def list_ended_partitions(spec: PartitionsSpec, now: datetime) -> list[str]:
    """Return the partitions that have ended by `now`, in order."""
    with dg.partition_loading_context(now):
        return list(define_partitions(spec).get_partition_keys())


def find_latest_partition(spec: PartitionsSpec, now: datetime) -> str | None:
    """Return the latest partition that has ended by `now`; None where none has."""
    with dg.partition_loading_context(now):
        return define_partitions(spec).get_last_partition_key()


def find_scoring_period(spec: PartitionsSpec, now: datetime) -> Period:
    """Return the period that customers are scored by: as long as a period of the fit, and ending now.

    Sums over a window of the same length are comparable with those of the fit. From `end` on it is the last period
    itself.
    """
    zone = ZoneInfo(spec.timezone)
    if spec.end is not None and now >= datetime.strptime(spec.end, DATE).replace(tzinfo=zone):
        last = find_latest_partition(spec, now)
        if last is not None:
            return find_period(spec, last)
    as_of = now.astimezone(zone)
    return Period(f"{as_of:%Y-%m-%dT%H:%M}", _go_back_one_period(spec, as_of), as_of)


def _go_back_one_period(spec: PartitionsSpec, as_of: datetime) -> datetime:
    """Return the same time on the clock a day, a week or a month earlier; in a shorter month, on its last day."""
    if spec.cadence != "monthly":
        return as_of - timedelta(days=1 if spec.cadence == "daily" else 7)
    year, month = (as_of.year, as_of.month - 1) if as_of.month > 1 else (as_of.year - 1, 12)
    return as_of.replace(year=year, month=month, day=min(as_of.day, monthrange(year, month)[1]))


def make_cron_line(partitions: PartitionsSpec, schedule: ScheduleSpec) -> str:
    """Return the cron line that fires `hours_after_end` hours after the end of every period."""
    days, hour = divmod(schedule.hours_after_end, 24)
    if partitions.cadence == "daily":
        return f"0 {hour} * * *"
    if partitions.cadence == "weekly":
        return f"0 {hour} * * {(MONDAY + days) % 7}"
    return f"0 {hour} {1 + days} * *"


def find_delay(schedule: ScheduleSpec) -> timedelta:
    """Return how long after its end a period is run."""
    return timedelta(hours=schedule.hours_after_end)
