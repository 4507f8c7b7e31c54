"""The asset `validated_rows`."""

from typing import Any

import dagster as dg

from segmentation_pipeline.engines.local.blocks import RowBlocks
from segmentation_pipeline.engines.local.engine import LocalEngine
from segmentation_pipeline.errors import UnusableDataError
from segmentation_pipeline.orchestration.metadata.columns import describe_valid_columns
from segmentation_pipeline.orchestration.runs.preload import begin_loading, finish_loading
from segmentation_pipeline.orchestration.segmentation import SegmentationContext
from segmentation_pipeline.orchestration.stages import VALIDATED_ROWS
from segmentation_pipeline.runtime.memory import measure_memory
from segmentation_pipeline.steps import validate
from segmentation_pipeline.steps.preflight import require_memory
from segmentation_pipeline.storage.artifacts.datasets import RawExtract, ValidatedRows
from segmentation_pipeline.storage.artifacts.rows import ParquetRows
from segmentation_pipeline.storage.artifacts.versions import RowsVersion
from segmentation_pipeline.storage.registry import snapshots
from segmentation_pipeline.storage.registry.rejected import clear_rejected, record_rejected
from segmentation_pipeline.storage.registry.tables import ensure_tables
from segmentation_pipeline.storage.warehouse.postgres.connection import transaction


def validated_rows(segmentation: SegmentationContext) -> dg.AssetsDefinition:
    """Build the asset."""
    spec, key = segmentation.spec, segmentation.spec.source.key

    @segmentation.asset(VALIDATED_ROWS)
    def step(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        raw = segmentation.latest(context, RawExtract)
        rows, as_of = raw.rows, segmentation.period(context.partition_key).as_of
        inferred = validate.choose_features(spec, rows, as_of=as_of)
        # not while the rows are extracted, which it would slow down, nor while `auto` loads from the same packages
        begin_loading(context, segmentation)
        # every feature makes at least one column: what cannot fit is reported before the rows are worked on
        require_memory(
            spec,
            n_rows=len(rows),
            n_columns=len(inferred.features),
            key=rows.schema.field(key).type,
            room=measure_memory(),
        )
        schema = validate.usable_schema(rows.schema, inferred.features)
        version = RowsVersion(schema)
        with segmentation.writing(context, VALIDATED_ROWS, made_from=[raw]) as artifact:
            with (
                ValidatedRows.writing_rows(artifact, schema, version) as usable,
                ValidatedRows.writing_rejected(artifact, validate.rejected_schema(rows.schema)) as rejected,
            ):
                # pandera keeps settings of a validation where other threads would meet them
                reasons = validate.validate_rows(
                    LocalEngine(in_threads=False),
                    RowBlocks(rows),
                    keys=rows[key],
                    features=inferred.features,
                    as_of=as_of,
                    usable=usable,
                    rejected=rejected,
                )
            _record_rejected(context, segmentation, raw.key_type, ValidatedRows.take_rejected(artifact))
            if not usable.n_rows:
                counts = ", ".join(f"{reason} ({count:,})" for reason, count in reasons.most_common())
                message = f"all {len(rows):,} rows were rejected: {counts}. Look at segmentation.{spec.name}_rejected."
                raise UnusableDataError(message)
            ValidatedRows.write(
                artifact,
                features=inferred.features,
                n_rows=usable.n_rows,
                n_rejected=rejected.n_rows,
                data_version=version.hexdigest,
            )
        finish_loading()
        if rejected.n_rows:
            context.log.warning(f"{rejected.n_rows:,} of {len(rows):,} rows rejected: {dict(reasons)}")
        return segmentation.result(
            artifact,
            metadata={
                "extracted": len(rows),
                "rejected": rejected.n_rows,
                "reasons": dg.MetadataValue.json(dict(reasons.most_common())),
                "features": [
                    f"{feature.column} ({feature.kind}, {feature.transform})" for feature in inferred.features
                ],
                "left_out": dg.MetadataValue.json(inferred.left_out),
                **describe_valid_columns(segmentation, schema, inferred.features),
            },
        )

    return step


def _record_rejected(
    context: dg.AssetExecutionContext, segmentation: SegmentationContext, key_type: str, rejected: ParquetRows
) -> None:
    """Register the segmentation and load its rejected rows, in one short transaction."""
    spec, key = segmentation.spec, segmentation.spec.source.key
    with transaction(spec.publish.url_env) as connection:
        snapshots.register(connection, spec.name, key_name=key, key_type=key_type)
        ensure_tables(connection, spec.name, key_name=key, key_type=key_type)
        clear_rejected(connection, spec.name, run_id=context.run.run_id)
        for _, block in RowBlocks(rejected):
            record_rejected(
                connection,
                spec.name,
                run_id=context.run.run_id,
                partition=context.partition_key,
                key=key,
                rejected=block.drop(columns=validate.REASONS),
                reasons=block[validate.REASONS].tolist(),
                store_rows=spec.store_rows,
            )
