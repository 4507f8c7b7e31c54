"""The asset `aligned_segments`."""

from typing import Any

import dagster as dg

from segmentation_pipeline.analysis.profiles.projection import project
from segmentation_pipeline.engines.local.blocks import BatchBlocks
from segmentation_pipeline.engines.local.engine import LocalEngine
from segmentation_pipeline.lifecycle.record import RecordedSnapshot, align_and_record
from segmentation_pipeline.model import UNASSIGNED, Snapshot
from segmentation_pipeline.orchestration.checks.approval import define_approval_check, report_approval
from segmentation_pipeline.orchestration.checks.gates import define_gate_checks, report_gate
from segmentation_pipeline.orchestration.metadata.columns import describe_segment_columns
from segmentation_pipeline.orchestration.metadata.pictures import show_segments
from segmentation_pipeline.orchestration.metadata.tables import list_segments, tabulate_drift, tabulate_transitions
from segmentation_pipeline.orchestration.metadata.values import embed_picture
from segmentation_pipeline.orchestration.runs.order import wait_for_earlier_runs
from segmentation_pipeline.orchestration.segmentation import SegmentationContext
from segmentation_pipeline.orchestration.stages import ALIGNED_SEGMENTS
from segmentation_pipeline.reporting.figures import draw_scatter
from segmentation_pipeline.runtime.memory import release_memory
from segmentation_pipeline.steps.align import name_segments
from segmentation_pipeline.steps.snapshot import AlignmentInputs, read_inputs
from segmentation_pipeline.storage.artifacts.datasets import (
    AlignedSegments,
    EncodedFeatures,
    FinalFit,
    KSweep,
    RawExtract,
    ValidatedRows,
)
from segmentation_pipeline.storage.registry import schema
from segmentation_pipeline.storage.warehouse.postgres.connection import transaction

MAX_POINTS = 4_000


def aligned_segments(segmentation: SegmentationContext) -> dg.AssetsDefinition:
    """Build the asset, with a blocking check for each gate."""
    spec, key = segmentation.spec, segmentation.spec.source.key
    checks = [*define_gate_checks(segmentation), define_approval_check(segmentation)]

    @segmentation.asset(ALIGNED_SEGMENTS, check_specs=checks)
    def step(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        inputs = read_inputs(
            raw=segmentation.latest(context, RawExtract),
            valid=segmentation.latest(context, ValidatedRows),
            encoded=segmentation.latest(context, EncodedFeatures),
            swept=segmentation.latest(context, KSweep),
            fitted=segmentation.latest(context, FinalFit),
            period=segmentation.period(context.partition_key),
            key=key,
        )
        schema.migrate(spec.publish.url_env)
        wait_for_earlier_runs(context, spec.name)
        with transaction(spec.publish.url_env) as connection:
            recorded = align_and_record(
                connection, spec, inputs, run_id=context.run.run_id, code_version=segmentation.chain_version
            )
        release_memory()  # the blocks that the threads worked on
        # while nothing else is held: all of the matrix is mapped for it
        scatter = _draw_customers(inputs, recorded)
        identity = recorded.identity
        with segmentation.writing(context, ALIGNED_SEGMENTS, made_from=[inputs.valid, inputs.fitted]) as artifact:
            labels = inputs.fitted.labels
            columns = AlignedSegments.schema(key, labels.schema.field(key).type)
            with AlignedSegments.writing_assignments(artifact, columns) as table:
                blocks = BatchBlocks(labels)
                name_segments(LocalEngine(), blocks, identity.alignment, schema=columns, assignments=table)
            pictures = show_segments(
                artifact,
                inputs.rows,
                identity.segments,
                identity.profiles,
                features=inputs.features,
                names=recorded.names,
                seed=inputs.summary.seed,
            )
            AlignedSegments.write(
                artifact,
                alignment=identity.alignment,
                gates=recorded.gates,
                model=identity.model,
                n_rows=len(identity.segments),
                snapshot_id=recorded.snapshot_id,
                made_from=inputs.fitted,
            )
        return segmentation.result(
            artifact,
            metadata={
                **_describe(segmentation, recorded, pictures),
                "customers": embed_picture(scatter, "customers on two principal axes, by segment"),
                **describe_segment_columns(segmentation, columns),
            },
            check_results=[
                *(report_gate(segmentation, gate, context.partition_key) for gate in recorded.gates),
                report_approval(segmentation, recorded.snapshot_id, recorded.status, recorded.reasons),
            ],
        )

    return step


def _describe(
    segmentation: SegmentationContext, recorded: RecordedSnapshot, pictures: dict[str, Any]
) -> dict[str, Any]:  # whatever Dagster takes as metadata
    identity = recorded.identity
    return {
        "snapshot": recorded.snapshot_id,
        "status": recorded.status,
        **_describe_parent(segmentation, recorded.parent),
        "segments": dg.MetadataValue.md(list_segments(recorded)),
        **pictures,
        "moved": identity.n_changed,
        "who_moved": dg.MetadataValue.md(tabulate_transitions(identity.transitions)),
        "unassigned": int((identity.segments == UNASSIGNED).sum()),
        "evidence": identity.alignment.evidence,
        "drift": dg.MetadataValue.md(tabulate_drift(identity.drift)),
    }


def _describe_parent(
    segmentation: SegmentationContext, parent: Snapshot | None
) -> dict[str, Any]:  # whatever Dagster takes as metadata
    """Name the parent, with the page of its period and the run that made it."""
    if parent is None:
        return {"parent_snapshot": "none: the first"}
    page = "/".join(["/assets", *segmentation.key(ALIGNED_SEGMENTS).path])
    link = f"[{parent.label}]({page}?view=partitions&partition={parent.partition})"
    return {
        "parent_snapshot": dg.MetadataValue.md(link),
        "parent_run": dg.MetadataValue.dagster_run(parent.run_id),
    }


def _draw_customers(inputs: AlignmentInputs, recorded: RecordedSnapshot) -> bytes:
    projection = project(inputs.encoded.matrix, max_points=MAX_POINTS, seed=inputs.summary.seed)
    return draw_scatter(
        projection.points, recorded.identity.segments[projection.rows], projection.explained, names=recorded.names
    )
