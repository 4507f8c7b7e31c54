"""Aligning a fit and entering it in the books, in one transaction under the segmentation's lock."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from importlib import metadata

import dagster as dg
import numpy as np
import pandas as pd
import sqlalchemy as sa

from segmentation_pipeline.analysis.identity.identify import FittedCustomers, Identity, identify
from segmentation_pipeline.analysis.identity.naming import new_segments
from segmentation_pipeline.analysis.profiles.centroids import centroids_of
from segmentation_pipeline.analysis.profiles.outcomes import outcome_effects
from segmentation_pipeline.analysis.quality.approval import Change, reasons_to_wait
from segmentation_pipeline.analysis.quality.drift import describe
from segmentation_pipeline.analysis.quality.gates import GateInputs, evaluate
from segmentation_pipeline.analysis.selection.assigned_silhouette import SHAPES
from segmentation_pipeline.errors import AlignmentError
from segmentation_pipeline.lifecycle.precedence import list_earlier_snapshots
from segmentation_pipeline.model import (
    UNASSIGNED,
    EarlierSnapshot,
    FitSummary,
    GateResult,
    Json,
    Period,
    Snapshot,
    Status,
    SweepResult,
)
from segmentation_pipeline.orchestration.segmentation import PACKAGE, SegmentationContext
from segmentation_pipeline.spec import FeatureSpec
from segmentation_pipeline.storage.artifacts.datasets import (
    EncodedFeatures,
    FinalFit,
    KSweep,
    RawExtract,
    ValidatedRows,
)
from segmentation_pipeline.storage.artifacts.rows import ParquetRows
from segmentation_pipeline.storage.registry import assignments, decisions, snapshots

LIBRARIES = ("scikit-learn", "numpy", "pandas", "scipy", "dagster", PACKAGE)
# the sweep's figures are K-Means'; of another algorithm its own silhouette is known
SWEPT = ("simplified_silhouette", "davies_bouldin", "calinski_harabasz")


@dataclass(frozen=True)
class AlignmentInputs:
    """The artifacts a snapshot is made from, and what is read of them."""

    raw: RawExtract
    valid: ValidatedRows
    encoded: EncodedFeatures
    swept: KSweep
    fitted: FinalFit
    rows: ParquetRows
    keys: pd.Series
    clusters: np.ndarray
    distance: np.ndarray
    features: tuple[FeatureSpec, ...]
    sweep: SweepResult
    summary: FitSummary


@dataclass(frozen=True)
class RecordedSnapshot:
    """What was written to the database."""

    snapshot_id: int
    status: Status
    parent: Snapshot | None
    identity: Identity
    gates: tuple[GateResult, ...]
    reasons: tuple[str, ...]
    names: dict[int, str]


def read_inputs(context: dg.AssetExecutionContext, segmentation: SegmentationContext) -> AlignmentInputs:
    """Read the latest artifacts of the partition.

    Raises:
        AlignmentError: the fit was made from other rows than those that are validated now.
    """
    raw, valid = segmentation.latest(context, RawExtract), segmentation.latest(context, ValidatedRows)
    encoded, swept = segmentation.latest(context, EncodedFeatures), segmentation.latest(context, KSweep)
    fitted = segmentation.latest(context, FinalFit)
    rows, labels = valid.rows, fitted.labels
    keys = rows[segmentation.spec.source.key]
    if not keys.equals(labels[segmentation.spec.source.key]):
        message = (
            f"final_fit of {context.partition_key} was made from other rows than the latest validated_rows; "
            "materialize encoded_features, k_sweep and final_fit again"
        )
        raise AlignmentError(message)
    return AlignmentInputs(
        raw, valid, encoded, swept, fitted, rows, keys,
        clusters=labels["cluster"].to_numpy(dtype=np.int32),
        distance=labels["distance"].to_numpy(),
        features=valid.features,
        sweep=swept.sweep,
        summary=fitted.summary,
    )  # fmt: skip


def align_and_record(
    context: dg.AssetExecutionContext,
    connection: sa.Connection,
    segmentation: SegmentationContext,
    inputs: AlignmentInputs,
) -> RecordedSnapshot:
    """Align with what was published before, evaluate the gates and write the snapshot.

    Raises:
        AlignmentError: the segmentation was never registered.
        DecisionPendingError: an earlier partition waits for a person.
    """
    spec, period = segmentation.spec, segmentation.period(context.partition_key)
    ledger = snapshots.lock(connection, spec.name)
    if ledger is None:
        message = f"{spec.name} is not registered in the target database; materialize validated_rows again"
        raise AlignmentError(message)
    decisions.require_none_pending(connection, spec.name, period)
    parent = snapshots.find_parent(connection, spec.name, period.as_of)
    found = identify(
        FittedCustomers(
            rows=inputs.rows,
            keys=inputs.keys,
            clusters=inputs.clusters,
            distance=inputs.distance,
            model=inputs.fitted.model,
            features=inputs.features,
            outcomes=spec.outcomes,
        ),
        _remembered(connection, ledger, list_earlier_snapshots(connection, spec.name, period, parent)),
        parent=parent,
        parent_profiles=snapshots.read_profiles(connection, parent.snapshot_id) if parent is not None else {},
        next_segment_id=ledger.next_segment_id,
        seen_before=snapshots.find_last_seen(connection, spec.name, period.as_of).keys(),
    )
    gates = evaluate(_gate_evidence(inputs, found, parent, spec.outcomes), spec.gates)
    accepted = all(gate.passed or gate.severity == "warn" for gate in gates)
    change = _change(connection, spec.name, period, parent, found)
    reasons = reasons_to_wait(spec.publish.approval, change, max_moved=spec.gates.max_moved.threshold)
    status: Status = "rejected" if not accepted else "waiting" if reasons else "candidate"
    known = snapshots.read_segment_names(connection, spec.name)
    made = new_segments(found.alignment, found.profiles, known)
    n_assigned = int((found.segments != UNASSIGNED).sum())
    snapshot_id = snapshots.record(
        connection,
        ledger,
        snapshots.NewSnapshot(
            partition=period.partition,
            as_of=period.as_of,
            status=status,
            parent_snapshot_id=parent.snapshot_id if parent is not None else None,
            run_id=context.run.run_id,
            algorithm=found.model.algorithm,
            k=found.model.k,
            seed=inputs.summary.seed,
            n_rows=len(inputs.raw),
            n_assigned=n_assigned,
            n_unassigned=len(found.segments) - n_assigned,
            n_rejected=inputs.valid.n_rejected,
            metrics=_metrics(inputs, found) | {"approval": list(reasons)},
            encoding=inputs.encoded.encoding.to_json(),
            model=found.model.to_json(),
            library_versions={name: metadata.version(name) for name in LIBRARIES},
            code_version=segmentation.chain_version,
            data_version=inputs.raw.data_version,
        ),
        next_segment_id=found.alignment.next_segment_id,
        centroids=centroids_of(found.model, found.profiles, inputs.encoded.matrix, found.segments),
        new_segments=made,
        events=found.alignment.events,
        gates=gates,
    )
    if status != "rejected":
        who = f"run {context.run.run_id[:8]}"
        decisions.replace_waiting(connection, spec.name, period.partition, by=snapshot_id, who=who)
    names = known | {each.segment_id: each.name for each in made}
    return RecordedSnapshot(snapshot_id, status, parent, found, gates, reasons, names)


def _remembered(
    connection: sa.Connection, ledger: snapshots.Ledger, earlier: list[EarlierSnapshot]
) -> Iterator[tuple[EarlierSnapshot, Callable[[], pd.Series]]]:
    """Each past with what reads its customers' segments."""
    for past in earlier:
        yield past, partial(assignments.segments_in, connection, ledger, past.snapshot.snapshot_id)


def _gate_evidence(
    inputs: AlignmentInputs, found: Identity, parent: Snapshot | None, outcomes: list[str]
) -> GateInputs:
    n_unassigned = inputs.summary.n_unassigned
    effects = outcome_effects(inputs.rows, found.segments, outcomes, rng=np.random.default_rng(inputs.summary.seed))
    return GateInputs(
        n_extracted=len(inputs.raw),
        n_assigned=len(inputs.keys) - n_unassigned,
        n_unassigned=n_unassigned,
        n_rejected=inputs.valid.n_rejected,
        segment_sizes={segment: profile.n_customers for segment, profile in found.profiles.items()},
        silhouette=float(inputs.summary.silhouette),
        structure=inputs.sweep.structure,
        round_clusters=found.model.algorithm not in SHAPES,
        outcomes=effects,
        parent_partition=parent.partition if parent is not None else None,
        parent_n_rows=parent.n_rows if parent is not None else None,
        matches=found.alignment.matches,
        n_shared=found.n_shared,
        n_moved=found.n_changed,
    )


def _change(connection: sa.Connection, name: str, period: Period, parent: Snapshot | None, found: Identity) -> Change:
    """What publishing would change: against the parent or, without one, the published version of the partition."""
    before = parent
    if before is None:
        versions = snapshots.list_versions(connection, name, period.partition)
        before = next((each for each in versions if each.status == "published"), None)
    return Change(
        is_first=not snapshots.was_ever_accepted(connection, name),
        has_parent=parent is not None,
        events=found.alignment.events,
        k=found.model.k,
        k_before=before.k if before is not None else None,
        partition_before=before.partition if before is not None else None,
        n_shared=found.n_shared,
        n_moved=found.n_changed,
    )


def _metrics(inputs: AlignmentInputs, found: Identity) -> Json:
    """What a snapshot is remembered by; the raw cluster numbers stay out of the database."""
    chosen = asdict(inputs.sweep.chosen)
    return {
        "inertia": inputs.summary.inertia,
        "silhouette": inputs.summary.silhouette,
        **{name: chosen[name] for name in SWEPT if found.model.algorithm == "kmeans"},
        "notes": list(inputs.summary.notes),
        "reason": inputs.sweep.reason,
        "won_by": inputs.summary.won_by,
        "features": [feature.model_dump() for feature in inputs.features],
        "distributions": describe(inputs.rows, inputs.features),
        "n_shared": found.n_shared,
        "n_moved": found.n_changed,
        "evidence": found.alignment.evidence,
        "matches": [
            {"segment_id": each.segment_id, "score": each.score, "confidence": each.confidence, "through": each.through}
            for each in found.alignment.matches
        ],
        "transitions": [asdict(each) for each in found.transitions],
        "drift": asdict(found.drift) if found.drift is not None else None,
    }
