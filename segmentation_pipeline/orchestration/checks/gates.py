"""The gates as asset checks: what each of them requires, and what it found, with value and threshold."""

from typing import Final

import dagster as dg

from segmentation_pipeline.analysis.quality.gates import GATE_NAMES
from segmentation_pipeline.model import GateResult
from segmentation_pipeline.orchestration.metadata.values import round_number
from segmentation_pipeline.orchestration.segmentation import SegmentationContext
from segmentation_pipeline.spec import GatesSpec

STAGE: Final = "aligned_segments"
# the one gate that has no threshold to set
COUNTS: Final = "Every extracted row is assigned, unassigned or rejected: no row is lost unnoticed. Always on."


def define_gate_checks(segmentation: SegmentationContext) -> list[dg.AssetCheckSpec]:
    """Return a check for each gate; the gates that only warn do not stop the run."""
    return [
        dg.AssetCheckSpec(
            name,
            asset=segmentation.key(STAGE),
            blocking=_find_severity(segmentation, name) == "block",
            description=_describe_gate(segmentation, name),
        )
        for name in GATE_NAMES
    ]


def report_gate(segmentation: SegmentationContext, gate: GateResult, partition: str) -> dg.AssetCheckResult:
    """Return what a gate found in one period."""
    return dg.AssetCheckResult(
        check_name=gate.name,
        asset_key=segmentation.key(STAGE),
        passed=gate.passed,
        severity=dg.AssetCheckSeverity.ERROR if gate.severity == "block" else dg.AssetCheckSeverity.WARN,
        description=gate.message,
        metadata={
            "partition": partition,
            **{
                name: round_number(value)
                for name in ("value", "threshold")
                if (value := getattr(gate, name)) is not None
            },
        },
    )


def _find_severity(segmentation: SegmentationContext, name: str) -> str:
    gate = getattr(segmentation.spec.gates, name, None)
    return gate.severity or "block" if gate is not None else "block"


def _describe_gate(segmentation: SegmentationContext, name: str) -> str:
    field = GatesSpec.model_fields.get(name)
    if field is None:
        return COUNTS
    threshold = getattr(segmentation.spec.gates, name).threshold
    here = f"`gates.{name}` is {'not set' if threshold is None else f'{threshold:g}'} here"
    what = (
        "a failure stops the publication" if _find_severity(segmentation, name) == "block" else "a failure only warns"
    )
    return f"{field.description} {here}; {what}."
