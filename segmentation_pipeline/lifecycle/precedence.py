"""The order of snapshots: which one is the parent, and which earlier ones are asked about today's clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segmentation_pipeline.model import EarlierSnapshot
from segmentation_pipeline.model.commands import run_command
from segmentation_pipeline.model.snapshot import SEEN
from segmentation_pipeline.storage.registry import segments, snapshots

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from segmentation_pipeline.model import Period, Snapshot, SnapshotHeader
    from segmentation_pipeline.model.identity import Through
    from segmentation_pipeline.storage.registry.connection import Connection


def describe_changed_parent(connection: Connection, snapshot: SnapshotHeader) -> str | None:
    """Return what is wrong where a snapshot's parent is not the one that it was aligned with; None where it is.

    The parent is looked up when a snapshot is aligned, and again before it is approved or published (rule 1).
    """
    parent = snapshots.find_parent(connection, snapshot.segmentation, snapshot.as_of)
    now = parent.snapshot_id if parent is not None else None
    if now == snapshot.parent_snapshot_id:
        return None
    return (
        f"{snapshot.label} was aligned with parent {snapshot.parent_snapshot_id}, but the parent is now {now}. "
        f"Run the period again:  {run_command(snapshot.segmentation, snapshot.partition)}"
    )


def list_built_on_older_parent(connection: Connection, name: str) -> list[SnapshotHeader]:
    """Return the published snapshots whose parent is not the latest published one before them, by as_of (rule 9)."""
    published = [snapshot for snapshot in snapshots.list_snapshots(connection, name) if snapshot.status == "published"]
    parents = [None, *(snapshot.snapshot_id for snapshot in published)]
    return [
        snapshot
        for snapshot, parent_id in zip(published, parents, strict=False)
        if snapshot.parent_snapshot_id != parent_id
    ]


def list_earlier_snapshots(
    connection: Connection, name: str, period: Period, parent: Snapshot | None
) -> list[EarlierSnapshot]:
    """Return the snapshots that may know which segment a cluster of `period` is, in the order in which they are asked.

    1. The published version of the same partition, where it has the same parent: the same customers in the same period
       are the best witness, and a rerun changes nothing (rule 8).
    2. The parent.
    3. The other versions that were published.
    4. For each segment that the parent does not have: the nearest later published snapshot that holds it (rule 9), then
       the latest earlier one.
    5. The versions that were never published, or were taken back: what other periods have called a persona since goes
       before an id that people do not see.
    """
    versions = snapshots.list_versions(connection, name, period.partition)
    parent_id = parent.snapshot_id if parent is not None else None
    twin = next(
        (version for version in versions if version.status == "published" and version.parent_snapshot_id == parent_id),
        None,
    )
    others = [version for version in versions if version is not twin]
    earlier = [_with_all_segments(connection, "earlier_version", twin.snapshot_id)] if twin is not None else []
    earlier += [_with_all_segments(connection, "parent", parent_id)] if parent_id is not None else []
    earlier += [
        _with_all_segments(connection, "earlier_version", version.snapshot_id)
        for version in others
        if version.status in SEEN
    ]
    alive = set(segments.read_sizes(connection, parent_id)) if parent_id is not None else set()
    later = segments.find_first_seen_after(connection, name, period.as_of)
    earlier += _with_some_segments(connection, "later_snapshot", later, but_not=alive)
    retired = segments.find_last_seen(connection, name, period.as_of)
    earlier += _with_some_segments(connection, "retired", retired, but_not=alive)
    return earlier + [
        _with_all_segments(connection, "earlier_version", version.snapshot_id)
        for version in others
        if version.status not in SEEN
    ]


def _with_all_segments(connection: Connection, through: Through, snapshot_id: int) -> EarlierSnapshot:
    sizes = segments.read_sizes(connection, snapshot_id)
    return _with_segments(connection, through, snapshot_id, sizes=sizes, segment_ids=sizes)


def _with_some_segments(
    connection: Connection, through: Through, holders: Mapping[int, int], *, but_not: Collection[int]
) -> list[EarlierSnapshot]:
    """Return the snapshots that pass on some of their segments, the nearest in time first.

    `holders` is the snapshot that passes a segment on, by segment; the segments `but_not` need none.
    """
    by_snapshot: dict[int, list[int]] = {}
    for segment, snapshot_id in holders.items():
        if segment not in but_not:
            by_snapshot.setdefault(snapshot_id, []).append(segment)
    earlier = [
        _with_segments(
            connection, through, snapshot_id, sizes=segments.read_sizes(connection, snapshot_id), segment_ids=ids
        )
        for snapshot_id, ids in by_snapshot.items()
    ]
    return sorted(earlier, key=lambda past: past.snapshot.as_of, reverse=through == "retired")


def _with_segments(
    connection: Connection, through: Through, snapshot_id: int, *, sizes: Mapping[int, int], segment_ids: Iterable[int]
) -> EarlierSnapshot:
    snapshot = snapshots.find_snapshot(connection, snapshot_id)
    assert snapshot is not None  # noqa: S101  snapshots are never deleted
    return EarlierSnapshot(through, snapshot, tuple(sorted(segment_ids)), sizes)
