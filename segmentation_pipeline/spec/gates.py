"""What a `defs.yaml` may say about the gates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from segmentation_pipeline.spec.base import Spec

if TYPE_CHECKING:
    from pydantic import ValidationInfo

Severity = Literal["warn", "block"]


class Gate(Spec):
    """One check of a snapshot before it may be published."""

    threshold: float | None = Field(None, description="The value at which the gate fails.")
    severity: Severity | None = Field(None, description="`block` stops publication, `warn` only reports.")


def define_gate(
    threshold: float | None, severity: Severity, description: str, *, example: float | dict[str, Any]
) -> Any:  # as pydantic's Field
    """Return the field of a gate in `GatesSpec`: its defaults, what it asks, and an example for the reference page."""
    return Field(
        default_factory=lambda: Gate(threshold=threshold, severity=severity),
        description=f"{description} Default: {threshold}, {severity}.",
        examples=[example],
    )


class GatesSpec(Spec):
    """The thresholds of the checks: a number, or `{threshold, severity}`."""

    structure: Gate = define_gate(
        3.0,
        "block",
        "The silhouette is this many standard deviations above that of data without any structure.",
        example=5,
    )
    min_segment_share: Gate = define_gate(
        0.01,
        "block",
        "The smallest segment holds at least this share of the assigned customers.",
        example=0.02,
    )
    max_row_drop: Gate = define_gate(
        0.5,
        "block",
        "The number of rows fell by no more than this share since the parent snapshot.",
        example={"threshold": 0.3, "severity": "warn"},
    )
    max_rejected_share: Gate = define_gate(
        0.2, "block", "At most this share of the extracted rows was rejected.", example=0.05
    )
    min_silhouette: Gate = define_gate(
        0.05, "block", "The silhouette of the fitted clusters is at least this.", example=0.1
    )
    match_confidence: Gate = define_gate(
        0.2,
        "warn",
        "Every match with an earlier segment would lose this part of its score if it were another.",
        example={"threshold": 0.3, "severity": "block"},
    )
    outcomes: Gate = define_gate(
        None,
        "warn",
        "The segments differ in at least one of `outcomes`, by this effect size or, without one, at all.",
        example={"threshold": 0.02, "severity": "block"},
    )
    max_moved: Gate = define_gate(
        0.3,
        "warn",
        "At most this share of the customers whom the parent knew changed segment.",
        example={"severity": "block"},
    )

    @field_validator("*", mode="before")
    @classmethod
    def complete(cls, value: Any, info: ValidationInfo) -> Any:  # whatever YAML holds; pydantic checks it afterwards
        """Read `min_silhouette: 0.2` as a threshold, and take what a mapping leaves out from the gate's defaults."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = {"threshold": value}
        if isinstance(value, Gate):
            value = value.model_dump(exclude_none=True)
        if not isinstance(value, dict):
            return value
        default: Gate = cls.model_fields[str(info.field_name)].get_default(call_default_factory=True)
        return default.model_dump() | value
