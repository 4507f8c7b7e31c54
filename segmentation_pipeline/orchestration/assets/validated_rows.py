"""The asset `validated_rows`."""

from typing import Any

import dagster as dg

from segmentation_pipeline.analysis.features.inference import InferredFeatures
from segmentation_pipeline.engines.local.blocks import RowBlocks
from segmentation_pipeline.engines.local.engine import LocalEngine
from segmentation_pipeline.model import KeyType
from segmentation_pipeline.orchestration.metadata.columns import describe_valid_columns
from segmentation_pipeline.orchestration.runs.preload import begin_loading, finish_loading
from segmentation_pipeline.orchestration.segmentation import SegmentationContext
from segmentation_pipeline.orchestration.stages import VALIDATED_ROWS
from segmentation_pipeline.runtime.memory import measure_memory
from segmentation_pipeline.steps import validate
from segmentation_pipeline.steps.preflight import require_memory
from segmentation_pipeline.storage.artifacts.datasets import RawExtract, ValidatedRows
from segmentation_pipeline.storage.artifacts.rows import ParquetRows
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
        key_type, width, room = rows.schema.field(key).type, len(inferred.features), measure_memory()
        require_memory(spec, n_rows=len(rows), n_columns=width, key=key_type, room=room)
        with segmentation.writing(context, VALIDATED_ROWS, made_from=[raw]) as artifact:
            # pandera keeps settings of a validation where other threads would meet them
            engine = LocalEngine(in_threads=False)
            split = validate.split_rows(
                engine, RowBlocks(rows), rows, features=inferred.features, key=key, as_of=as_of, into=artifact
            )
            _record_rejected(context, segmentation, raw.key_type, ValidatedRows.take_rejected(artifact))
            split.require_usable(spec.name)
            ValidatedRows.write(
                artifact,
                features=inferred.features,
                n_rows=split.n_usable,
                n_rejected=split.n_rejected,
                data_version=split.data_version,
            )
        finish_loading()
        if split.n_rejected:
            context.log.warning(f"{split.n_rejected:,} of {len(rows):,} rows rejected: {dict(split.reasons)}")
        return segmentation.result(artifact, metadata=_describe(segmentation, inferred, split))

    return step


def _describe(
    segmentation: SegmentationContext, inferred: InferredFeatures, split: validate.SplitRows
) -> dict[str, Any]:  # whatever Dagster takes as metadata
    features = [f"{feature.column} ({feature.kind}, {feature.transform})" for feature in inferred.features]
    return {
        "extracted": split.n_usable + split.n_rejected,
        "rejected": split.n_rejected,
        "reasons": dg.MetadataValue.json(dict(split.reasons.most_common())),
        "features": features,
        "left_out": dg.MetadataValue.json(inferred.left_out),
        **describe_valid_columns(segmentation, split.schema, inferred.features),
    }


def _record_rejected(
    context: dg.AssetExecutionContext, segmentation: SegmentationContext, key_type: KeyType, rejected: ParquetRows
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
