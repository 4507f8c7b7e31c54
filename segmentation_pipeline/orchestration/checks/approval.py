"""The asset check that warns of a snapshot that waits for a person, until the person has decided."""

from collections.abc import Sequence

import dagster as dg

from segmentation_pipeline.lifecycle.decide import describe_choice
from segmentation_pipeline.model import SnapshotHeader
from segmentation_pipeline.orchestration.segmentation import SegmentationContext
from segmentation_pipeline.orchestration.stages import ALIGNED_SEGMENTS

CHECK = "approval"


def define_approval_check(segmentation: SegmentationContext) -> dg.AssetCheckSpec:
    """Return the check's definition: it warns and stops nothing, because waiting is not a failure."""
    return dg.AssetCheckSpec(
        CHECK,
        asset=segmentation.key(ALIGNED_SEGMENTS),
        blocking=False,
        description="Passes where nobody has to look at the snapshot before it is published. Else the snapshot waits "
        "for a person, and no later period is aligned until somebody decides, by the job "
        f"`{segmentation.spec.name}_approve` or `{segmentation.spec.name}_decline`. `publish.approval` is "
        f"`{segmentation.spec.publish.approval}` here.",
    )


def report_approval(
    segmentation: SegmentationContext, snapshot_id: int, status: str, reasons: Sequence[str]
) -> dg.AssetCheckResult:
    """Return the check's result for a new snapshot."""
    description = {
        "candidate": "nobody needs to look at it",
        "rejected": "its gates failed: there is nothing to approve",
        "waiting": describe_choice(segmentation.spec.name, snapshot_id, reasons),
    }[status]
    return dg.AssetCheckResult(
        check_name=CHECK,
        asset_key=segmentation.key(ALIGNED_SEGMENTS),
        passed=status != "waiting",
        severity=dg.AssetCheckSeverity.WARN,
        description=description,
        metadata={"snapshot": str(snapshot_id), "reasons": "; ".join(reasons) or "none"},
    )


def report_decision(
    segmentation: SegmentationContext, snapshot: SnapshotHeader, outcome: str, *, instance: dg.DagsterInstance
) -> None:
    """End the check's warning, because a person has decided; `outcome` says how."""
    instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(
            asset_key=segmentation.key(ALIGNED_SEGMENTS),
            check_name=CHECK,
            passed=True,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{snapshot.label} {outcome}",
            metadata={"snapshot": str(snapshot.snapshot_id)},
            blocking=False,
        )
    )
