"""What is kept and for how long: applying the retention settings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from segmentation_pipeline.storage.registry import assignments, snapshots
from segmentation_pipeline.storage.registry.connection import transaction
from segmentation_pipeline.storage.registry.rejected import delete_rejected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segmentation_pipeline.spec import SegmentationSpec
    from segmentation_pipeline.storage.artifacts.store import ArtifactStore


@dataclass(frozen=True, slots=True)
class RetentionReport:
    """What was removed: partitions with artifacts, snapshots with customers, rejected rows, unfinished artifacts."""

    partitions: tuple[str, ...]
    snapshot_ids: tuple[int, ...] = ()
    n_rejected: int = 0
    n_unfinished: int = 0

    @property
    def lines(self) -> tuple[str, ...]:
        """A line for each kind of thing that was removed."""
        lines = []
        if self.partitions:
            lines.append(f"artifacts of {', '.join(self.partitions)} removed")
        if self.n_rejected:
            lines.append(f"{self.n_rejected:,} rejected rows of those and earlier periods deleted")
        if self.snapshot_ids:
            lines.append(f"assignments of the snapshots {', '.join(map(str, self.snapshot_ids))} dropped")
        if self.n_unfinished:
            lines.append(f"{self.n_unfinished} unfinished artifacts of killed runs removed")
        return tuple(lines)


def retain(spec: SegmentationSpec, store: ArtifactStore) -> RetentionReport:
    """Apply the retention settings, in a transaction of its own: a publication must not wait for readers."""
    keep = spec.retention.artifacts
    partitions = tuple(store.keep_newest(keep)) if keep is not None else ()
    # a store that is younger than the history does not say which rejected rows are old
    oldest = store.partitions()[0] if keep is not None and len(store.partitions()) == keep else None
    newest = spec.retention.assignments
    if oldest is None and newest is None:
        return RetentionReport(partitions)
    with transaction(spec.publish.url_env) as connection:
        ledger = snapshots.lock(connection, spec.name)
        if ledger is None:
            return RetentionReport(partitions)
        n_rejected = delete_rejected(connection, spec.name, before=oldest) if oldest else 0
        dropped = assignments.keep_newest(connection, ledger, newest) if newest is not None else []
    return RetentionReport(partitions, tuple(dropped), n_rejected)


def collect_garbage(spec: SegmentationSpec, store: ArtifactStore, *, running: Sequence[str]) -> RetentionReport:
    """Apply the retention settings, and remove what killed runs left, unless a run is in progress.

    `running` are the ids of the segmentation's runs that are in progress.
    """
    report = retain(spec, store)
    return report if running else replace(report, n_unfinished=store.remove_unfinished())
