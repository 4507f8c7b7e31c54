"""The asset check that shows a snapshot which waits for a person, and its end when the person has decided."""

from collections.abc import Sequence

import dagster as dg

from segmentation_pipeline.model import Snapshot
from segmentation_pipeline.model.commands import approve_command, decline_command
from segmentation_pipeline.orchestration.segmentation import SegmentationContext
from segmentation_pipeline.storage.registry.decisions import label

CHECK = "approval"


def approval_check(segmentation: SegmentationContext) -> dg.AssetCheckSpec:
    """The check's definition: it warns and stops nothing, for waiting is no failure."""
    return dg.AssetCheckSpec(
        CHECK,
        asset=segmentation.key("aligned_segments"),
        blocking=False,
        description="Passes where nobody has to look at the snapshot before it is published. Else the snapshot waits "
        "for a person, and no later period is aligned until somebody decides, by the job "
        f"`{segmentation.spec.name}_approve` or `{segmentation.spec.name}_decline`. `publish.approval` is "
        f"`{segmentation.spec.publish.approval}` here.",
    )


def approval_result(
    segmentation: SegmentationContext, snapshot_id: int, status: str, reasons: Sequence[str]
) -> dg.AssetCheckResult:
    """What the check says of a new snapshot."""
    name = segmentation.spec.name
    approve, decline = approve_command(name, snapshot_id), decline_command(name, snapshot_id)
    said = {
        "candidate": "nobody needs to look at it",
        "rejected": "its gates failed: there is nothing to approve",
        "waiting": f"{'; '.join(reasons)}. Decide:  {approve}  or  {decline}",
    }[status]
    return dg.AssetCheckResult(
        check_name=CHECK,
        asset_key=segmentation.key("aligned_segments"),
        passed=status != "waiting",
        severity=dg.AssetCheckSeverity.WARN,
        description=said,
        metadata={"snapshot": str(snapshot_id), "reasons": "; ".join(reasons) or "none"},
    )


def tell_decided(
    segmentation: SegmentationContext, snapshot: Snapshot, said: str, *, instance: dg.DagsterInstance
) -> None:
    """End the check's warning once a person has decided."""
    instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(
            asset_key=segmentation.key("aligned_segments"),
            check_name=CHECK,
            passed=True,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{label(snapshot)} {said}",
            metadata={"snapshot": str(snapshot.snapshot_id)},
            blocking=False,
        )
    )
