"""The earlier snapshots that may know today's clusters, in the order in which they are asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from segmentation_pipeline.model import EarlierSnapshot
from segmentation_pipeline.storage.registry import snapshots

if TYPE_CHECKING:
    from collections.abc import Mapping

    import sqlalchemy as sa

    from segmentation_pipeline.model import Period, Snapshot

SEEN = ("published", "superseded")


def list_earlier_snapshots(
    connection: sa.Connection, name: str, period: Period, parent: Snapshot | None
) -> list[EarlierSnapshot]:
    """Who is asked, in order, which segment a cluster of `period` is.

    The published version of the same partition comes first where it has the same parent: the same customers in the same
    month are the best witness, and a rerun changes nothing. Then the parent, the other versions that were published,
    then for each segment that none of these knows the nearest later published snapshot that holds it (rule 9), then the
    latest earlier one. Versions that nobody can see come last: what other months have called a persona since goes
    before an id that was never published, or was taken back.
    """
    versions = snapshots.list_versions(connection, name, period.partition)
    parent_id = parent.snapshot_id if parent is not None else None
    twin = next(
        (each for each in versions if each.status == "published" and each.parent_snapshot_id == parent_id), None
    )
    found = [_all_segments(connection, "earlier_version", twin)] if twin is not None else []
    found += [_all_segments(connection, "parent", parent)] if parent is not None else []
    others = [each for each in versions if each is not twin]
    found += [_all_segments(connection, "earlier_version", each) for each in others if each.status in SEEN]
    alive = set(snapshots.read_sizes(connection, parent_id)) if parent_id is not None else set()
    later = snapshots.find_first_seen_after(connection, name, period.as_of)
    found += _some_segments(connection, "later_snapshot", {each: at for each, at in later.items() if each not in alive})
    retired = snapshots.find_last_seen(connection, name, period.as_of)
    found += _some_segments(connection, "retired", {each: at for each, at in retired.items() if each not in alive})
    return found + [_all_segments(connection, "earlier_version", each) for each in others if each.status not in SEEN]


def _all_segments(connection: sa.Connection, through: str, snapshot: Snapshot) -> EarlierSnapshot:
    sizes = snapshots.read_sizes(connection, snapshot.snapshot_id)
    return EarlierSnapshot(through, snapshot, tuple(sorted(sizes)), sizes)  # type: ignore[arg-type]  # the literals above


def _some_segments(connection: sa.Connection, through: str, segments: Mapping[int, int]) -> list[EarlierSnapshot]:
    """One past for each snapshot that passes on some of its segments, in the order of `segments`' snapshots."""
    by_snapshot: dict[int, list[int]] = {}
    for segment, snapshot_id in segments.items():
        by_snapshot.setdefault(snapshot_id, []).append(segment)
    found = []
    for snapshot_id, ids in by_snapshot.items():
        snapshot = snapshots.find_snapshot(connection, snapshot_id)
        if snapshot is not None:
            sizes = snapshots.read_sizes(connection, snapshot_id)
            found.append(EarlierSnapshot(through, snapshot, tuple(sorted(ids)), sizes))  # type: ignore[arg-type]
    near_first = [each.snapshot.as_of for each in found]
    ordered = sorted(range(len(found)), key=near_first.__getitem__, reverse=through == "retired")
    return [found[index] for index in ordered]
