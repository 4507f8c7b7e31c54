"""The asset `raw_extract`."""

from datetime import UTC, datetime
from typing import Any

import dagster as dg

from segmentation_pipeline.orchestration.metadata.columns import describe_raw_columns
from segmentation_pipeline.orchestration.partitions import find_latest_partition
from segmentation_pipeline.orchestration.segmentation import SegmentationContext
from segmentation_pipeline.orchestration.stages import RAW_EXTRACT
from segmentation_pipeline.storage.artifacts.datasets import RawExtract
from segmentation_pipeline.storage.registry import schema
from segmentation_pipeline.storage.warehouse.freshness import require_fresh
from segmentation_pipeline.storage.warehouse.open import source_for, target_for
from segmentation_pipeline.storage.warehouse.postgres.connection import transaction


def raw_extract(segmentation: SegmentationContext) -> dg.AssetsDefinition:
    """Build the asset."""
    spec = segmentation.spec

    @segmentation.asset(RAW_EXTRACT)
    def step(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        period, query = segmentation.period(context.partition_key), segmentation.query
        if warning := warn_undated(segmentation, context.partition_key):
            context.log.warning(warning)
        schema.migrate(spec.publish.url_env)
        with segmentation.writing(context, RAW_EXTRACT) as artifact:
            rows, timezone = RawExtract.path(artifact), spec.partitions.timezone
            extracted = source_for(spec.source, timezone=timezone).extract(query, period, rows)
            newest = require_fresh(rows, fresh, period, timezone=timezone) if (fresh := spec.source.fresh) else None
            # a target that cannot take the segments is reported now, not after the fit
            with transaction(spec.publish.url_env) as connection:
                target_for(spec.publish, connection).check(key_type=extracted.key_type)
            as_of, version = period.as_of.isoformat(), extracted.data_version
            RawExtract.write(
                artifact, n_rows=extracted.n_rows, data_version=version, key_type=extracted.key_type, as_of=as_of
            )
        shown = {"as_of": as_of} | ({"newest_row": newest.isoformat()} if newest else {})
        return segmentation.result(
            artifact, metadata={**shown, **describe_raw_columns(segmentation, extracted.column_types)}
        )

    return step


def warn_undated(segmentation: SegmentationContext, partition: str) -> str | None:
    """Return a warning where a period of the past would show the customers of today; else None."""
    spec = segmentation.spec
    latest = find_latest_partition(spec.partitions, datetime.now(tz=UTC))
    source = source_for(spec.source, timezone=spec.partitions.timezone)
    if partition == latest or source.is_dated(segmentation.query):
        return None
    return (
        f"the source query uses neither :as_of nor :window_start, so {partition} shows customers as they are today, "
        f"not as they were then. Use :as_of in the query, or run {latest} only."
    )
