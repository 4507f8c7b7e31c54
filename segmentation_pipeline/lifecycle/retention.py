"""What is kept and for how long: the retention settings, and the erasure of one customer."""

from dataclasses import dataclass

import dagster as dg

from segmentation_pipeline.errors import ErasureRefusedError
from segmentation_pipeline.lifecycle import forget as forgetting
from segmentation_pipeline.lifecycle.forget import Forgotten
from segmentation_pipeline.orchestration.runs.order import find_unfinished_runs
from segmentation_pipeline.orchestration.segmentation import SegmentationContext
from segmentation_pipeline.storage.registry import assignments, schema, snapshots
from segmentation_pipeline.storage.warehouse.postgres.connection import transaction


@dataclass(frozen=True)
class RetentionReport:
    """What the retention settings removed: partitions with artifacts, snapshots with customers, rejected rows."""

    partitions: tuple[str, ...]
    snapshot_ids: tuple[int, ...]
    n_rejected: int

    def lines(self) -> list[str]:
        """A line for each kind of thing that went."""
        lines = []
        if self.partitions:
            lines.append(f"artifacts of {', '.join(self.partitions)} removed")
        if self.n_rejected:
            lines.append(f"{self.n_rejected:,} rejected rows of those and earlier periods deleted")
        if self.snapshot_ids:
            lines.append(f"assignments of the snapshots {', '.join(map(str, self.snapshot_ids))} dropped")
        return lines


def retain(segmentation: SegmentationContext) -> RetentionReport:
    """Apply the retention settings, in a transaction of its own: publishing must not wait for readers."""
    spec, store = segmentation.spec, segmentation.store
    keep = spec.retention.artifacts
    gone = store.keep_newest(keep) if keep is not None else []
    # a store that is younger than the history says nothing about which rejected rows are old
    oldest = store.partitions()[0] if keep is not None and len(store.partitions()) == keep else None
    if oldest is None and spec.retention.assignments is None:
        return RetentionReport(tuple(gone), (), 0)
    with transaction(spec.publish.url_env) as connection:
        ledger = snapshots.lock(connection, spec.name)
        if ledger is None:
            return RetentionReport(tuple(gone), (), 0)
        n_rejected = assignments.forget_rejected(connection, spec.name, before=oldest) if oldest else 0
        newest = spec.retention.assignments
        dropped = assignments.keep_newest(connection, ledger, newest) if newest is not None else []
    return RetentionReport(tuple(gone), tuple(dropped), n_rejected)


def collect_garbage(segmentation: SegmentationContext, *, instance: dg.DagsterInstance) -> list[str]:
    """Apply the retention settings and, where no run is in progress, remove what killed runs left; tells what went."""
    told = retain(segmentation).lines()
    if not _in_progress(segmentation, instance) and (n_unfinished := segmentation.store.remove_unfinished()):
        told.append(f"{n_unfinished} unfinished artifacts of killed runs removed")
    return told


def _in_progress(segmentation: SegmentationContext, instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    name = segmentation.spec.name
    return find_unfinished_runs(instance, name, jobs={name, f"{name}_score"})


def forget(segmentation: SegmentationContext, key: str, *, instance: dg.DagsterInstance) -> Forgotten:
    """Erase a customer from everything this segmentation keeps, and empty their segment in the target.

    Raises:
        ErasureRefusedError: a run is in progress, which would write the customer again, or the key is none.
    """
    spec = segmentation.spec
    if running := _in_progress(segmentation, instance):
        message = (
            f"the run {running[0].run_id[:8]} of {spec.name} is in progress and would write the customer again. "
            f"Nothing was erased. Wait for it to end, or terminate it in the UI, and do it again."
        )
        raise ErasureRefusedError(message)
    schema.migrate(spec.publish.url_env)
    with transaction(spec.publish.url_env) as connection:
        return forgetting.forget(connection, spec.publish, segmentation.store, spec.name, key)
