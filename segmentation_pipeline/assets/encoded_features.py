"""Transformed, scaled and one-hot encoded: the float32 matrix that is clustered, and the encoding as JSON."""

from typing import Any

import dagster as dg

from segmentation_pipeline.assets.pipeline import Pipeline
from segmentation_pipeline.spec import FeatureSpec
from segmentation_pipeline.stages.encoding import fit_encoding, transform
from segmentation_pipeline.storage.artifacts import json_version


def encoded_features(pipeline: Pipeline) -> dg.AssetsDefinition:
    """Build the asset."""
    key = pipeline.spec.source.key

    @pipeline.asset("encoded_features", kinds={"pandas", "arrow"}, description=__doc__ or "")
    def step(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        valid = pipeline.latest(context, "validated_rows")
        features = [FeatureSpec(**feature) for feature in valid.json("features")]
        table = valid.table("rows")
        frame = table.to_pandas()
        encoding = fit_encoding(frame, features)
        encoded = transform(frame, encoding)
        with pipeline.writing(context, "encoded_features", made_from=[valid]) as artifact:
            artifact.write_matrix(key, table.column(key), encoded.matrix)
            artifact.write_json("encoding", encoding.to_json())
            artifact.manifest |= {
                "rows": len(frame),
                "data_version": json_version([valid.data_version, encoding.to_json()]),
            }
        infrequent = {each.column: len(each.infrequent) for each in encoding.features if each.infrequent}
        return pipeline.result(
            artifact,
            metadata={
                "columns": len(encoding.names),
                "column_names": list(encoding.names),
                "infrequent_categories": dg.MetadataValue.json(infrequent),
            },
        )

    return step
