"""The asset `encoded_features`."""

from typing import Any

import dagster as dg

from segmentation_pipeline.analysis.clustering.algorithms.resolve import Resolved
from segmentation_pipeline.analysis.features.encoding import compute_variance_shares, fit_encoding
from segmentation_pipeline.engines.local.blocks import MatrixSink, RowBlocks
from segmentation_pipeline.engines.local.engine import LocalEngine
from segmentation_pipeline.model import Encoding
from segmentation_pipeline.orchestration.metadata.columns import describe_encoded_columns
from segmentation_pipeline.orchestration.segmentation import SegmentationContext
from segmentation_pipeline.orchestration.stages import ENCODED_FEATURES
from segmentation_pipeline.runtime.memory import measure_memory
from segmentation_pipeline.steps.encode import EncodedCounts, encode_rows
from segmentation_pipeline.steps.preflight import require_memory
from segmentation_pipeline.storage.artifacts.datasets import EncodedFeatures, ValidatedRows


def encoded_features(segmentation: SegmentationContext) -> dg.AssetsDefinition:
    """Build the asset."""
    spec, key = segmentation.spec, segmentation.spec.source.key

    @segmentation.asset(ENCODED_FEATURES)
    def step(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        valid = segmentation.latest(context, ValidatedRows)
        features, rows, room = valid.features, valid.rows, measure_memory()
        encoding = fit_encoding(rows, features, pca=spec.pca)
        width, key_type = len(encoding.names), rows.schema.field(key).type
        planned = require_memory(spec, n_rows=len(rows), n_columns=width, key=key_type, room=room)
        with segmentation.writing(context, ENCODED_FEATURES, made_from=[valid]) as artifact:
            with EncodedFeatures.writing_matrix(artifact, key, valid.keys(key), width) as matrix:
                counts = encode_rows(LocalEngine(), RowBlocks(rows), encoding, matrix=MatrixSink(matrix))
            outliers = counts.outlier_rows
            EncodedFeatures.write(artifact, encoding=encoding, outliers=outliers, n_rows=len(rows), made_from=valid)
        if any(feature.scale == "none" for feature in features):
            column, share = max(compute_variance_shares(rows, encoding).items(), key=lambda item: item[1])
            context.log.warning(f"a feature has scale: none; {column} alone makes {share:.0%} of the distances")
        if counts.unknown:
            context.log.warning(f"values that no category knows: {dict(counts.unknown)}")
        shown = {
            **_describe(encoding, counts, planned),
            **describe_encoded_columns(segmentation, encoding, str(key_type)),
        }
        return segmentation.result(artifact, metadata=shown)

    return step


def _describe(encoding: Encoding, counts: EncodedCounts, planned: Resolved) -> dict[str, Any]:
    infrequent = {feature.column: len(feature.infrequent) for feature in encoding.features if feature.infrequent}
    transforms = {feature.column: feature.transform for feature in encoding.features if feature.transform != "none"}
    metadata: dict[str, Any] = {
        "columns": len(encoding.names),
        "transforms": dg.MetadataValue.json(transforms),
        "infrequent_categories": dg.MetadataValue.json(infrequent),
        "unknown_categories": dg.MetadataValue.json(dict(counts.unknown)),
        "missing_values": dg.MetadataValue.json(dict(counts.missing)),
        "memory_needed_mb": round(planned.needed_bytes / 2**20),
        "outliers_not_fitted_on": len(counts.outlier_rows),
    }
    if encoding.pca is not None:
        metadata["explained_by_components"] = [round(share, 4) for share in encoding.pca.explained]
    return metadata
