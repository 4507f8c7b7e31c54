"""The customers as they stood at the period's end, as the source gives them."""

from datetime import UTC, datetime
from typing import Any

import dagster as dg

from segmentation_pipeline.orchestration.metadata.columns import describe_raw_columns
from segmentation_pipeline.orchestration.partitions import find_latest_partition
from segmentation_pipeline.orchestration.segmentation import SegmentationContext
from segmentation_pipeline.storage.registry import schema
from segmentation_pipeline.storage.warehouse.freshness import require_fresh
from segmentation_pipeline.storage.warehouse.postgres import target
from segmentation_pipeline.storage.warehouse.postgres.connection import transaction
from segmentation_pipeline.storage.warehouse.postgres.source import extract, is_dated


def raw_extract(segmentation: SegmentationContext) -> dg.AssetsDefinition:
    """Build the asset."""
    spec = segmentation.spec

    @segmentation.asset("raw_extract", kinds={"postgres", "parquet"}, description=__doc__ or "")
    def step(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        period, query = segmentation.period(context.partition_key), segmentation.query
        if warning := undated(segmentation, context.partition_key):
            context.log.warning(warning)
        schema.migrate(spec.publish.url_env)
        with segmentation.writing(context, "raw_extract") as artifact:
            rows, timezone = artifact.folder / "rows.parquet", spec.partitions.timezone
            extracted = extract(spec.source, query, period, rows, timezone=timezone)
            newest = require_fresh(rows, fresh, period, timezone=timezone) if (fresh := spec.source.fresh) else None
            # a target that cannot take the segments is told now, not after the fit
            with transaction(spec.publish.url_env) as connection:
                target.check_target(connection, spec.publish, key_type=extracted.key_type)
            artifact.manifest |= {
                "rows": extracted.n_rows,
                "data_version": extracted.data_version,
                "key_type": extracted.key_type,
                "as_of": period.as_of.isoformat(),
            }
        return segmentation.result(
            artifact,
            metadata={
                "as_of": period.as_of.isoformat(),
                **({"newest_row": newest.isoformat()} if newest else {}),
                **describe_raw_columns(segmentation, extracted.column_types),
            },
        )

    return step


def undated(segmentation: SegmentationContext, partition: str) -> str | None:
    """What to say where a period of the past would show the customers of today; None where it does not."""
    latest = find_latest_partition(segmentation.spec.partitions, datetime.now(tz=UTC))
    if partition == latest or is_dated(segmentation.query):
        return None
    return (
        f"the source query uses neither :as_of nor :window_start, so {partition} shows customers as they are today, "
        f"not as they were then. Use :as_of in the query, or run {latest} only."
    )
