"""A whole `defs.yaml`: one segmentation."""

from __future__ import annotations

import re
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from segmentation_pipeline.spec.base import Spec
from segmentation_pipeline.spec.features import Features
from segmentation_pipeline.spec.fit import FitSpec, SweepSpec
from segmentation_pipeline.spec.gates import GatesSpec
from segmentation_pipeline.spec.mistakes import make_mistake
from segmentation_pipeline.spec.publish import PublishSpec
from segmentation_pipeline.spec.schedule import PartitionsSpec, ScheduleSpec
from segmentation_pipeline.spec.source import SourceSpec


class RetentionSpec(Spec):
    """How many periods are kept; applied after each publication that becomes current. Snapshots are always kept."""

    artifacts: int | None = Field(
        None,
        ge=2,
        description="How many of the newest periods keep their artifacts and rejected rows. Default: all.",
    )
    assignments: int | None = Field(
        None,
        ge=2,
        description="How many of the newest published periods stay in `<name>_assignment`. Default: all.",
    )


def _allow_mapping(schema: dict[str, Any]) -> None:  # a JSON schema
    """Add the mapping form to the JSON schema, which `dg check yaml` and editors use."""
    forms = schema.pop("oneOf")
    share = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}
    properties = {"columns": {"anyOf": forms}, "pca": {"anyOf": [share, {"type": "null"}]}}
    schema["anyOf"] = [*forms, {"type": "object", "properties": properties, "additionalProperties": False}]


class SegmentationSpec(Spec):
    """One segmentation: source, periods, features, fit, gates and target."""

    name: str = Field(description="[a-z][a-z0-9_]*: the asset key prefix, the group, and the prefix of its tables.")
    source: SourceSpec = Field(description="Where the customers come from.")
    partitions: PartitionsSpec = Field(description="The periods; each of them is one run.")
    schedule: ScheduleSpec = Field(
        default_factory=ScheduleSpec,
        description="When finished periods are run and customers are scored automatically.",
    )
    features: Features = Field(
        "auto",
        description="The columns customers are compared by, or `auto` to decide per column.",
        json_schema_extra=_allow_mapping,
    )
    pca: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Keep the principal components of the encoded features that explain this share of variance. Also "
        "written `features: {columns: [...], pca: 0.9}`.",
    )
    exclude: list[str] = Field([], description="Columns that `features: auto` must leave alone.")
    outcomes: list[str] = Field(
        [], description="Columns that are never clustered on: the results that the business wants."
    )
    sweep: SweepSpec = Field(default_factory=SweepSpec, description="The numbers of clusters that are tried.")
    fit: FitSpec = Field(
        default_factory=FitSpec, description="The clustering algorithm, and which of its choices are fixed."
    )
    gates: GatesSpec = Field(default_factory=GatesSpec, description="What a snapshot must pass to be published.")
    publish: PublishSpec = Field(description="The table that gets the segments, and whether a person is asked before.")
    retention: RetentionSpec = Field(default_factory=RetentionSpec, description="How many periods are kept.")
    store_rows: bool = Field(True, description="Whether rejected rows are kept with their values.")
    owners: list[str] = Field([], description="Owners shown in the UI: e-mail addresses or team:name.")

    @model_validator(mode="before")
    @classmethod
    def _split_features_mapping(cls, data: Any) -> Any:  # whatever YAML holds; pydantic checks it afterwards
        """Split `features: {columns: ..., pca: 0.9}` into the two fields that it stands for."""
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
    def _check_owners(cls, value: list[str]) -> list[str]:
        for owner in value:
            if not re.fullmatch(r"team:.+|[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,7}", owner):
                message = f"{owner!r} is neither an e-mail address nor team:name"
                raise ValueError(message)
        return value

    @field_validator("name")
    @classmethod
    def _check_name(cls, value: str) -> str:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", value):
            message = f"name {value!r} must match [a-z][a-z0-9_]* and have at most 40 characters"
            raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _check_columns(self) -> Self:
        if self.features == "auto":
            return self
        if not self.features:
            raise make_mistake(("features",), "features is empty; list at least one column, or write `features: auto`")
        columns = [feature.column for feature in self.features]
        twice = sorted({column for column in columns if columns.count(column) > 1})
        if twice:
            second = len(columns) - 1 - columns[::-1].index(twice[0])
            raise make_mistake(("features", second), f"features: {', '.join(twice)} listed more than once")
        if self.source.key in columns:
            place = ("features", columns.index(self.source.key))
            raise make_mistake(place, f"features: {self.source.key} is the key; a key says nothing about a customer")
        both = sorted(set(columns) & set(self.outcomes))
        if both:
            words = f"outcomes: {', '.join(both)} is also a feature; an outcome is never clustered on"
            raise make_mistake(("outcomes",), words)
        if self.exclude:
            raise make_mistake(("exclude",), "exclude only goes with `features: auto`; here the features are listed")
        return self
