"""A segmentation's periods as Dagster partitions."""

from calendar import monthrange
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg

from segmentation_pipeline.model import Period
from segmentation_pipeline.spec import PartitionsSpec, ScheduleSpec

DATE = "%Y-%m-%d"
MONDAY = 1
_CLASSES = {
    "daily": dg.DailyPartitionsDefinition,
    "weekly": dg.WeeklyPartitionsDefinition,
    "monthly": dg.MonthlyPartitionsDefinition,
}


def define_partitions(spec: PartitionsSpec) -> dg.TimeWindowPartitionsDefinition:
    """Daily, weekly (from Monday) or monthly periods, named by their start."""
    offset = {"day_offset": MONDAY} if spec.cadence == "weekly" else {}
    definition: dg.TimeWindowPartitionsDefinition = _CLASSES[spec.cadence](
        start_date=spec.start, end_date=spec.end, timezone=spec.timezone, fmt=DATE, **offset
    )
    return definition


def find_period(spec: PartitionsSpec, partition: str) -> Period:
    """The dates behind a partition's name."""
    window = define_partitions(spec).time_window_for_partition_key(partition)
    return Period(partition, window.start, window.end)


def list_ended_partitions(spec: PartitionsSpec, now: datetime) -> list[str]:
    """The names of the periods that have ended by `now`, in order."""
    with dg.partition_loading_context(now):
        return list(define_partitions(spec).get_partition_keys())


def find_latest_partition(spec: PartitionsSpec, now: datetime) -> str | None:
    """The name of the latest period that has ended by `now`."""
    with dg.partition_loading_context(now):
        return define_partitions(spec).get_last_partition_key()


def find_scoring_period(spec: PartitionsSpec, now: datetime) -> Period:
    """The dates that customers are scored by: the period's length that ends now.

    A window of the same length as a period keeps sums over it comparable with those of the fit. From `end` on it is the
    last period itself.
    """
    zone = ZoneInfo(spec.timezone)
    if spec.end is not None and now >= datetime.strptime(spec.end, DATE).replace(tzinfo=zone):
        last = find_latest_partition(spec, now)
        if last is not None:
            return find_period(spec, last)
    as_of = now.astimezone(zone)
    return Period(f"{as_of:%Y-%m-%dT%H:%M}", _go_back_one_period(spec, as_of), as_of)


def _go_back_one_period(spec: PartitionsSpec, as_of: datetime) -> datetime:
    """The same time on the clock a day, a week or a month earlier; of a shorter month, its last day."""
    if spec.cadence != "monthly":
        return as_of - timedelta(days=1 if spec.cadence == "daily" else 7)
    year, month = (as_of.year, as_of.month - 1) if as_of.month > 1 else (as_of.year - 1, 12)
    return as_of.replace(year=year, month=month, day=min(as_of.day, monthrange(year, month)[1]))


def make_cron_line(partitions: PartitionsSpec, schedule: ScheduleSpec) -> str:
    """The cron line that fires `hours_after_end` hours after each period's end."""
    days, hour = divmod(schedule.hours_after_end, 24)
    if partitions.cadence == "daily":
        return f"0 {hour} * * *"
    if partitions.cadence == "weekly":
        return f"0 {hour} * * {(MONDAY + days) % 7}"
    return f"0 {hour} {1 + days} * *"


def find_delay(schedule: ScheduleSpec) -> timedelta:
    """How long after its end a period is run."""
    return timedelta(hours=schedule.hours_after_end)
