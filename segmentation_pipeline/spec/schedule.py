"""What a `defs.yaml` may say about periods and schedules."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, field_validator, model_validator

from segmentation_pipeline.spec.base import Spec
from segmentation_pipeline.spec.mistakes import make_mistake


class PartitionsSpec(Spec):
    """The periods: a period is named by its start, and shows the customers as of its end."""

    cadence: Literal["daily", "weekly", "monthly"] = Field("monthly", description="The length of a period.")
    start: str = Field(description="The first period's start, YYYY-MM-DD: a Monday if weekly, a first if monthly.")
    end: str | None = Field(None, description="Exclusive: no period starts on this day or later.")
    timezone: str = Field("UTC", description="Where a day begins, as an IANA name.")

    @field_validator("start", "end", mode="before")
    @classmethod
    def _to_text(cls, value: object) -> object:
        # YAML reads an unquoted 2024-01-01 as a date
        return value.isoformat()[:10] if hasattr(value, "isoformat") else value

    @field_validator("timezone")
    @classmethod
    def _check_timezone(cls, value: str) -> str:
        if value not in available_timezones():
            message = f"{value!r} is not a time zone; use an IANA name such as UTC or Europe/Berlin"
            raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _check_boundaries(self) -> Self:
        start = self._parse_day("start", self.start)
        if self.end is not None and self._parse_day("end", self.end) <= start:
            raise make_mistake(("end",), f"end {self.end} must be after start {self.start}")
        return self

    def _parse_day(self, field: str, value: str) -> datetime:
        try:
            day = datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=ZoneInfo(self.timezone))
        except ValueError:
            raise make_mistake((field,), f"{field}: {value!r} is not a date; write YYYY-MM-DD") from None
        if self.cadence == "monthly" and day.day != 1:
            raise make_mistake((field,), f"{field} {value} is not the start of a month; write {day:%Y-%m}-01")
        if self.cadence == "weekly" and day.weekday() != 0:
            raise make_mistake((field,), f"{field} {value} is a {day:%A}; weekly periods start on a Monday")
        return day


class ScheduleSpec(Spec):
    """When finished periods are run automatically."""

    enabled: bool = Field(False, description="Whether the schedule is switched on at first.")
    hours_after_end: int = Field(6, ge=0, le=24 * 27, description="How many hours late data may take to arrive.")
    score: str | None = Field(
        None,
        description="When new and changed customers are scored between two fits: a cron line, in the partitions' time "
        "zone. Default: the schedule is there, at 7 every day, and switched off.",
    )

    @field_validator("score")
    @classmethod
    def _check_cron_line(cls, value: str | None) -> str | None:
        if value is None:
            return None
        fields = value.split()
        if len(fields) != len(_CRON):
            message = f"{value!r} has {len(fields)} fields; a cron line has five: minute hour day month weekday"
            raise ValueError(message)
        for text, (field, (low, high, names)) in zip(fields, _CRON.items(), strict=True):
            if not all(_is_cron_part(part.upper(), low, high, names.split()) for part in text.split(",")):
                message = f"{value!r}: {text} is not a {field} of a cron line, which goes from {low} to {high}"
                raise ValueError(message)
        return value


_CRON: Final = {
    "minute": (0, 59, ""),
    "hour": (0, 23, ""),
    "day": (1, 31, ""),
    "month": (1, 12, "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC"),
    "weekday": (0, 7, "SUN MON TUE WED THU FRI SAT"),
}


def _is_cron_part(part: str, low: int, high: int, names: list[str]) -> bool:
    """Return whether it is `*`, a value or a range, perhaps with a step."""
    span, slash, step = part.partition("/")
    if slash and not (step.isdecimal() and int(step) > 0):
        return False
    if span == "*":
        return True
    first, dash, last = span.partition("-")
    bounds = [names.index(bound) + low if bound in names else bound for bound in ([first, last] if dash else [first])]
    numbers = [int(bound) for bound in bounds if str(bound).isdecimal()]
    return len(numbers) == len(bounds) and numbers == sorted(numbers) and low <= numbers[0] and numbers[-1] <= high
