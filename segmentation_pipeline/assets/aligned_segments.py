"""Today's clusters as the segments they are: matched with what was published before, judged by the gates, recorded."""

from dataclasses import asdict, dataclass, replace
from importlib import metadata
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pyarrow as pa
import sqlalchemy as sa

from segmentation_pipeline.assets.order import wait_for_earlier_runs
from segmentation_pipeline.assets.pipeline import PACKAGE, Pipeline, picture
from segmentation_pipeline.errors import AlignmentError
from segmentation_pipeline.model import (
    Alignment,
    FittedModel,
    GateResult,
    Json,
    OutcomeEffect,
    Period,
    Segment,
    Snapshot,
    Status,
    SweepResult,
)
from segmentation_pipeline.reporting.figures import scatter_figure
from segmentation_pipeline.spec import FeatureSpec
from segmentation_pipeline.stages.algorithms import SHAPES
from segmentation_pipeline.stages.alignment import UNASSIGNED, Reference, align
from segmentation_pipeline.stages.centroids import centroids_of
from segmentation_pipeline.stages.gates import GATE_NAMES, Evidence, evaluate
from segmentation_pipeline.stages.outcomes import outcome_effects
from segmentation_pipeline.stages.profiling import SegmentProfile, profile_segments
from segmentation_pipeline.stages.projection import project
from segmentation_pipeline.stages.reference import by_history, by_model, missing_columns
from segmentation_pipeline.storage import assignments, database, schema, snapshots
from segmentation_pipeline.storage.artifacts import Artifact, json_version

LIBRARIES = ("scikit-learn", "numpy", "pandas", "scipy", "dagster", PACKAGE)
MAX_POINTS = 4_000


@dataclass(frozen=True)
class Inputs:
    """The artifacts a snapshot is made from, and what the alignment reads of them."""

    raw: Artifact
    valid: Artifact
    encoded: Artifact
    swept: Artifact
    fitted: Artifact
    frame: pd.DataFrame
    labels: pd.DataFrame
    model: FittedModel
    sweep: SweepResult
    summary: Json


@dataclass(frozen=True)
class Recorded:
    """What was written to the database."""

    snapshot_id: int
    status: str
    parent: Snapshot | None
    alignment: Alignment
    segments: np.ndarray
    profiles: dict[int, SegmentProfile]
    gates: tuple[GateResult, ...]
    metrics: Json
    model: FittedModel


def aligned_segments(pipeline: Pipeline) -> dg.AssetsDefinition:
    """Build the asset, with a blocking check for each gate."""
    spec, key = pipeline.spec, pipeline.spec.source.key
    checks = [
        dg.AssetCheckSpec(name, asset=pipeline.key("aligned_segments"), blocking=True, description=f"The gate {name}.")
        for name in GATE_NAMES
    ]

    @pipeline.asset("aligned_segments", kinds={"scipy", "postgres"}, description=__doc__ or "", check_specs=checks)
    def step(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        inputs = _read(context, pipeline)
        schema.migrate(spec.publish.url_env)
        wait_for_earlier_runs(context, spec.name)
        with database.begin(spec.publish.url_env) as connection:
            recorded = _align_and_record(context, connection, pipeline, inputs)
        with pipeline.writing(context, "aligned_segments", made_from=[inputs.valid, inputs.fitted]) as artifact:
            artifact.write_json("alignment", recorded.alignment.to_json())
            artifact.write_json("gates", [asdict(gate) for gate in recorded.gates])
            artifact.write_json("model", recorded.model.to_json())
            artifact.write_table("assignments", _assignments(key, inputs, recorded))
            artifact.manifest |= {
                "rows": len(recorded.segments),
                "snapshot_id": recorded.snapshot_id,
                "data_version": json_version([inputs.fitted.data_version, recorded.model.labels]),
            }
        return pipeline.result(
            artifact,
            metadata={
                "snapshot": recorded.snapshot_id,
                "status": recorded.status,
                "parent_snapshot": recorded.parent.snapshot_id if recorded.parent else "none: the first",
                "parent_partition": recorded.parent.partition if recorded.parent else "none: the first",
                "moved": recorded.metrics["n_moved"],
                "unassigned": int((recorded.segments == UNASSIGNED).sum()),
                "segments": dg.MetadataValue.md(_table(recorded)),
                "customers": picture(_scatter(inputs, recorded), "customers on two principal axes, by segment"),
            },
            check_results=[_check_result(pipeline, gate) for gate in recorded.gates],
        )

    return step


def _read(context: dg.AssetExecutionContext, pipeline: Pipeline) -> Inputs:
    stages = ("raw_extract", "validated_rows", "encoded_features", "k_sweep", "final_fit")
    raw, valid, encoded, swept, fitted = (pipeline.latest(context, stage) for stage in stages)
    frame, labels = valid.frame("rows"), fitted.frame("labels")
    key = pipeline.spec.source.key
    if len(frame) != len(labels) or not (frame[key].to_numpy() == labels[key].to_numpy()).all():
        message = (
            f"final_fit of {context.partition_key} was made from other rows than the latest validated_rows; "
            "materialize encoded_features, k_sweep and final_fit again"
        )
        raise AlignmentError(message)
    return Inputs(
        raw, valid, encoded, swept, fitted, frame, labels,
        model=FittedModel.from_json(fitted.json("model")),
        sweep=SweepResult.from_json(swept.json("sweep")),
        summary=fitted.json("summary"),
    )  # fmt: skip


def _align_and_record(
    context: dg.AssetExecutionContext, connection: sa.Connection, pipeline: Pipeline, inputs: Inputs
) -> Recorded:
    spec, period = pipeline.spec, pipeline.period(context.partition_key)
    ledger = snapshots.lock(connection, spec.name)
    if ledger is None:
        message = f"{spec.name} is not registered in the target database; materialize validated_rows again"
        raise AlignmentError(message)
    parent = snapshots.parent(connection, spec.name, period.as_of)
    references, evidence = _references(connection, ledger, period, parent, inputs, key=spec.source.key)
    clusters = inputs.labels["cluster"].to_numpy()
    alignment = align(
        clusters,
        k=inputs.model.k,
        references=references,
        next_segment_id=ledger.next_segment_id,
        evidence=evidence,
    )
    segment_of = alignment.segment_of
    model = replace(inputs.model, labels=tuple(segment_of[each] for each in inputs.model.labels))
    segments = _as_segments(clusters, alignment)
    n_assigned = int((segments != UNASSIGNED).sum())
    profiles = profile_segments(
        inputs.frame,
        segments,
        inputs.labels["distance"].to_numpy(),
        features=[FeatureSpec(**feature) for feature in inputs.valid.json("features")],
        outcomes=spec.outcomes,
    )
    effects = outcome_effects(
        inputs.frame, segments, spec.outcomes, rng=np.random.default_rng(int(inputs.summary["seed"]))
    )
    gates = evaluate(_gate_evidence(inputs, profiles, parent, effects), spec.gates)
    accepted = all(gate.passed or gate.severity == "warn" for gate in gates)
    metrics = _metrics(connection, ledger, parent, inputs, segments, alignment, key=spec.source.key)
    status: Status = "candidate" if accepted else "rejected"
    snapshot_id = snapshots.record(
        connection,
        ledger,
        snapshots.Candidate(
            partition=period.partition,
            as_of=period.as_of,
            status=status,
            parent_snapshot_id=parent.snapshot_id if parent is not None else None,
            run_id=context.run.run_id,
            algorithm=model.algorithm,
            k=model.k,
            seed=int(inputs.summary["seed"]),
            n_rows=inputs.raw.rows,
            n_assigned=n_assigned,
            n_unassigned=len(segments) - n_assigned,
            n_rejected=int(inputs.valid.manifest["rejected"]),
            metrics=metrics,
            encoding=inputs.encoded.json("encoding"),
            model=model.to_json(),
            library_versions={name: metadata.version(name) for name in LIBRARIES},
            code_version=pipeline.chain_version,
            data_version=inputs.raw.data_version,
        ),
        next_segment_id=alignment.next_segment_id,
        centroids=centroids_of(model, profiles, inputs.encoded.matrix()[1], segments),
        new_segments=[
            Segment(match.segment_id, profiles[match.segment_id].name, "automatic")
            for match in alignment.matches
            if match.through == "new"
        ],
        events=alignment.events,
        gates=gates,
    )
    return Recorded(snapshot_id, status, parent, alignment, segments, profiles, gates, metrics, model)


def _references(
    connection: sa.Connection,
    ledger: snapshots.Ledger,
    period: Period,
    parent: Snapshot | None,
    inputs: Inputs,
    *,
    key: str,
) -> tuple[list[Reference], str]:
    """What is asked, in order, which segment a cluster is; and a sentence on the evidence."""
    references: list[Reference] = []
    evidence = "the first snapshot: every segment is new"
    if parent is not None:
        missing = missing_columns(parent, inputs.frame)
        sizes = snapshots.sizes(connection, parent.snapshot_id)
        if missing:
            history = assignments.segments_in(connection, ledger, parent.snapshot_id)
            references.append(by_history("parent", parent, history, inputs.frame[key], sizes=sizes))
            evidence = (
                f"the customers' segments in {parent.partition}: its encoding needs {', '.join(missing)}, "
                "which the source no longer has"
            )
        else:
            references.append(by_model("parent", parent, inputs.frame, sizes=sizes))
            evidence = f"today's customers labelled by the encoding and centroids of {parent.partition}"
    seen = {segment for reference in references for segment in reference.segment_ids}
    others = [
        ("earlier_version", each) for each in snapshots.earlier_versions(connection, ledger.name, period.partition)
    ]
    later = snapshots.next_later(connection, ledger.name, period.as_of)
    others += [("later_snapshot", later)] if later is not None else []
    for through, other in others:
        if not missing_columns(other, inputs.frame):
            references.append(by_model(through, other, inputs.frame))  # type: ignore[arg-type]  # the two literals above
    retired: dict[int, list[int]] = {}
    for segment, snapshot_id in snapshots.last_seen(connection, ledger.name, period.as_of).items():
        if segment not in seen:
            retired.setdefault(snapshot_id, []).append(segment)
    for snapshot_id, ids in sorted(retired.items(), reverse=True):
        last = snapshots.snapshot(connection, snapshot_id)
        if last is not None and not missing_columns(last, inputs.frame):
            references.append(by_model("retired", last, inputs.frame, segment_ids=ids))
    return references, evidence


def _gate_evidence(
    inputs: Inputs, profiles: dict[int, SegmentProfile], parent: Snapshot | None, effects: tuple[OutcomeEffect, ...]
) -> Evidence:
    n_unassigned = int(inputs.summary["n_unassigned"])
    return Evidence(
        n_extracted=inputs.raw.rows,
        n_assigned=len(inputs.labels) - n_unassigned,
        n_unassigned=n_unassigned,
        n_rejected=int(inputs.valid.manifest["rejected"]),
        segment_sizes={segment: profile.n_customers for segment, profile in profiles.items()},
        silhouette=float(inputs.summary["silhouette"]),
        structure=inputs.sweep.structure,
        round_clusters=inputs.model.algorithm not in SHAPES,
        outcomes=effects,
        parent_partition=parent.partition if parent is not None else None,
        parent_n_rows=parent.n_rows if parent is not None else None,
    )


def _metrics(
    connection: sa.Connection,
    ledger: snapshots.Ledger,
    parent: Snapshot | None,
    inputs: Inputs,
    segments: np.ndarray,
    alignment: Alignment,
    *,
    key: str,
) -> Json:
    n_shared = n_moved = 0
    if parent is not None:
        before = assignments.segments_in(connection, ledger, parent.snapshot_id).reindex(inputs.frame[key])
        shared = before.notna().to_numpy()
        n_shared = int(shared.sum())
        n_moved = int((before.to_numpy()[shared] != segments[shared]).sum())
    chosen = asdict(inputs.sweep.chosen)
    # the sweep's figures are K-Means'; of another algorithm its own silhouette is known
    swept = (
        ("simplified_silhouette", "davies_bouldin", "calinski_harabasz") if inputs.model.algorithm == "kmeans" else ()
    )
    return {
        "inertia": inputs.summary["inertia"],
        "silhouette": inputs.summary["silhouette"],
        **{name: chosen[name] for name in swept},
        "notes": list(inputs.summary["notes"]),
        "reason": inputs.sweep.reason,
        "won_by": inputs.summary["won_by"],
        "n_shared": n_shared,
        "n_moved": n_moved,
        "evidence": alignment.evidence,
        "features": inputs.valid.json("features"),
    }


def _assignments(key: str, inputs: Inputs, recorded: Recorded) -> pa.Table:
    second = _as_segments(inputs.labels["second_cluster"].to_numpy(), recorded.alignment)
    return pa.table(
        {
            key: inputs.valid.table("rows").column(key),
            "segment_id": pa.array(recorded.segments.astype(np.int32), mask=recorded.segments == UNASSIGNED),
            "distance": inputs.labels["distance"].to_numpy(),
            "second_segment_id": pa.array(second.astype(np.int32), mask=second == UNASSIGNED),
            "margin": inputs.labels["margin"].to_numpy(),
        }
    )


def _as_segments(clusters: np.ndarray, alignment: Alignment) -> np.ndarray:
    """The segment id of each row's cluster; who is unassigned stays so."""
    segment_of = alignment.segment_of
    names = np.asarray([segment_of[cluster] for cluster in range(len(segment_of))])
    return np.where(clusters >= 0, names[clusters], UNASSIGNED)


def _check_result(pipeline: Pipeline, gate: GateResult) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=gate.name,
        asset_key=pipeline.key("aligned_segments"),
        passed=gate.passed,
        severity=dg.AssetCheckSeverity.ERROR if gate.severity == "block" else dg.AssetCheckSeverity.WARN,
        description=gate.message,
        metadata={name: value for name in ("value", "threshold") if (value := getattr(gate, name)) is not None},
    )


def _table(recorded: Recorded) -> str:
    events: dict[int, list[str]] = {}
    for event in recorded.alignment.events:
        other = f" {event.other_segment_id}" if event.other_segment_id is not None else ""
        events.setdefault(event.segment_id, []).append(event.event + other)
    rows = [
        f"| {segment} | {profile.name} | {profile.n_customers:,} | {profile.share:.1%} | {', '.join(events[segment])} |"
        for segment, profile in sorted(recorded.profiles.items())
    ]
    gone = [f"| {segment} | | 0 | | {', '.join(each)} |" for segment, each in events.items() if "retired" in each]
    return "| segment | what it is like | customers | share | event |\n|---|---|---|---|---|\n" + "\n".join(rows + gone)


def _scatter(inputs: Inputs, recorded: Recorded) -> bytes:
    _, matrix = inputs.encoded.matrix()
    projection = project(np.asarray(matrix), max_points=MAX_POINTS, seed=int(inputs.summary["seed"]))
    names = {segment: profile.name for segment, profile in recorded.profiles.items()}
    return scatter_figure(projection.points, recorded.segments[projection.rows], projection.explained, names=names)
