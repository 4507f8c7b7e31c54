"""Recording a snapshot: a fit is aligned, judged by the gates and written, in one transaction under the lock."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Final

import numpy as np

from segmentation_pipeline.analysis.clustering.algorithms.registry import ALGORITHMS
from segmentation_pipeline.analysis.identity.identify import FittedCustomers, Identity, identify
from segmentation_pipeline.analysis.identity.naming import name_new_segments
from segmentation_pipeline.analysis.identity.witnesses import EarlierCustomers, look_up_segments
from segmentation_pipeline.analysis.profiles.centroids import describe_centroids
from segmentation_pipeline.analysis.profiles.outcomes import measure_outcome_effects
from segmentation_pipeline.analysis.quality.approval import Change, list_reasons_to_wait
from segmentation_pipeline.analysis.quality.drift import describe_distributions
from segmentation_pipeline.analysis.quality.gates import GateInputs, evaluate
from segmentation_pipeline.errors import AlignmentError
from segmentation_pipeline.lifecycle.decide import replace_waiting, require_none_pending
from segmentation_pipeline.lifecycle.precedence import list_earlier_snapshots
from segmentation_pipeline.model import UNASSIGNED, SegmentMatch, SnapshotMetrics
from segmentation_pipeline.storage.registry import assignments, segments, snapshots

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from segmentation_pipeline.model import (
        EarlierSnapshot,
        FitSummary,
        GateResult,
        Period,
        Snapshot,
        SnapshotHeader,
        Status,
        SweepResult,
    )
    from segmentation_pipeline.spec import FeatureSpec, SegmentationSpec
    from segmentation_pipeline.storage.artifacts.datasets import (
        EncodedFeatures,
        FinalFit,
        KSweep,
        RawExtract,
        ValidatedRows,
    )
    from segmentation_pipeline.storage.artifacts.rows import ParquetRows
    from segmentation_pipeline.storage.registry.connection import Connection

# their versions are kept with the snapshot
LIBRARIES: Final = ("scikit-learn", "numpy", "pandas", "scipy", "dagster", "segmentation-pipeline")


@dataclass(frozen=True)
class AlignmentInputs:
    """The artifacts that a snapshot is made from, and what is read from them; the arrays have shape (n,)."""

    period: Period
    raw: RawExtract
    valid: ValidatedRows
    encoded: EncodedFeatures
    fitted: FinalFit
    rows: ParquetRows
    keys: pd.Series
    clusters: NDArray[np.int32]
    distance: NDArray[np.float64]
    features: tuple[FeatureSpec, ...]
    sweep: SweepResult
    summary: FitSummary


@dataclass(frozen=True)
class RecordedSnapshot:
    """A snapshot as it was written, with what was found out while aligning it."""

    snapshot_id: int
    status: Status
    parent: Snapshot | None
    identity: Identity
    gates: tuple[GateResult, ...]
    reasons: tuple[str, ...]
    names: dict[int, str]


def read_inputs(
    *,
    raw: RawExtract,
    valid: ValidatedRows,
    encoded: EncodedFeatures,
    swept: KSweep,
    fitted: FinalFit,
    period: Period,
    key: str,
) -> AlignmentInputs:
    """Read the artifacts of a period; `key` is the name of the key's column.

    Raises:
        AlignmentError: the fit was made from other rows than the validated ones.
    """
    rows, labels = valid.rows, fitted.labels
    keys = rows[key]
    if not keys.equals(labels[key]):
        message = (
            f"final_fit of {period.partition} was made from other rows than the latest validated_rows; "
            "materialize encoded_features, k_sweep and final_fit again"
        )
        raise AlignmentError(message)
    return AlignmentInputs(
        period, raw, valid, encoded, fitted, rows, keys,
        clusters=labels["cluster"].to_numpy(dtype=np.int32),
        distance=labels["distance"].to_numpy(),
        features=valid.features,
        sweep=swept.sweep,
        summary=fitted.summary,
    )  # fmt: skip


def align_and_record(
    connection: Connection, spec: SegmentationSpec, inputs: AlignmentInputs, *, run_id: str, code_version: str
) -> RecordedSnapshot:
    """Align with what was published before, evaluate the gates and write the snapshot, inside the open transaction.

    Raises:
        AlignmentError: the segmentation was never registered.
        DecisionPendingError: an earlier partition waits for a person.
    """
    period, ledger = inputs.period, snapshots.lock(connection, spec.name)
    if ledger is None:
        message = f"{spec.name} is not registered in the target database; materialize validated_rows again"
        raise AlignmentError(message)
    require_none_pending(connection, spec.name, period)
    parent = snapshots.find_parent(connection, spec.name, period.as_of)
    earlier = list_earlier_snapshots(connection, spec.name, period, parent)
    parent_profiles = segments.read_profiles(connection, parent.snapshot_id) if parent is not None else {}
    seen_before = segments.find_last_seen(connection, spec.name, period.as_of).keys()
    # nothing else uses the connection while a snapshot's customers are read on the thread
    with ThreadPoolExecutor(1) as reader:
        found = identify(
            FittedCustomers(
                rows=inputs.rows,
                clusters=inputs.clusters,
                distance=inputs.distance,
                model=inputs.fitted.model,
                features=inputs.features,
                outcomes=spec.outcomes,
            ),
            read_earlier_customers(reader, connection, ledger, earlier, inputs.keys),
            parent=parent,
            parent_profiles=parent_profiles,
            next_segment_id=ledger.next_segment_id,
            seen_before=seen_before,
        )
    gates = evaluate(_gather_gate_inputs(inputs, found, parent, spec.outcomes), spec.gates)
    change = _describe_change(connection, spec.name, period, parent, found)
    reasons = list_reasons_to_wait(spec.publish.approval, change, max_moved=spec.gates.max_moved.threshold)
    status = choose_status(gates, reasons)
    known = segments.read_segment_names(connection, spec.name)
    made = name_new_segments(found.alignment, found.profiles, known)
    n_assigned = int((found.segments != UNASSIGNED).sum())
    snapshot_id = snapshots.record(
        connection,
        ledger,
        snapshots.NewSnapshot(
            partition=period.partition,
            as_of=period.as_of,
            status=status,
            parent_snapshot_id=parent.snapshot_id if parent is not None else None,
            run_id=run_id,
            algorithm=found.model.algorithm,
            k=found.model.k,
            seed=inputs.summary.seed,
            n_rows=len(inputs.raw),
            n_assigned=n_assigned,
            n_unassigned=len(found.segments) - n_assigned,
            n_rejected=inputs.valid.n_rejected,
            metrics=_gather_metrics(inputs, found, reasons),
            encoding=inputs.encoded.encoding,
            model=found.model,
            library_versions={name: metadata.version(name) for name in LIBRARIES},
            code_version=code_version,
            data_version=inputs.raw.data_version,
        ),
        next_segment_id=found.alignment.next_segment_id,
        centroids=describe_centroids(found.model, found.profiles, inputs.encoded.matrix, found.segments),
        new_segments=made,
        events=found.alignment.events,
        gates=gates,
    )
    if status != "rejected":
        who = f"run {run_id[:8]}"
        replace_waiting(connection, spec.name, period.partition, by=snapshot_id, who=who)
    names = known | {segment.segment_id: segment.name for segment in made}
    return RecordedSnapshot(snapshot_id, status, parent, found, gates, reasons, names)


def choose_status(gates: Sequence[GateResult], reasons: Sequence[str]) -> Status:
    """Return the status of a new snapshot: a blocking gate rejects it, a reason to wait makes it wait for a person."""
    if any(gate.blocks for gate in gates):
        return "rejected"
    return "waiting" if reasons else "candidate"


def read_earlier_customers(
    reader: ThreadPoolExecutor,
    connection: Connection,
    ledger: snapshots.Ledger,
    earlier: Sequence[EarlierSnapshot],
    keys: pd.Series,
) -> Iterator[EarlierCustomers]:
    """Yield each earlier snapshot with the segments that the customers of `keys` had in it.

    `reader` reads them from the time on at which the snapshot is drawn: the database works while the snapshot's model
    labels today's customers.
    """

    def read(snapshot_id: int) -> NDArray[np.int32]:
        return look_up_segments(assignments.read_assignments(connection, ledger, snapshot_id), keys)

    for snapshot in earlier:
        yield EarlierCustomers(snapshot, reader.submit(read, snapshot.snapshot.snapshot_id).result)


def _gather_gate_inputs(
    inputs: AlignmentInputs, found: Identity, parent: Snapshot | None, outcomes: list[str]
) -> GateInputs:
    n_unassigned = inputs.summary.n_unassigned
    effects = measure_outcome_effects(
        inputs.rows, found.segments, outcomes, rng=np.random.default_rng(inputs.summary.seed)
    )
    return GateInputs(
        n_extracted=len(inputs.raw),
        n_assigned=len(inputs.keys) - n_unassigned,
        n_unassigned=n_unassigned,
        n_rejected=inputs.valid.n_rejected,
        segment_sizes={segment: profile.n_customers for segment, profile in found.profiles.items()},
        silhouette=float(inputs.summary.silhouette),
        structure=inputs.sweep.structure,
        round_clusters=ALGORITHMS[found.model.algorithm].round_clusters,
        outcomes=effects,
        parent_partition=parent.partition if parent is not None else None,
        parent_n_rows=parent.n_rows if parent is not None else None,
        matches=found.alignment.matches,
        n_shared=found.n_shared,
        n_moved=found.n_changed,
    )


def _describe_change(
    connection: Connection, name: str, period: Period, parent: Snapshot | None, found: Identity
) -> Change:
    """Return what publishing would change: from the parent or, without one, the partition's published version."""
    before: SnapshotHeader | None = parent
    if before is None:
        versions = snapshots.list_versions(connection, name, period.partition)
        before = next((version for version in versions if version.status == "published"), None)
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


def _gather_metrics(inputs: AlignmentInputs, found: Identity, reasons: tuple[str, ...]) -> SnapshotMetrics:
    """Return the figures that are kept with a snapshot; raw cluster numbers stay out of the database (rule 2)."""
    # the sweep measured K-Means; of another algorithm only the silhouette is known
    swept = inputs.sweep.chosen if ALGORITHMS[found.model.algorithm].is_swept else None
    return SnapshotMetrics(
        silhouette=inputs.summary.silhouette,
        simplified_silhouette=swept.simplified_silhouette if swept is not None else None,
        davies_bouldin=swept.davies_bouldin if swept is not None else None,
        calinski_harabasz=swept.calinski_harabasz if swept is not None else None,
        inertia=inputs.summary.inertia,
        reason=inputs.sweep.reason,
        won_by=inputs.summary.won_by,
        notes=inputs.summary.notes,
        features=tuple(feature.model_dump() for feature in inputs.features),
        distributions=describe_distributions(inputs.rows, inputs.features),
        n_shared=found.n_shared,
        n_moved=found.n_changed,
        evidence=found.alignment.evidence,
        matches=tuple(
            SegmentMatch(match.segment_id, match.score, match.confidence, match.through)
            for match in found.alignment.matches
        ),
        transitions=found.transitions,
        drift=found.drift,
        reasons_to_wait=reasons,
    )
