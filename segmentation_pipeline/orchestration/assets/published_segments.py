"""The asset `published_segments`."""

from typing import Any

import dagster as dg

from segmentation_pipeline.analysis.arrays.rows import BLOCK_ROWS
from segmentation_pipeline.errors import NotAcceptedError
from segmentation_pipeline.lifecycle.decide import describe_waiting, find_undecided
from segmentation_pipeline.lifecycle.publish import publish
from segmentation_pipeline.lifecycle.retention import retain
from segmentation_pipeline.model.receipts import PublicationReceipt
from segmentation_pipeline.orchestration.checks.parentage import define_parentage_check, report_parentage
from segmentation_pipeline.orchestration.metadata.columns import TABLE_NAME, describe_target_columns
from segmentation_pipeline.orchestration.segmentation import SegmentationContext
from segmentation_pipeline.orchestration.stages import ALIGNED_SEGMENTS, PUBLISHED_SEGMENTS
from segmentation_pipeline.storage.artifacts.datasets import AlignedSegments, PublishedSegments
from segmentation_pipeline.storage.registry import schema, snapshots
from segmentation_pipeline.storage.warehouse.postgres.connection import transaction

# a run that publishes what a person approved names it: the latest artifact may be of a later version
SNAPSHOT_TAG = "segmentation/snapshot_id"


def published_segments(segmentation: SegmentationContext) -> dg.AssetsDefinition:
    """Build the asset."""
    spec = segmentation.spec

    @segmentation.asset(
        PUBLISHED_SEGMENTS,
        check_specs=[define_parentage_check(segmentation)],
        metadata={TABLE_NAME: spec.publish.table},
    )
    def step(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any] | dg.AssetCheckResult:
        schema.migrate(spec.publish.url_env)
        aligned = _find_aligned(context, segmentation)
        snapshot_id = aligned.snapshot_id
        if aligned.run_id == context.run.run_id and _waits(context, segmentation, snapshot_id):
            return report_parentage(segmentation)
        rows = aligned.assignments
        with transaction(spec.publish.url_env) as connection:
            batches = rows.batches(BLOCK_ROWS)
            receipt = publish(connection, spec.publish, spec.name, snapshot_id, batches)
        with segmentation.writing(context, PUBLISHED_SEGMENTS, made_from=[aligned]) as artifact:
            PublishedSegments.write(artifact, receipt=receipt, made_from=aligned)
        _log(context, receipt, spec.publish.table)
        if receipt.became_current:
            for line in retain(spec, segmentation.store).lines:
                context.log.info(f"retention: {line}")
        columns = describe_target_columns(segmentation, ALIGNED_SEGMENTS, str(rows.schema.field(spec.source.key).type))
        return segmentation.result(
            artifact, metadata={**receipt.to_json(), **columns}, check_results=[report_parentage(segmentation)]
        )

    return step


def _log(context: dg.AssetExecutionContext, receipt: PublicationReceipt, table: str) -> None:
    """Log what a person who reads the run should know of the publication."""
    if receipt.already_published:
        context.log.info(f"snapshot {receipt.snapshot_id} is published already: 0 rows changed")
    elif not receipt.became_current:
        context.log.warning(f"{context.partition_key} is older than what the target shows: history written, target not")
    if receipt.not_in_target:
        examples = ", ".join(receipt.examples_not_in_target)
        context.log.warning(f"{receipt.not_in_target:,} customers are not in {table}, for example {examples}")


def _find_aligned(context: dg.AssetExecutionContext, segmentation: SegmentationContext) -> AlignedSegments:
    """Open what is to be published: the snapshot that the run names, or the latest of the partition."""
    named = context.run.tags.get(SNAPSHOT_TAG)
    if named is None:
        return segmentation.latest(context, AlignedSegments)
    with transaction(segmentation.spec.publish.url_env) as connection:
        snapshot = snapshots.find_header(connection, int(named))
    if snapshot is None or (snapshot.segmentation, snapshot.partition) != (
        segmentation.spec.name,
        context.partition_key,
    ):
        message = (
            f"the run's tag names snapshot {named}, which is not one of {context.partition_key}; nothing is published"
        )
        raise NotAcceptedError(message)
    return segmentation.dataset_of(AlignedSegments, snapshot)


def _waits(context: dg.AssetExecutionContext, segmentation: SegmentationContext, snapshot_id: int) -> bool:
    """Return whether the snapshot of this run waits for a person; the run then ends well, with nothing published."""
    with transaction(segmentation.spec.publish.url_env) as connection:
        undecided = find_undecided(connection, snapshot_id)
    if undecided is not None:
        context.log.warning(describe_waiting(undecided))
    return undecided is not None
