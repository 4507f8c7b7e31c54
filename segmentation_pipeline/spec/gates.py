"""What a `defs.yaml` may say about the gates."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from segmentation_pipeline.spec.base import Spec

Severity = Literal["warn", "block"]


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
