"""Recording a snapshot: a fit is aligned, judged by the gates and written, in one transaction under the lock."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Final

from segmentation_pipeline.analysis.identity.identify import FittedCustomers, Identity, identify
from segmentation_pipeline.analysis.identity.naming import name_new_segments
from segmentation_pipeline.analysis.identity.witnesses import EarlierCustomers, look_up_segments
from segmentation_pipeline.analysis.quality.approval import Change, list_reasons_to_wait
from segmentation_pipeline.analysis.quality.gates import evaluate
from segmentation_pipeline.errors import AlignmentError
from segmentation_pipeline.lifecycle.decide import replace_waiting, require_none_pending
from segmentation_pipeline.lifecycle.precedence import list_earlier_snapshots
from segmentation_pipeline.model import UNASSIGNED
from segmentation_pipeline.steps.snapshot import (
    AlignmentInputs,
    describe_prototypes,
    gather_gate_inputs,
    gather_metrics,
)
from segmentation_pipeline.storage.registry import assignments, segments, snapshots

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from segmentation_pipeline.model import (
        EarlierSnapshot,
        GateResult,
        Period,
        Snapshot,
        SnapshotHeader,
        Status,
    )
    from segmentation_pipeline.spec import SegmentationSpec
    from segmentation_pipeline.storage.registry.connection import Connection

# their versions are kept with the snapshot
LIBRARIES: Final = ("scikit-learn", "numpy", "pandas", "scipy", "dagster", "segmentation-pipeline")


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
    gates = evaluate(gather_gate_inputs(inputs, found, parent, spec.outcomes), spec.gates)
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
            metrics=gather_metrics(inputs, found, reasons),
            encoding=inputs.encoded.encoding,
            model=found.model,
            library_versions={name: metadata.version(name) for name in LIBRARIES},
            code_version=code_version,
            data_version=inputs.raw.data_version,
        ),
        next_segment_id=found.alignment.next_segment_id,
        centroids=describe_prototypes(inputs, found),
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
