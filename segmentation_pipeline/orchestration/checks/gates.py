"""The gates as asset checks: what each of them requires, and what it found, with value and threshold."""

import dagster as dg

from segmentation_pipeline.analysis.quality.gates import GATES, GateRule
from segmentation_pipeline.model import GateResult
from segmentation_pipeline.orchestration.metadata.values import round_number
from segmentation_pipeline.orchestration.segmentation import SegmentationContext
from segmentation_pipeline.orchestration.stages import ALIGNED_SEGMENTS
from segmentation_pipeline.spec import GatesSpec


def define_gate_checks(segmentation: SegmentationContext) -> list[dg.AssetCheckSpec]:
    """Return a check for each gate; the gates that only warn do not stop the run."""
    return [
        dg.AssetCheckSpec(
            rule.name,
            asset=segmentation.key(ALIGNED_SEGMENTS),
            blocking=rule.find_setting(segmentation.spec.gates).severity != "warn",
            description=_describe_gate(rule, segmentation.spec.gates),
        )
        for rule in GATES
    ]


def report_gate(segmentation: SegmentationContext, gate: GateResult, partition: str) -> dg.AssetCheckResult:
    """Return what a gate found in one period."""
    return dg.AssetCheckResult(
        check_name=gate.name,
        asset_key=segmentation.key(ALIGNED_SEGMENTS),
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


def _describe_gate(rule: GateRule, gates: GatesSpec) -> str:
    if rule.fixed is not None:
        return rule.question
    setting = rule.find_setting(gates)
    here = f"`gates.{rule.name}` is {'not set' if setting.threshold is None else f'{setting.threshold:g}'} here"
    effect = "a failure stops the publication" if setting.severity != "warn" else "a failure only warns"
    return f"{GatesSpec.model_fields[rule.name].description} {here}; {effect}."
