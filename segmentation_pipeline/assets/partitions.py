"""A segmentation's periods as Dagster partitions."""

from datetime import datetime, timedelta

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


def partitions_definition(spec: PartitionsSpec) -> dg.TimeWindowPartitionsDefinition:
    """Daily, weekly (from Monday) or monthly periods, named by their start."""
    offset = {"day_offset": MONDAY} if spec.cadence == "weekly" else {}
    definition: dg.TimeWindowPartitionsDefinition = _CLASSES[spec.cadence](
        start_date=spec.start, end_date=spec.end, timezone=spec.timezone, fmt=DATE, **offset
    )
    return definition


def period_of(spec: PartitionsSpec, partition: str) -> Period:
    """The dates behind a partition's name."""
    window = partitions_definition(spec).time_window_for_partition_key(partition)
    return Period(partition, window.start, window.end)


def ended_partitions(spec: PartitionsSpec, now: datetime) -> list[str]:
    """The names of the periods that have ended by `now`, in order."""
    with dg.partition_loading_context(now):
        return list(partitions_definition(spec).get_partition_keys())


def latest_partition(spec: PartitionsSpec, now: datetime) -> str | None:
    """The name of the latest period that has ended by `now`."""
    with dg.partition_loading_context(now):
        return partitions_definition(spec).get_last_partition_key()


def cron_of(partitions: PartitionsSpec, schedule: ScheduleSpec) -> str:
    """The cron line that fires `hours_after_end` hours after each period's end."""
    days, hour = divmod(schedule.hours_after_end, 24)
    if partitions.cadence == "daily":
        return f"0 {hour} * * *"
    if partitions.cadence == "weekly":
        return f"0 {hour} * * {(MONDAY + days) % 7}"
    return f"0 {hour} {1 + days} * *"


def delay_of(schedule: ScheduleSpec) -> timedelta:
    """How long after its end a period is run."""
    return timedelta(hours=schedule.hours_after_end)
