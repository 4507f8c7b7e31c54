"""The rows that can be used; the others go to `<name>_rejected` with every reason."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import dagster as dg
import pyarrow as pa
import sqlalchemy as sa

from segmentation_pipeline.analysis.arrays.rows import iter_placed_blocks
from segmentation_pipeline.analysis.features.inference import InferredFeatures, infer_features
from segmentation_pipeline.analysis.features.validation import (
    ValidatedRows,
    find_repeated_keys,
    require_columns,
    validate,
)
from segmentation_pipeline.errors import UnusableDataError
from segmentation_pipeline.orchestration.metadata.columns import describe_valid_columns
from segmentation_pipeline.orchestration.runs.preload import begin_loading, finish_loading
from segmentation_pipeline.orchestration.segmentation import SegmentationContext
from segmentation_pipeline.spec import FeatureSpec
from segmentation_pipeline.steps.preflight import require_memory
from segmentation_pipeline.storage.artifacts.artifact import Artifact
from segmentation_pipeline.storage.artifacts.rows import ParquetRows, with_types
from segmentation_pipeline.storage.artifacts.versions import RowsVersion
from segmentation_pipeline.storage.registry import assignments, snapshots
from segmentation_pipeline.storage.warehouse.postgres.connection import transaction

TYPES: Final = {"numeric": pa.float64(), "date": pa.float64(), "boolean": pa.bool_(), "categorical": pa.string()}


def validated_rows(segmentation: SegmentationContext) -> dg.AssetsDefinition:
    """Build the asset."""
    spec = segmentation.spec

    @segmentation.asset("validated_rows", kinds={"pandas", "parquet"}, description=__doc__ or "")
    def step(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        raw = segmentation.latest(context, "raw_extract")
        rows = raw.stored("rows")
        inferred = _features(segmentation, context, rows)
        # not while the rows are extracted, which it would slow down, nor while `auto` loads from the same packages
        begin_loading(context, segmentation)
        # every feature makes at least one column: what cannot fit is told before the rows are worked on
        require_memory(
            spec, n_rows=len(rows), n_columns=len(inferred.features), key=rows.schema.field(spec.source.key).type
        )
        schema = with_types(rows.schema, {each.column: TYPES[each.kind] for each in inferred.features})
        reasons, version = Counter[str](), RowsVersion(schema)
        with segmentation.writing(context, "validated_rows", made_from=[raw]) as artifact:
            with (
                transaction(spec.publish.url_env) as connection,
                artifact.writing_table("rows", schema, version=version) as usable,
            ):
                for valid in _validated(segmentation, context, connection, raw, inferred.features):
                    usable.add(valid.rows)
                    reasons.update(valid.reason_counts)
            if not usable.n_rows:
                told = ", ".join(f"{reason} ({count:,})" for reason, count in reasons.most_common())
                message = f"all {len(rows):,} rows were rejected: {told}. Look at segmentation.{spec.name}_rejected."
                raise UnusableDataError(message)
            artifact.write_json("features", [feature.model_dump() for feature in inferred.features])
            n_rejected = len(rows) - usable.n_rows
            artifact.manifest |= {
                "rows": usable.n_rows,
                "rejected": n_rejected,
                "data_version": version.hexdigest,
            }
        finish_loading()
        if n_rejected:
            context.log.warning(f"{n_rejected:,} of {len(rows):,} rows rejected: {dict(reasons)}")
        return segmentation.result(
            artifact,
            metadata={
                "extracted": len(rows),
                "rejected": n_rejected,
                "reasons": dg.MetadataValue.json(dict(reasons.most_common())),
                "features": [f"{each.column} ({each.kind}, {each.transform})" for each in inferred.features],
                "left_out": dg.MetadataValue.json(inferred.left_out),
                **describe_valid_columns(segmentation, schema, inferred.features),
            },
        )

    return step


def _features(
    segmentation: SegmentationContext, context: dg.AssetExecutionContext, rows: ParquetRows
) -> InferredFeatures:
    """The features that the spec lists, or those that the columns suggest."""
    spec = segmentation.spec
    require_columns(rows, spec.outcomes)
    if spec.features != "auto":
        require_columns(rows, [each.column for each in spec.features])
        return InferredFeatures(tuple(spec.features), {})
    ignore = [*spec.outcomes, *spec.exclude, *([spec.source.fresh.column] if spec.source.fresh else [])]
    as_of = segmentation.period(context.partition_key).as_of
    return infer_features(rows, key=spec.source.key, ignore=ignore, as_of=as_of)


def _validated(
    segmentation: SegmentationContext,
    context: dg.AssetExecutionContext,
    connection: sa.Connection,
    raw: Artifact,
    features: tuple[FeatureSpec, ...],
) -> Iterator[ValidatedRows]:
    """Each block of the rows, its rejected ones recorded."""
    spec, key = segmentation.spec, segmentation.spec.source.key
    rows, key_type = raw.stored("rows"), raw.manifest["key_type"]
    snapshots.register(connection, spec.name, key_name=key, key_type=key_type)
    assignments.ensure_tables(connection, spec.name, key_name=key, key_type=key_type)
    assignments.clear_rejected(connection, spec.name, run_id=context.run.run_id)
    as_of = segmentation.period(context.partition_key).as_of
    repeated = find_repeated_keys(rows[key])
    for here, block in iter_placed_blocks(rows):
        valid = validate(block, features, key=key, as_of=as_of, repeated=repeated[here])
        assignments.record_rejected(
            connection,
            spec.name,
            run_id=context.run.run_id,
            partition=context.partition_key,
            key=key,
            rejected=valid.rejected,
            reasons=valid.reasons,
            store_rows=spec.store_rows,
        )
        yield valid
