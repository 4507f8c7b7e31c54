"""The columns of the assets that are tables: types, meanings, and the columns they come from."""

from collections.abc import Iterable, Mapping
from typing import Any

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

SCHEMA = "dagster/column_schema"
LINEAGE = "dagster/column_lineage"
TABLE_NAME = "dagster/table_name"
LABELS = {
    "distance": "How far the customer is from the center, in the units of the scaled features.",
    "margin": "0 on the border to the second, near 1 deep inside.",
}
Columns = dict[str, Any]  # metadata, as Dagster takes it


def describe_raw_columns(segmentation: SegmentationContext, types: Mapping[str, str]) -> Columns:
    """The source's columns with their PostgreSQL types; what they come from is known to the query alone."""
    spec = segmentation.spec
    listed = () if spec.features == "auto" else spec.features
    return {SCHEMA: dg.TableSchema(_describe_source_columns(spec, types, listed))}


def describe_valid_columns(
    segmentation: SegmentationContext, schema: pa.Schema, features: Iterable[FeatureSpec]
) -> Columns:
    """The same columns after validation, with the features that were taken."""
    types = {column.name: str(column.type) for column in schema}
    deps = {name: [_make_dep(segmentation, RAW_EXTRACT, name)] for name in types}
    return _make_metadata(_describe_source_columns(segmentation.spec, types, list(features), checked=True), deps)


def describe_encoded_columns(segmentation: SegmentationContext, encoding: Encoding, key_type: str) -> Columns:
    """The matrix's columns: which feature each one encodes, and how."""
    key = segmentation.spec.source.key
    source = {name: each.column for each in encoding.features for name in each.names}
    meanings = {name: f"1 where it is so, times the feature's weight: {name}." for name in source}
    meanings |= {
        each.column: f"The number of {each.column}: {_describe_steps(each)}."
        for each in encoding.features
        if each.is_one_number
    }
    deps = {name: [_make_dep(segmentation, VALIDATED_ROWS, column)] for name, column in source.items()}
    if encoding.pca is not None:
        everything = [_make_dep(segmentation, VALIDATED_ROWS, each) for each in encoding.columns]
        deps = dict.fromkeys(encoding.names, everything)
        shares = zip(encoding.names, encoding.pca.explained, strict=True)
        meanings = {name: f"Principal component: {share:.1%} of the variance." for name, share in shares}
    columns = [_make_key(key, key_type), *(dg.TableColumn(name, "float32", meanings[name]) for name in encoding.names)]
    return _make_metadata(columns, {key: [_make_dep(segmentation, VALIDATED_ROWS, key)], **deps})


def describe_label_columns(segmentation: SegmentationContext, schema: pa.Schema, encoding: Encoding) -> Columns:
    """Each customer's cluster in this fit: every column comes from all of the matrix."""
    key = segmentation.spec.source.key
    meanings = {
        **LABELS,
        "cluster": "The cluster's number in this fit. It means nothing in another fit: aligned_segments gives the "
        "segment. -1: in none.",
        "second_cluster": "The next best cluster; -1: there is none.",
    }
    everything = [_make_dep(segmentation, ENCODED_FEATURES, name) for name in encoding.names]
    deps = {
        name: [_make_dep(segmentation, ENCODED_FEATURES, key)] if name == key else everything for name in schema.names
    }
    return _make_metadata(_describe_columns(key, schema, meanings), deps)


def describe_segment_columns(segmentation: SegmentationContext, schema: pa.Schema) -> Columns:
    """Each customer's segment: the cluster, under the number that keeps its meaning."""
    key = segmentation.spec.source.key
    meanings = {
        **LABELS,
        "segment_id": "The customer's segment, which means the same in every period; empty: in none.",
        "second_segment_id": "The next best segment; empty: there is none.",
    }
    sources = {"segment_id": "cluster", "second_segment_id": "second_cluster"}
    deps = {name: [_make_dep(segmentation, FINAL_FIT, sources.get(name, name))] for name in schema.names}
    return _make_metadata(_describe_columns(key, schema, meanings), deps)


def describe_target_columns(segmentation: SegmentationContext, upstream: Stage, key_type: str) -> Columns:
    """The columns of the target that are read or written; its other columns are the user's and not touched."""
    publish = segmentation.spec.publish
    columns = [
        dg.TableColumn(publish.key, key_type, "Whose row it is: compared with the source's key, never written."),
        dg.TableColumn(publish.column, "integer", "The customer's segment; empty: in none."),
    ]
    key, column = segmentation.spec.source.key, "segment_id"
    if upstream is PUBLISHED_SEGMENTS:  # that is the target itself
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
    by_name = {each.column: each for each in features}
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
        return "Outcome: what the business wants to know of a segment; never clustered on."
    if spec.source.fresh is not None and name == spec.source.fresh.column:
        return "Shows whether the period's data has arrived; not clustered on."
    if spec.features == "auto":
        return "No feature by itself: left_out of validated_rows says why." if name in spec.exclude else (
            "Looked at by `features: auto`: validated_rows says what became of it."
        )  # fmt: skip
    return "Not used: it is among neither the features nor the outcomes."


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
        _make_key(each.name, str(each.type))
        if each.name == key
        else dg.TableColumn(each.name, str(each.type), meanings[each.name])
        for each in schema
    ]


def _make_key(name: str, kind: str) -> dg.TableColumn:
    constraints = dg.TableColumnConstraints(nullable=False, unique=True)
    return dg.TableColumn(name, kind, "The key: one row for each customer.", constraints)


def _make_dep(segmentation: SegmentationContext, stage: Stage, column: str) -> dg.TableColumnDep:
    return dg.TableColumnDep(asset_key=segmentation.key(stage), column_name=column)


def _make_metadata(columns: list[dg.TableColumn], deps: Mapping[str, list[dg.TableColumnDep]]) -> Columns:
    """Schema and lineage; the lineage also in words, for the open-source UI stores it and does not show it."""
    told = []
    for each in columns:
        description = f"{each.description} {_describe_origin(each.name, deps.get(each.name, []))}".strip()
        told.append(dg.TableColumn(each.name, each.type, description, each.constraints))
    return {SCHEMA: dg.TableSchema(told), LINEAGE: dg.TableColumnLineage(deps)}


def _describe_origin(name: str, deps: list[dg.TableColumnDep]) -> str:
    if not deps:
        return ""
    stage = deps[0].asset_key.path[-1]
    if len(deps) > 1:
        return f"From all columns of {stage}."
    return f"From {stage}." if deps[0].column_name == name else f"From {stage}: {deps[0].column_name}."
