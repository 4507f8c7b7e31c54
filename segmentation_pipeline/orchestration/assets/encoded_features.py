"""Transformed, scaled and encoded: the float32 matrix that is clustered, and the encoding as JSON."""

from collections.abc import Sequence
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from segmentation_pipeline.analysis.clustering.algorithms.resolve import Resolved
from segmentation_pipeline.analysis.features.encoding import (
    Encoded,
    compute_variance_shares,
    fit_encoding,
    transform_to_fit,
)
from segmentation_pipeline.model import Encoding
from segmentation_pipeline.orchestration.metadata.columns import describe_encoded_columns
from segmentation_pipeline.orchestration.segmentation import SegmentationContext
from segmentation_pipeline.runtime.memory import measure_memory
from segmentation_pipeline.spec import FeatureSpec
from segmentation_pipeline.steps.preflight import require_memory
from segmentation_pipeline.storage.artifacts.artifact import Artifact
from segmentation_pipeline.storage.artifacts.rows import ParquetRows
from segmentation_pipeline.storage.artifacts.versions import json_version


def encoded_features(segmentation: SegmentationContext) -> dg.AssetsDefinition:
    """Build the asset."""
    spec, key = segmentation.spec, segmentation.spec.source.key

    @segmentation.asset("encoded_features", kinds={"pandas", "arrow"}, description=__doc__ or "")
    def step(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        valid = segmentation.latest(context, "validated_rows")
        features = [FeatureSpec(**feature) for feature in valid.json("features")]
        rows, room = valid_rows(valid, features), measure_memory()
        encoding = fit_encoding(rows, features, pca=spec.pca)
        planned = require_memory(
            spec, n_rows=len(rows), n_columns=len(encoding.names), key=rows.schema.field(key).type, room=room
        )
        with segmentation.writing(context, "encoded_features", made_from=[valid]) as artifact:
            keys = valid.column("rows", key)
            with artifact.writing_matrix(key, keys, len(encoding.names)) as matrix:
                encoded = transform_to_fit(rows, encoding, into=matrix)
            outliers = np.flatnonzero(encoded.outliers)
            artifact.write_json("encoding", encoding.to_json())
            artifact.write_table("outliers", pa.table({"row": outliers}))
            artifact.manifest |= {
                "rows": len(rows),
                "outliers": len(outliers),
                "data_version": json_version([valid.data_version, encoding.to_json()]),
            }
        if any(feature.scale == "none" for feature in features):
            column, share = max(compute_variance_shares(rows, encoding).items(), key=lambda item: item[1])
            context.log.warning(f"a feature has scale: none; {column} alone makes {share:.0%} of the distances")
        if encoded.unknown:
            context.log.warning(f"values that no category knows: {encoded.unknown}")
        return segmentation.result(
            artifact,
            metadata={
                **_metadata(encoding, encoded, planned),
                **describe_encoded_columns(segmentation, encoding, str(keys.type)),
            },
        )

    return step


def valid_rows(valid: Artifact, features: Sequence[FeatureSpec]) -> ParquetRows:
    """The rows of `validated_rows`, the features' categories as such."""
    return valid.stored("rows", categories=[each.column for each in features if each.kind == "categorical"])


def fitting_rows(encoded: Artifact) -> NDArray[np.float32]:
    """The rows of the matrix that are fitted on: all but the outliers of `outliers: remove`."""
    matrix = np.asarray(encoded.matrix()[1])
    if not encoded.manifest.get("outliers"):
        return matrix
    return np.delete(matrix, encoded.table("outliers").column("row").to_numpy(), axis=0)


def _metadata(encoding: Encoding, encoded: Encoded, planned: Resolved) -> dict[str, Any]:
    infrequent = {each.column: len(each.infrequent) for each in encoding.features if each.infrequent}
    transforms = {each.column: each.transform for each in encoding.features if each.transform != "none"}
    metadata: dict[str, Any] = {
        "columns": len(encoding.names),
        "transforms": dg.MetadataValue.json(transforms),
        "infrequent_categories": dg.MetadataValue.json(infrequent),
        "unknown_categories": dg.MetadataValue.json(encoded.unknown),
        "missing_values": dg.MetadataValue.json(encoded.missing),
        "memory_needed_mb": round(planned.needed_bytes / 2**20),
        "outliers_not_fitted_on": int(np.count_nonzero(encoded.outliers)),
    }
    if encoding.pca is not None:
        metadata["explained_by_components"] = [round(share, 4) for share in encoding.pca.explained]
    return metadata
