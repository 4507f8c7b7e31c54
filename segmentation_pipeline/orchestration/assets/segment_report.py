"""The asset `segment_report`."""

from typing import Any

import dagster as dg

from segmentation_pipeline.orchestration.assets.published_segments import SNAPSHOT_TAG
from segmentation_pipeline.orchestration.reports import render_snapshot
from segmentation_pipeline.orchestration.segmentation import SegmentationContext
from segmentation_pipeline.orchestration.stages import SEGMENT_REPORT
from segmentation_pipeline.storage.artifacts.datasets import AlignedSegments, SegmentReport

CHECK = "report_made"


def segment_report(segmentation: SegmentationContext) -> dg.AssetsDefinition:
    """Build the asset, with a check that warns when no report could be made: that must not fail a run."""
    check = dg.AssetCheckSpec(
        CHECK,
        asset=segmentation.key(SEGMENT_REPORT),
        blocking=False,
        description="Passes where a report was made. Without one it only warns: the segments are right all the same.",
    )

    @segmentation.asset(SEGMENT_REPORT, check_specs=[check])
    def step(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any] | dg.AssetCheckResult:
        try:
            named = context.run.tags.get(SNAPSHOT_TAG)
            made_from = [segmentation.latest(context, AlignedSegments)] if named is None else []
            report = render_snapshot(segmentation, int(named) if named is not None else made_from[0].snapshot_id)
            with segmentation.writing(context, SEGMENT_REPORT, made_from=made_from) as artifact:
                SegmentReport.write(artifact, html=report.html, snapshot_id=report.snapshot.snapshot_id)
        except Exception as error:  # noqa: BLE001  whatever it is: the segments are right without their report
            context.log.warning(f"no report was made: {error}")
            return _check_result(segmentation, passed=False, said=f"No report was made: {error}")
        return segmentation.result(
            artifact,
            metadata={
                "report": dg.MetadataValue.path(str(SegmentReport(artifact).path)),
                "snapshot": report.snapshot.snapshot_id,
                "status": report.snapshot.status,
                "segments": report.snapshot.k,
                "customers": report.snapshot.n_assigned,
                "moved": report.n_moved,
            },
            check_results=[_check_result(segmentation, passed=True, said="The report was made.")],
        )

    return step


def _check_result(segmentation: SegmentationContext, *, passed: bool, said: str) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=CHECK,
        asset_key=segmentation.key(SEGMENT_REPORT),
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=said,
    )
