"""Today's clusters as the segments they are: matched with what was published before, judged by the gates, recorded."""

from dataclasses import asdict
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa

from segmentation_pipeline.assets.alignment_tables import drift_table, segments_table, transitions_table
from segmentation_pipeline.assets.approval import approval_check, approval_result
from segmentation_pipeline.assets.order import wait_for_earlier_runs
from segmentation_pipeline.assets.pipeline import Pipeline, picture
from segmentation_pipeline.assets.segment_pictures import show_segments
from segmentation_pipeline.assets.snapshot_record import Inputs, Recorded, align_and_record, read_inputs
from segmentation_pipeline.model import GateResult
from segmentation_pipeline.reporting.figures import scatter_figure
from segmentation_pipeline.stages.alignment import as_segments
from segmentation_pipeline.stages.evidence import UNASSIGNED
from segmentation_pipeline.stages.gates import GATE_NAMES
from segmentation_pipeline.stages.projection import project
from segmentation_pipeline.storage import database, schema
from segmentation_pipeline.storage.artifacts import json_version

MAX_POINTS = 4_000


def aligned_segments(pipeline: Pipeline) -> dg.AssetsDefinition:
    """Build the asset, with a blocking check for each gate."""
    spec, key = pipeline.spec, pipeline.spec.source.key
    checks = [
        dg.AssetCheckSpec(name, asset=pipeline.key("aligned_segments"), blocking=True, description=f"The gate {name}.")
        for name in GATE_NAMES
    ]
    checks.append(approval_check(pipeline))

    @pipeline.asset("aligned_segments", kinds={"scipy", "postgres"}, description=__doc__ or "", check_specs=checks)
    def step(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        inputs = read_inputs(context, pipeline)
        schema.migrate(spec.publish.url_env)
        wait_for_earlier_runs(context, spec.name)
        with database.begin(spec.publish.url_env) as connection:
            recorded = align_and_record(context, connection, pipeline, inputs)
        identity = recorded.identity
        with pipeline.writing(context, "aligned_segments", made_from=[inputs.valid, inputs.fitted]) as artifact:
            artifact.write_json("alignment", identity.alignment.to_json())
            artifact.write_json("gates", [asdict(gate) for gate in recorded.gates])
            artifact.write_json("model", identity.model.to_json())
            artifact.write_table("assignments", _assignments(key, inputs, recorded))
            pictures = show_segments(
                artifact,
                inputs.rows,
                identity.segments,
                identity.profiles,
                features=inputs.features,
                names=recorded.names,
                seed=int(inputs.summary["seed"]),
            )
            artifact.manifest |= {
                "rows": len(identity.segments),
                "snapshot_id": recorded.snapshot_id,
                "data_version": json_version([inputs.fitted.data_version, identity.model.labels]),
            }
        return pipeline.result(
            artifact,
            metadata={
                "snapshot": recorded.snapshot_id,
                "status": recorded.status,
                "parent_snapshot": recorded.parent.snapshot_id if recorded.parent else "none: the first",
                "parent_partition": recorded.parent.partition if recorded.parent else "none: the first",
                "evidence": identity.alignment.evidence,
                "moved": identity.n_changed,
                "unassigned": int((identity.segments == UNASSIGNED).sum()),
                "segments": dg.MetadataValue.md(segments_table(recorded)),
                "who_moved": dg.MetadataValue.md(transitions_table(identity.transitions)),
                "drift": dg.MetadataValue.md(drift_table(identity.drift)),
                "customers": picture(_scatter(inputs, recorded), "customers on two principal axes, by segment"),
                **pictures,
            },
            check_results=[
                *(_check_result(pipeline, gate) for gate in recorded.gates),
                approval_result(pipeline, recorded.snapshot_id, recorded.status, recorded.reasons),
            ],
        )

    return step


def _assignments(key: str, inputs: Inputs, recorded: Recorded) -> pa.Table:
    segments = recorded.identity.segments
    labels = inputs.fitted.table("labels")
    second = as_segments(labels.column("second_cluster").to_numpy(), recorded.identity.alignment)
    return pa.table(
        {
            key: labels.column(key),
            "segment_id": pa.array(segments.astype(np.int32), mask=segments == UNASSIGNED),
            "distance": labels.column("distance"),
            "second_segment_id": pa.array(second.astype(np.int32), mask=second == UNASSIGNED),
            "margin": labels.column("margin"),
        }
    )


def _check_result(pipeline: Pipeline, gate: GateResult) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=gate.name,
        asset_key=pipeline.key("aligned_segments"),
        passed=gate.passed,
        severity=dg.AssetCheckSeverity.ERROR if gate.severity == "block" else dg.AssetCheckSeverity.WARN,
        description=gate.message,
        metadata={name: value for name in ("value", "threshold") if (value := getattr(gate, name)) is not None},
    )


def _scatter(inputs: Inputs, recorded: Recorded) -> bytes:
    _, matrix = inputs.encoded.matrix()
    projection = project(np.asarray(matrix), max_points=MAX_POINTS, seed=int(inputs.summary["seed"]))
    return scatter_figure(
        projection.points, recorded.identity.segments[projection.rows], projection.explained, names=recorded.names
    )
