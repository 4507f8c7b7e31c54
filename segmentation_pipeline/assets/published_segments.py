"""Each customer's segment id in the target table and in the history, in one transaction."""

from typing import Any

import dagster as dg

from segmentation_pipeline.assets.pipeline import Pipeline
from segmentation_pipeline.storage import database, schema, writeback
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
        return pipeline.result(artifact, metadata=receipt.to_json())

    return step
