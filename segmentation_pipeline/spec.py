"""What a `defs.yaml` may say: plain pydantic models, every field documented, unknown fields refused."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BeforeValidator, Discriminator, Field, Tag, field_validator, model_validator

from segmentation_pipeline.feature_spec import FeatureSpec, Spec
from segmentation_pipeline.spec_errors import mistake

__all__ = [
    "Approval",
    "FeatureSpec",
    "FitSpec",
    "FreshSpec",
    "Gate",
    "GatesSpec",
    "PartitionsSpec",
    "PublishSpec",
    "ScheduleSpec",
    "SegmentationSpec",
    "Severity",
    "SourceSpec",
    "Spec",
    "SweepSpec",
]

Severity = Literal["warn", "block"]
Approval = Literal["auto", "on_change", "manual"]
Algorithm = Literal[
    "auto",
    "kmeans",
    "minibatch_kmeans",
    "kmedoids",
    "kprototypes",
    "gaussian_mixture",
    "quantile",
    "hdbscan",
    "spectral",
]


# what stands beside the key in <name>_assignment, <name>_scored, <name>_current and <name>_movers, and in every table
RESERVED: Final = frozenset(
    {"snapshot_id", "segment_id", "distance", "second_segment_id", "margin", "scored_at", "name", "since", "from", "to",
     "cluster", "second_cluster", "tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"}
)  # fmt: skip


class FreshSpec(Spec):
    """What makes a period's data be there: how old its newest row may be at the period's end."""

    column: str = Field(description="A date or timestamp column of the source query; `features: auto` leaves it alone.")
    within: str = Field(description="The newest row is no older than this at as_of: 36h, 2d, 1w.")

    @field_validator("within")
    @classmethod
    def _is_a_duration(cls, value: str) -> str:
        if not re.fullmatch(r"[1-9][0-9]{0,4}[mhdw]", value):
            message = f"{value!r} is not a duration; write a whole number and m, h, d or w, such as 90m, 36h, 2d or 1w"
            raise ValueError(message)
        return value

    @property
    def limit(self) -> timedelta:
        """The duration."""
        unit = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}[self.within[-1]]
        return timedelta(**{unit: int(self.within[:-1])})


class SourceSpec(Spec):
    """Where the customers come from: a query or a table, and the column that identifies one."""

    query: str | None = Field(
        None, description="A `.sql` file beside the defs.yaml, or the SQL itself. May use :as_of and :window_start."
    )
    table: str | None = Field(None, description="`schema.table`, instead of a query.")
    key: str = Field(description="The column that identifies a customer: integer, uuid or text; unique, not null.")
    url_env: str = Field(
        "SEGMENTATION_DATABASE_URL", description="The environment variable that holds the source database's URL."
    )
    statement_timeout_s: int = Field(3600, ge=1, description="The query is cancelled after this many seconds.")
    fresh: FreshSpec | None = Field(
        None, description="`{column: updated_at, within: 2d}` refuses a period whose data has not arrived."
    )

    @field_validator("key")
    @classmethod
    def _key_is_not_a_name_of_ours(cls, value: str) -> str:
        if value in RESERVED:
            message = (
                f"the key is called {value!r}, and so is another column of the tables and views that show it. "
                f'Rename it in the query: SELECT "{value}" AS customer_id, ...'
            )
            raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _query_or_table(self) -> Self:
        if (self.query is None) == (self.table is None):
            message = "give either `query` or `table`, not both and not neither"
            raise ValueError(message)
        return self


class PartitionsSpec(Spec):
    """The periods: a partition is named by its start, and shows the customers as of its end."""

    cadence: Literal["daily", "weekly", "monthly"] = Field("monthly", description="The length of a period.")
    start: str = Field(description="The first period's start, YYYY-MM-DD: a Monday if weekly, a first if monthly.")
    end: str | None = Field(None, description="Exclusive: no period starts on this day or later.")
    timezone: str = Field("UTC", description="Where a day begins, as an IANA name.")

    @field_validator("start", "end", mode="before")
    @classmethod
    def _as_text(cls, value: object) -> object:
        # YAML reads an unquoted 2024-01-01 as a date
        return value.isoformat()[:10] if hasattr(value, "isoformat") else value

    @field_validator("timezone")
    @classmethod
    def _known_timezone(cls, value: str) -> str:
        if value not in available_timezones():
            message = f"{value!r} is not a time zone; use an IANA name such as UTC or Europe/Berlin"
            raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _on_boundaries(self) -> Self:
        start = self._day("start", self.start)
        if self.end is not None and self._day("end", self.end) <= start:
            raise mistake(("end",), f"end {self.end} must be after start {self.start}")
        return self

    def _day(self, field: str, value: str) -> datetime:
        try:
            day = datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=ZoneInfo(self.timezone))
        except ValueError:
            raise mistake((field,), f"{field}: {value!r} is not a date; write YYYY-MM-DD") from None
        if self.cadence == "monthly" and day.day != 1:
            raise mistake((field,), f"{field} {value} is not the start of a month; write {day:%Y-%m}-01")
        if self.cadence == "weekly" and day.weekday() != 0:
            raise mistake((field,), f"{field} {value} is a {day:%A}; weekly periods start on a Monday")
        return day


class ScheduleSpec(Spec):
    """When a finished period is run by itself."""

    enabled: bool = Field(False, description="Whether the schedule starts switched on.")
    hours_after_end: int = Field(6, ge=0, le=24 * 27, description="How long late data may take to arrive.")
    score: str | None = Field(
        None,
        description="When new and changed customers are scored between two fits: a cron line, in the partitions' time "
        "zone. Default: the schedule is there, at 7 every day, and switched off.",
    )

    @field_validator("score")
    @classmethod
    def _is_a_cron_line(cls, value: str | None) -> str | None:
        if value is None:
            return None
        fields = value.split()
        if len(fields) != len(_CRON):
            message = f"{value!r} has {len(fields)} fields; a cron line has five: minute hour day month weekday"
            raise ValueError(message)
        for text, (field, (low, high, names)) in zip(fields, _CRON.items(), strict=True):
            if not all(_is_cron_part(part.upper(), low, high, names.split()) for part in text.split(",")):
                message = f"{value!r}: {text} is no {field} of a cron line; it goes from {low} to {high}"
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
    """Whether it is `*`, a value or a range, perhaps with a step."""
    span, slash, step = part.partition("/")
    if slash and not (step.isdecimal() and int(step) > 0):
        return False
    if span == "*":
        return True
    first, dash, last = span.partition("-")
    bounds = [names.index(each) + low if each in names else each for each in ([first, last] if dash else [first])]
    numbers = [int(each) for each in bounds if str(each).isdecimal()]
    return len(numbers) == len(bounds) and numbers == sorted(numbers) and low <= numbers[0] and numbers[-1] <= high


class SweepSpec(Spec):
    """Which numbers of clusters are tried, and how one is chosen."""

    k_min: int = Field(2, ge=2, description="The smallest K tried.")
    k_max: int = Field(10, ge=2, le=100, description="The largest K tried.")
    policy: Literal["default", "silhouette", "davies_bouldin", "gap"] = Field(
        "default", description="How K is read off the sweep; docs/choosing-k.md says what each does."
    )

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.k_min > self.k_max:
            raise mistake(("k_max",), f"k_min {self.k_min} is above k_max {self.k_max}")
        return self


class FitSpec(Spec):
    """The clustering itself."""

    algorithm: Algorithm = Field(
        "auto",
        description=(
            "The clustering algorithm. `auto` is kmeans, or minibatch_kmeans where its copy of the matrix does not fit "
            "into memory; `quantile` cuts one numeric feature; `kprototypes` is for categories, `hdbscan` and "
            "`spectral` for shapes that are no balls (they leave outliers unassigned)."
        ),
    )
    k: int | None = Field(
        None, ge=2, le=100, description="Fixes K; the sweep still shows the others. `hdbscan` finds its own."
    )
    seed: int | None = Field(
        None,
        ge=0,
        lt=2**32,
        description="Replays a run. Leave it out in production: each run draws and records its own.",
    )
    n_init: int = Field(10, ge=10, le=1000, description="Random starts of the algorithms that have any; the best wins.")


class Gate(Spec):
    """One check of a snapshot before it may be published."""

    threshold: float | None = Field(None, description="The value at which the gate fails.")
    severity: Severity | None = Field(None, description="`block` stops publication, `warn` only tells.")


def _gate(value: object) -> object:
    """Read `min_silhouette: 0.2` as `{threshold: 0.2}`."""
    return {"threshold": value} if isinstance(value, int | float) and not isinstance(value, bool) else value


def _with_defaults(threshold: float | None, severity: Severity) -> BeforeValidator:
    def fill(value: Any) -> Any:  # whatever YAML holds; pydantic checks it afterwards
        given = _gate(value)
        if isinstance(given, Gate):
            given = given.model_dump(exclude_none=True)
        return {"threshold": threshold, "severity": severity} | given if isinstance(given, dict) else given

    return BeforeValidator(fill)


def _gate_field(threshold: float | None, severity: Severity, description: str) -> Any:
    return Field(
        default_factory=lambda: Gate(threshold=threshold, severity=severity),
        description=f"{description} Default: {threshold}, {severity}.",
    )


class GatesSpec(Spec):
    """The thresholds of the checks: a number, or `{threshold, severity}`."""

    structure: Annotated[Gate, _with_defaults(3.0, "block")] = _gate_field(
        3.0, "block", "The silhouette is this many standard deviations above that of data without any structure."
    )
    min_segment_share: Annotated[Gate, _with_defaults(0.01, "block")] = _gate_field(
        0.01, "block", "The smallest segment holds at least this share of the assigned customers."
    )
    max_row_drop: Annotated[Gate, _with_defaults(0.5, "block")] = _gate_field(
        0.5, "block", "The number of rows fell by no more than this share since the parent snapshot."
    )
    max_rejected_share: Annotated[Gate, _with_defaults(0.2, "block")] = _gate_field(
        0.2, "block", "At most this share of the extracted rows was rejected."
    )
    min_silhouette: Annotated[Gate, _with_defaults(0.05, "block")] = _gate_field(
        0.05, "block", "The silhouette of the fitted clusters is at least this."
    )
    match_confidence: Annotated[Gate, _with_defaults(0.2, "warn")] = _gate_field(
        0.2, "warn", "Every match with an earlier segment would lose this part of its score if it were another."
    )
    outcomes: Annotated[Gate, _with_defaults(None, "warn")] = _gate_field(
        None, "warn", "The segments differ in at least one of `outcomes`, by this effect size or, without one, at all."
    )
    max_moved: Annotated[Gate, _with_defaults(0.3, "warn")] = _gate_field(
        0.3, "warn", "At most this share of the customers whom the parent knew changed segment."
    )


class PublishSpec(Spec):
    """Where the segment of each customer is written."""

    table: str = Field(description="`schema.table` in the target database.")
    key: str = Field(description="The target's column that holds the source's key.")
    column: str = Field("segment_id", description="The column that takes the segment id.")
    updated_column: str | None = Field(None, description="A timestamp column, set on the rows whose segment changes.")
    mode: Literal["update", "create"] = Field(
        "update", description="`update` writes to rows that exist; `create` also makes the table and missing rows."
    )
    approval: Approval = Field(
        "auto",
        description=(
            "`auto` publishes what passes its gates, `manual` only what a person approves; `on_change` asks a person "
            "where K changed, a segment was born, came back or retired, or more customers than `gates.max_moved` moved."
        ),
    )
    absent: Literal["keep", "clear"] = Field(
        "keep", description="Customers of the target that are not in the source: keep their segment or empty it."
    )
    url_env: str = Field(
        "SEGMENTATION_DATABASE_URL", description="The environment variable that holds the target database's URL."
    )


def _form(features: object) -> str:
    """Which of the two forms it is, so that a mistake is told once and for that form."""
    return "columns" if isinstance(features, list | tuple) else "auto"


def _as_a_list(features: object) -> object:
    """Refuse what is neither form with both of them in the message."""
    if features == "auto" or isinstance(features, list | tuple):
        return features
    message = "write `auto`, or a list of {column: ..., kind: numeric, categorical, boolean or date}"
    raise ValueError(message)


Features = Annotated[
    Annotated[Literal["auto"], Tag("auto")] | Annotated[list[FeatureSpec], Tag("columns")],
    Discriminator(_form),
    BeforeValidator(_as_a_list),
]


class RetentionSpec(Spec):
    """How many periods are kept; applied after each publication that becomes current. Snapshots are kept for ever."""

    artifacts: int | None = Field(
        None,
        ge=2,
        description="Newest periods whose artifacts stay on disk, and whose rejected rows stay. Default: all.",
    )
    assignments: int | None = Field(
        None, ge=2, description="Newest published periods whose customers stay in `<name>_assignment`. Default: all."
    )


def _mapping_too(schema: dict[str, Any]) -> None:
    """Let the JSON schema, by which `dg check yaml` and editors go, know the mapping form as well."""
    forms = schema.pop("oneOf")
    share = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}
    properties = {"columns": {"anyOf": forms}, "pca": {"anyOf": [share, {"type": "null"}]}}
    schema["anyOf"] = [*forms, {"type": "object", "properties": properties, "additionalProperties": False}]


class SegmentationSpec(Spec):
    """One segmentation: source, periods, features, fit, gates and target."""

    name: str = Field(description="[a-z][a-z0-9_]*: the asset key prefix, the group, the prefix of its tables.")
    source: SourceSpec = Field(description="Where the customers come from.")
    partitions: PartitionsSpec = Field(description="The periods, each of which is one run.")
    schedule: ScheduleSpec = Field(
        default_factory=ScheduleSpec, description="When finished periods are run, and customers scored, by themselves."
    )
    features: Features = Field(
        "auto",
        description="The columns customers are compared by, or `auto` to decide per column.",
        json_schema_extra=_mapping_too,
    )
    pca: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Keep the principal components of the encoded features that explain this share of variance. Also "
        "written `features: {columns: [...], pca: 0.9}`.",
    )
    exclude: list[str] = Field([], description="Columns that `features: auto` must leave alone.")
    outcomes: list[str] = Field([], description="Columns that are never clustered on: what the business wants.")
    sweep: SweepSpec = Field(default_factory=SweepSpec, description="The numbers of clusters that are tried.")
    fit: FitSpec = Field(default_factory=FitSpec, description="The clustering algorithm, and what is fixed of it.")
    gates: GatesSpec = Field(default_factory=GatesSpec, description="What a snapshot must pass to be published.")
    publish: PublishSpec = Field(description="The table that gets the segments, and who is asked before.")
    retention: RetentionSpec = Field(default_factory=RetentionSpec, description="How long what we keep is kept.")
    store_rows: bool = Field(True, description="Whether rejected rows are kept with their values.")
    owners: list[str] = Field([], description="Owners shown in the UI: e-mail addresses or team:name.")

    @model_validator(mode="before")
    @classmethod
    def _features_as_a_mapping(cls, data: Any) -> Any:  # whatever YAML holds; pydantic checks it afterwards
        """Read `features: {columns: ..., pca: 0.9}` as the two fields that it stands for."""
        if not (isinstance(data, dict) and isinstance(data.get("features"), dict)):
            return data
        given = dict(data["features"])
        columns, pca = given.pop("columns", "auto"), given.pop("pca", None)
        if given:
            message = f"features: there is no {', '.join(map(str, given))}; a mapping has `columns` and `pca`"
            raise ValueError(message)
        if pca is not None and data.get("pca") is not None:
            message = "pca is given twice, in `features` and beside it; remove one"
            raise ValueError(message)
        return {**data, "features": columns} | ({} if pca is None else {"pca": pca})

    @field_validator("owners")
    @classmethod
    def _owners_can_be_shown(cls, value: list[str]) -> list[str]:
        for owner in value:
            if not re.fullmatch(r"team:.+|[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,7}", owner):
                message = f"{owner!r} is neither an e-mail address nor team:name"
                raise ValueError(message)
        return value

    @field_validator("name")
    @classmethod
    def _name_is_an_identifier(cls, value: str) -> str:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", value):
            message = f"name {value!r} must match [a-z][a-z0-9_]* and have at most 40 characters"
            raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _columns_do_not_collide(self) -> Self:
        if self.features == "auto":
            return self
        if not self.features:
            raise mistake(("features",), "features is empty; list at least one column, or write `features: auto`")
        columns = [feature.column for feature in self.features]
        twice = sorted({column for column in columns if columns.count(column) > 1})
        if twice:
            second = len(columns) - 1 - columns[::-1].index(twice[0])
            raise mistake(("features", second), f"features: {', '.join(twice)} listed more than once")
        if self.source.key in columns:
            place = ("features", columns.index(self.source.key))
            raise mistake(place, f"features: {self.source.key} is the key; a key says nothing about a customer")
        both = sorted(set(columns) & set(self.outcomes))
        if both:
            words = f"outcomes: {', '.join(both)} is also a feature; an outcome is never clustered on"
            raise mistake(("outcomes",), words)
        if self.exclude:
            raise mistake(("exclude",), "exclude only goes with `features: auto`; here the features are listed")
        return self
