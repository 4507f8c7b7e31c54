"""The columns of the assets that are tables: their types, their meanings, and the columns that they come from."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import dagster as dg
import pyarrow as pa

from segmentation_pipeline.model import Encoding, FeatureEncoding
from segmentation_pipeline.orchestration.segmentation import SegmentationContext
from segmentation_pipeline.orchestration.stages import (
    ENCODED_FEATURES,
    FINAL_FIT,
    PUBLISHED_SEGMENTS,
    RAW_EXTRACT,
    VALIDATED_ROWS,
    Stage,
)
from segmentation_pipeline.spec import FeatureSpec, SegmentationSpec, is_number

SCHEMA: Final = "dagster/column_schema"
LINEAGE: Final = "dagster/column_lineage"
TABLE_NAME: Final = "dagster/table_name"
LABELS: Final = {
    "distance": "How far the customer is from the center, in the units of the scaled features.",
    "margin": "0 on the border to the second one, near 1 far from it.",
}
Columns = dict[str, Any]  # metadata: any value that Dagster accepts


def describe_raw_columns(segmentation: SegmentationContext, types: Mapping[str, str]) -> Columns:
    """Describe the source's columns with their PostgreSQL types; only the query knows what they come from."""
    spec = segmentation.spec
    listed = () if spec.features == "auto" else spec.features
    return {SCHEMA: dg.TableSchema(_describe_source_columns(spec, types, listed))}


def describe_valid_columns(
    segmentation: SegmentationContext, schema: pa.Schema, features: Iterable[FeatureSpec]
) -> Columns:
    """Describe the same columns after validation, with the features that were chosen."""
    types = {column.name: str(column.type) for column in schema}
    deps = {name: [_make_dep(segmentation, RAW_EXTRACT, name)] for name in types}
    return _make_metadata(_describe_source_columns(segmentation.spec, types, list(features), checked=True), deps)


def describe_encoded_columns(segmentation: SegmentationContext, encoding: Encoding, key_type: str) -> Columns:
    """Describe the matrix's columns: which feature each of them encodes, and how."""
    key = segmentation.spec.source.key
    source = {name: feature.column for feature in encoding.features for name in feature.names}
    meanings = {name: f"1 where {name} is true, else 0; times the feature's weight." for name in source}
    meanings |= {
        feature.column: f"The number of {feature.column}: {_describe_steps(feature)}."
        for feature in encoding.features
        if feature.is_one_number
    }
    deps = {name: [_make_dep(segmentation, VALIDATED_ROWS, column)] for name, column in source.items()}
    if encoding.pca is not None:
        everything = [_make_dep(segmentation, VALIDATED_ROWS, column) for column in encoding.columns]
        deps = dict.fromkeys(encoding.names, everything)
        shares = zip(encoding.names, encoding.pca.explained, strict=True)
        meanings = {name: f"Principal component: {share:.1%} of the variance." for name, share in shares}
    columns = [_make_key(key, key_type), *(dg.TableColumn(name, "float32", meanings[name]) for name in encoding.names)]
    return _make_metadata(columns, {key: [_make_dep(segmentation, VALIDATED_ROWS, key)], **deps})


def describe_label_columns(segmentation: SegmentationContext, schema: pa.Schema, encoding: Encoding) -> Columns:
    """Describe each customer's cluster in this fit: every column comes from all columns of the matrix."""
    key = segmentation.spec.source.key
    meanings = {
        **LABELS,
        "cluster": "The cluster's number in this fit. It means nothing in another fit; aligned_segments has the "
        "segment. -1: in no cluster.",
        "second_cluster": "The next best cluster. -1: there is none.",
    }
    everything = [_make_dep(segmentation, ENCODED_FEATURES, name) for name in encoding.names]
    deps = {
        name: [_make_dep(segmentation, ENCODED_FEATURES, key)] if name == key else everything for name in schema.names
    }
    return _make_metadata(_describe_columns(key, schema, meanings), deps)


def describe_segment_columns(segmentation: SegmentationContext, schema: pa.Schema) -> Columns:
    """Describe each customer's segment: the cluster, under the number that keeps its meaning."""
    key = segmentation.spec.source.key
    meanings = {
        **LABELS,
        "segment_id": "The customer's segment, which means the same in every period. Empty: in no segment.",
        "second_segment_id": "The next best segment. Empty: there is none.",
    }
    sources = {"segment_id": "cluster", "second_segment_id": "second_cluster"}
    deps = {name: [_make_dep(segmentation, FINAL_FIT, sources.get(name, name))] for name in schema.names}
    return _make_metadata(_describe_columns(key, schema, meanings), deps)


def describe_target_columns(segmentation: SegmentationContext, upstream: Stage, key_type: str) -> Columns:
    """Describe the columns of the target that are read or written; its other columns are not touched."""
    publish = segmentation.spec.publish
    columns = [
        dg.TableColumn(publish.key, key_type, "The row's customer: compared with the source's key, never written."),
        dg.TableColumn(publish.column, "integer", "The customer's segment. Empty: in no segment."),
    ]
    key, column = segmentation.spec.source.key, "segment_id"
    if upstream is PUBLISHED_SEGMENTS:  # it is the target itself
        key, column = publish.key, publish.column
    deps = {
        publish.key: [_make_dep(segmentation, upstream, key)],
        publish.column: [_make_dep(segmentation, upstream, column)],
    }
    if publish.updated_column:
        columns.append(dg.TableColumn(publish.updated_column, "timestamptz", "When the segment last changed."))
    return _make_metadata(columns, deps)


def _describe_source_columns(
    spec: SegmentationSpec, types: Mapping[str, str], features: Iterable[FeatureSpec], *, checked: bool = False
) -> list[dg.TableColumn]:
    by_name = {feature.column: feature for feature in features}
    columns = []
    for name, kind in types.items():
        if name == spec.source.key:
            columns.append(_make_key(name, kind))
            continue
        feature = by_name.get(name)
        full = checked and feature is not None and feature.missing == "reject"
        constraints = dg.TableColumnConstraints(nullable=not full, other=_list_limits(feature) if checked else [])
        columns.append(dg.TableColumn(name, kind, _describe_use(spec, name, feature), constraints))
    return columns


def _describe_use(spec: SegmentationSpec, name: str, feature: FeatureSpec | None) -> str:
    if feature is not None:
        steps = _describe_steps(feature)
        return f"Feature: customers are compared by it ({feature.kind}: {steps})."
    if name in spec.outcomes:
        return "Outcome: what the business wants to know about a segment; never clustered on."
    if spec.source.fresh is not None and name == spec.source.fresh.column:
        return "Shows whether the period's data has arrived; not clustered on."
    if spec.features == "auto":
        if name in spec.exclude:
            return "Not a feature: `exclude` names it."
        return "`features: auto` decides about it: validated_rows says what became of it."
    return "Not used: it is neither a feature nor an outcome."


def _describe_steps(feature: FeatureSpec | FeatureEncoding) -> str:
    if not is_number(feature.kind):
        return "encoded by category"
    return "scaled" if feature.transform == "none" else f"{feature.transform}, then scaled"


def _list_limits(feature: FeatureSpec | None) -> list[str]:
    if feature is None:
        return []
    limits = [f">= {feature.min:g}"] if feature.min is not None else []
    limits += [f"<= {feature.max:g}"] if feature.max is not None else []
    return [*limits, *([f"one of {', '.join(feature.allowed)}"] if feature.allowed else [])]


def _describe_columns(key: str, schema: pa.Schema, meanings: Mapping[str, str]) -> list[dg.TableColumn]:
    return [
        _make_key(field.name, str(field.type))
        if field.name == key
        else dg.TableColumn(field.name, str(field.type), meanings[field.name])
        for field in schema
    ]


def _make_key(name: str, kind: str) -> dg.TableColumn:
    constraints = dg.TableColumnConstraints(nullable=False, unique=True)
    return dg.TableColumn(name, kind, "The key: one row for each customer.", constraints)


def _make_dep(segmentation: SegmentationContext, stage: Stage, column: str) -> dg.TableColumnDep:
    return dg.TableColumnDep(asset_key=segmentation.key(stage), column_name=column)


def _make_metadata(columns: list[dg.TableColumn], deps: Mapping[str, list[dg.TableColumnDep]]) -> Columns:
    """Return schema and lineage; the lineage also in words, because the open-source UI does not show it."""
    described = []
    for column in columns:
        description = f"{column.description} {_describe_origin(column.name, deps.get(column.name, []))}".strip()
        described.append(dg.TableColumn(column.name, column.type, description, column.constraints))
    return {SCHEMA: dg.TableSchema(described), LINEAGE: dg.TableColumnLineage(deps)}


def _describe_origin(name: str, deps: list[dg.TableColumnDep]) -> str:
    if not deps:
        return ""
    stage = deps[0].asset_key.path[-1]
    if len(deps) > 1:
        return f"From all columns of {stage}."
    return f"From {stage}." if deps[0].column_name == name else f"From {stage}: {deps[0].column_name}."
