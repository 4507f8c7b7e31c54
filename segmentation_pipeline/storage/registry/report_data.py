"""Reading what a report shows; every function takes the connection of an open transaction."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import sqlalchemy as sa

from segmentation_pipeline.model import LineageEvent
from segmentation_pipeline.model.report import Provenance, ReportedPeriod, ReportedSegment, SnapshotReport
from segmentation_pipeline.storage.registry import decisions, schema, segments, snapshots

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segmentation_pipeline.model import Snapshot, SnapshotHeader
    from segmentation_pipeline.storage.registry.connection import Connection

_EVENT_FIELDS = tuple(LineageEvent.__dataclass_fields__)


def freeze_reads(connection: Connection) -> None:
    """Read the database as it is now until the transaction ends, so that numbers read one by one agree."""
    connection.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))


def choose_snapshot(connection: Connection, name: str, partition: str | None) -> Snapshot | None:
    """Return the snapshot that a report of `partition` shows; None if there is none.

    Without `partition` it is one of the latest partition that was run. Of several versions it is the newest that is
    published or waits for a person, or else the newest.
    """
    every = snapshots.list_snapshots(connection, name)
    wanted = partition if partition is not None else (every[-1].partition if every else None)
    versions = [snapshot for snapshot in every if snapshot.partition == wanted]
    accepted = [snapshot for snapshot in versions if snapshot.status in {"published", "waiting"}]
    shown = accepted or versions
    return snapshots.find_snapshot(connection, shown[-1].snapshot_id) if shown else None


def read_report(connection: Connection, snapshot: Snapshot) -> SnapshotReport:
    """Return everything from the database that a report of `snapshot` shows."""
    name = snapshot.segmentation
    parent_id = snapshot.parent_snapshot_id
    before = [
        earlier
        for earlier in snapshots.list_snapshots(connection, name)
        if earlier.status == "published" and earlier.as_of < snapshot.as_of
    ]
    return SnapshotReport(
        snapshot=snapshot,
        making=_read_provenance(connection, snapshot.snapshot_id),
        parent=snapshots.find_header(connection, parent_id) if parent_id is not None else None,
        is_current=_is_current(connection, snapshot),
        segments=_read_segments(connection, snapshot),
        names=segments.read_segment_names(connection, name),
        periods=_read_periods(connection, [*before, snapshot]),
        gates=snapshots.read_gates(connection, snapshot.snapshot_id),
        decisions=tuple(decisions.list_decisions_about(connection, snapshot.snapshot_id)),
    )


def _read_provenance(connection: Connection, snapshot_id: int) -> Provenance:
    columns = [schema.snapshot.c[field] for field in Provenance.__dataclass_fields__]
    row = connection.execute(sa.select(*columns).where(schema.snapshot.c.snapshot_id == snapshot_id)).one()
    return Provenance(**row._mapping)


def _is_current(connection: Connection, snapshot: SnapshotHeader) -> bool:
    current = schema.segmentation.c.current_snapshot_id
    current_id = connection.scalar(sa.select(current).where(schema.segmentation.c.name == snapshot.segmentation))
    return current_id == snapshot.snapshot_id


def _read_segments(connection: Connection, snapshot: SnapshotHeader) -> tuple[ReportedSegment, ...]:
    """Return the segments of a snapshot, by id."""
    segment, first = schema.segment.c, schema.snapshot.c
    rows = connection.execute(
        sa.select(segment.segment_id, segment.name, segment.name_source, segment.description, first.partition)
        .join(schema.snapshot, first.snapshot_id == segment.born_snapshot_id)
        .where(segment.segmentation == snapshot.segmentation)
        .order_by(segment.segment_id)
    )
    (now,) = _read_periods(connection, [snapshot])
    profiles = segments.read_profiles(connection, snapshot.snapshot_id)
    return tuple(
        ReportedSegment(
            segment_id=row.segment_id,
            name=row.name,
            name_source=row.name_source,
            description=row.description,
            n_customers=now.sizes[row.segment_id],
            share=now.shares[row.segment_id],
            profile=profiles[row.segment_id],
            born=row.partition,
        )
        for row in rows
        if row.segment_id in now.sizes
    )


def _read_periods(connection: Connection, shown: Sequence[SnapshotHeader]) -> tuple[ReportedPeriod, ...]:
    """Return the sizes, shares and events of several snapshots, in their order."""
    ids = [snapshot.snapshot_id for snapshot in shown]
    centroid, lineage = schema.centroid.c, schema.lineage.c
    sizes: dict[int, dict[int, int]] = defaultdict(dict)
    shares: dict[int, dict[int, float]] = defaultdict(dict)
    for row in connection.execute(
        sa.select(
            centroid.snapshot_id,
            centroid.segment_id,
            sa.func.sum(centroid.n_customers).label("n_customers"),
            sa.func.sum(centroid.share).label("share"),
        )
        .where(centroid.snapshot_id.in_(ids))
        .group_by(centroid.snapshot_id, centroid.segment_id)
        .order_by(centroid.segment_id)
    ):
        sizes[row.snapshot_id][row.segment_id] = int(row.n_customers)
        shares[row.snapshot_id][row.segment_id] = float(row.share)
    events: dict[int, list[LineageEvent]] = defaultdict(list)
    for row in connection.execute(
        sa.select(lineage.snapshot_id, *[lineage[field] for field in _EVENT_FIELDS])
        .where(lineage.snapshot_id.in_(ids))
        .order_by(lineage.segment_id)
    ):
        events[row.snapshot_id].append(LineageEvent(**{field: row._mapping[field] for field in _EVENT_FIELDS}))
    return tuple(
        ReportedPeriod(
            partition=snapshot.partition,
            snapshot_id=snapshot.snapshot_id,
            sizes=sizes[snapshot.snapshot_id],
            shares=shares[snapshot.snapshot_id],
            events=tuple(events[snapshot.snapshot_id]),
        )
        for snapshot in shown
    )
