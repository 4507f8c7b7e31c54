"""Each customer's segment id in the target table and in the history, in one transaction."""

from typing import Any

import dagster as dg

from segmentation_pipeline.assets.pipeline import Pipeline
from segmentation_pipeline.storage import assignments, database, schema, snapshots, writeback
from segmentation_pipeline.storage.artifacts import json_version


def published_segments(pipeline: Pipeline) -> dg.AssetsDefinition:
    """Build the asset."""
    spec = pipeline.spec

    @pipeline.asset("published_segments", kinds={"postgres"}, description=__doc__ or "")
    def step(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        aligned = pipeline.latest(context, "aligned_segments")
        snapshot_id = int(aligned.manifest["snapshot_id"])
        schema.migrate(spec.publish.url_env)
        with database.begin(spec.publish.url_env) as connection:
            receipt = writeback.publish(connection, spec.publish, spec.name, snapshot_id, aligned.table("assignments"))
        with pipeline.writing(context, "published_segments", made_from=[aligned]) as artifact:
            artifact.write_json("receipt", receipt.to_json())
            artifact.manifest |= {
                "rows": aligned.rows,
                "data_version": json_version([aligned.data_version, snapshot_id]),
            }
        if receipt.already_published:
            context.log.info(f"snapshot {snapshot_id} is published already: 0 rows changed")
        elif not receipt.became_current:
            context.log.warning(
                f"{context.partition_key} is older than what the target shows: history written, target not"
            )
        if receipt.not_in_target > 0:
            context.log.warning(
                f"{receipt.not_in_target:,} customers are not in {spec.publish.table}, for example "
                f"{', '.join(receipt.examples_not_in_target)}"
            )
        if receipt.became_current:
            _retain(context, pipeline)
        return pipeline.result(artifact, metadata=receipt.to_json())

    return step


def _retain(context: dg.AssetExecutionContext, pipeline: Pipeline) -> None:
    """Apply the retention settings, in a transaction of its own: publishing must not wait for readers."""
    spec = pipeline.spec
    if spec.retention.artifacts is not None:
        gone = pipeline.store.keep_newest(spec.retention.artifacts)
        if gone:
            context.log.info(f"retention: artifacts of {', '.join(gone)} removed")
    if spec.retention.assignments is not None:
        with database.begin(spec.publish.url_env) as connection:
            ledger = snapshots.lock(connection, spec.name)
            dropped = assignments.keep_newest(connection, ledger, spec.retention.assignments) if ledger else []
        if dropped:
            context.log.info(f"retention: assignments of the snapshots {', '.join(map(str, dropped))} dropped")
