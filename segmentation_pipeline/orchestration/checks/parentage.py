"""The asset check that warns of periods built on an older parent, and names the command that rebuilds them."""

import dagster as dg

from segmentation_pipeline.lifecycle.precedence import list_built_on_older_parent
from segmentation_pipeline.model.commands import backfill_command
from segmentation_pipeline.orchestration.segmentation import SegmentationContext
from segmentation_pipeline.orchestration.stages import PUBLISHED_SEGMENTS
from segmentation_pipeline.storage.warehouse.postgres.connection import transaction

CHECK = "built_on_latest_parent"


def define_parentage_check(segmentation: SegmentationContext) -> dg.AssetCheckSpec:
    """Return the check's definition: it warns and stops nothing."""
    return dg.AssetCheckSpec(
        CHECK,
        asset=segmentation.key(PUBLISHED_SEGMENTS),
        blocking=False,
        description="Every published period was aligned with the published period before it. A warning names the "
        "command that rebuilds those that were not; their segments are right, but their history has a gap.",
    )


def report_parentage(segmentation: SegmentationContext) -> dg.AssetCheckResult:
    """Return the check's result for all published periods now."""
    name = segmentation.spec.name
    with transaction(segmentation.spec.publish.url_env) as connection:
        stale = [snapshot.partition for snapshot in list_built_on_older_parent(connection, name)]
    description = "every published period was aligned with the published period before it"
    if stale:
        description = (
            f"{', '.join(stale)} built on an older parent. Rebuild:  {backfill_command(name, stale[0], stale[-1])}"
        )
    return dg.AssetCheckResult(
        check_name=CHECK,
        asset_key=segmentation.key(PUBLISHED_SEGMENTS),
        passed=not stale,
        severity=dg.AssetCheckSeverity.WARN,
        description=description,
        metadata={"partitions": ", ".join(stale) or "none"},
    )
