"""The rows that can be used; the others go to `<name>_rejected` with every reason."""

from typing import Any

import dagster as dg

from segmentation_pipeline.assets.columns import valid_columns
from segmentation_pipeline.assets.pipeline import Pipeline
from segmentation_pipeline.errors import UnusableDataError
from segmentation_pipeline.stages.features import InferredFeatures, infer_features
from segmentation_pipeline.stages.validation import require_columns, validate
from segmentation_pipeline.storage import assignments, database, snapshots
from segmentation_pipeline.storage.artifacts import RowsVersion


def validated_rows(pipeline: Pipeline) -> dg.AssetsDefinition:
    """Build the asset."""
    import pyarrow as pa

    spec, key = pipeline.spec, pipeline.spec.source.key

    @pipeline.asset("validated_rows", kinds={"pandas", "parquet"}, description=__doc__ or "")
    def step(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        raw = pipeline.latest(context, "raw_extract")
        as_of = pipeline.period(context.partition_key).as_of
        frame = raw.frame("rows")
        require_columns(frame, spec.outcomes)
        if spec.features == "auto":
            ignore = [*spec.outcomes, *spec.exclude, *([spec.source.fresh.column] if spec.source.fresh else [])]
            inferred = infer_features(frame, key=key, ignore=ignore, as_of=as_of)
        else:
            inferred = InferredFeatures(tuple(spec.features), {})
        valid = validate(frame, inferred.features, key=key, as_of=as_of)
        with database.begin(spec.publish.url_env) as connection:
            snapshots.register(connection, spec.name, key_name=key, key_type=raw.manifest["key_type"])
            assignments.ensure_tables(connection, spec.name, key_name=key, key_type=raw.manifest["key_type"])
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
        if valid.rows.empty:
            reasons = ", ".join(f"{reason} ({count:,})" for reason, count in valid.reason_counts.items())
            message = f"all {len(frame):,} rows were rejected: {reasons}. Look at segmentation.{spec.name}_rejected."
            raise UnusableDataError(message)
        with pipeline.writing(context, "validated_rows", made_from=[raw]) as artifact:
            rows = pa.Table.from_pandas(valid.rows, preserve_index=False)
            artifact.write_table("rows", rows)
            artifact.write_json("features", [feature.model_dump() for feature in inferred.features])
            artifact.manifest |= {
                "rows": len(valid.rows),
                "rejected": len(valid.rejected),
                "data_version": RowsVersion(rows.schema).add(rows).hexdigest,
            }
        if len(valid.rejected):
            context.log.warning(f"{len(valid.rejected):,} of {len(frame):,} rows rejected: {valid.reason_counts}")
        return pipeline.result(
            artifact,
            metadata={
                "extracted": len(frame),
                "rejected": len(valid.rejected),
                "reasons": dg.MetadataValue.json(valid.reason_counts),
                "features": [f"{each.column} ({each.kind}, {each.transform})" for each in inferred.features],
                "left_out": dg.MetadataValue.json(inferred.left_out),
                **valid_columns(pipeline, rows.schema, inferred.features),
            },
        )

    return step
