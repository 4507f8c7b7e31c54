"""What a report shows, read from the database; every function takes the connection of an open transaction."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import sqlalchemy as sa

from segmentation_pipeline.model import GateResult, LineageEvent, Snapshot, Transition
from segmentation_pipeline.model.report import Decided, Provenance, ReportedPeriod, ReportedSegment, SnapshotReport
from segmentation_pipeline.storage.registry import decisions, schema, snapshots

if TYPE_CHECKING:
    from collections.abc import Sequence

_GATE_FIELDS = tuple(GateResult.__dataclass_fields__)
_EVENT_FIELDS = tuple(LineageEvent.__dataclass_fields__)


def hold_still(connection: sa.Connection) -> None:
    """See the database as it is now until the transaction ends, so that numbers read one by one agree."""
    connection.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))


def choose_snapshot(connection: sa.Connection, name: str, partition: str | None) -> Snapshot | None:
    """The snapshot that a report of `partition` (None: the latest that was run) is about; None if there is none.

    Of several versions it is the newest that is published or waits for a person, or else the newest.
    """
    mine = snapshots.list_snapshots(connection, name)
    wanted = partition if partition is not None else (mine[-1].partition if mine else None)
    versions = [each for each in mine if each.partition == wanted]
    accepted = [each for each in versions if each.status in {"published", "waiting"}]
    found = accepted or versions
    return found[-1] if found else None


def read_report(connection: sa.Connection, snapshot: Snapshot) -> SnapshotReport:
    """Everything the database knows that a report of `snapshot` shows."""
    name = snapshot.segmentation
    parent_id = snapshot.parent_snapshot_id
    before = [
        each
        for each in snapshots.list_snapshots(connection, name)
        if each.status == "published" and each.as_of < snapshot.as_of
    ]
    return SnapshotReport(
        snapshot=snapshot,
        making=_making(connection, snapshot.snapshot_id),
        parent=snapshots.find_snapshot(connection, parent_id) if parent_id is not None else None,
        is_current=_is_current(connection, snapshot),
        segments=_segments(connection, snapshot),
        names=snapshots.read_segment_names(connection, name),
        periods=_periods(connection, [*before, snapshot]),
        transitions=tuple(Transition(**each) for each in snapshot.metrics.get("transitions", ())),
        gates=_gates(connection, snapshot.snapshot_id),
        decisions=tuple(
            Decided(each.action, each.who, each.at, each.reason)
            for each in decisions.list_decisions(connection, name)
            if each.snapshot_id == snapshot.snapshot_id
        ),
        reasons=tuple(decisions.reasons_of(snapshot)),
    )


def _making(connection: sa.Connection, snapshot_id: int) -> Provenance:
    columns = [schema.snapshot.c[field] for field in Provenance.__dataclass_fields__]
    row = connection.execute(sa.select(*columns).where(schema.snapshot.c.snapshot_id == snapshot_id)).one()
    return Provenance(**row._mapping)


def _is_current(connection: sa.Connection, snapshot: Snapshot) -> bool:
    current = schema.segmentation.c.current_snapshot_id
    found = connection.scalar(sa.select(current).where(schema.segmentation.c.name == snapshot.segmentation))
    return found == snapshot.snapshot_id


def _segments(connection: sa.Connection, snapshot: Snapshot) -> tuple[ReportedSegment, ...]:
    """The segments of a snapshot, by id."""
    segment, first = schema.segment.c, schema.snapshot.c
    rows = connection.execute(
        sa.select(segment.segment_id, segment.name, segment.name_source, segment.description, first.partition)
        .join(schema.snapshot, first.snapshot_id == segment.born_snapshot_id)
        .where(segment.segmentation == snapshot.segmentation)
        .order_by(segment.segment_id)
    )
    (now,) = _periods(connection, [snapshot])
    profiles = snapshots.read_profiles(connection, snapshot.snapshot_id)
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


def _periods(connection: sa.Connection, shown: Sequence[Snapshot]) -> tuple[ReportedPeriod, ...]:
    """Sizes, shares and events of several snapshots, in their order."""
    ids = [each.snapshot_id for each in shown]
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
            partition=each.partition,
            snapshot_id=each.snapshot_id,
            sizes=sizes[each.snapshot_id],
            shares=shares[each.snapshot_id],
            events=tuple(events[each.snapshot_id]),
        )
        for each in shown
    )


def _gates(connection: sa.Connection, snapshot_id: int) -> tuple[GateResult, ...]:
    """The gates of a snapshot, by name."""
    rows = connection.execute(
        sa.select(*[schema.gate.c[field] for field in _GATE_FIELDS])
        .where(schema.gate.c.snapshot_id == snapshot_id)
        .order_by(schema.gate.c.name)
    )
    return tuple(GateResult(**row._mapping) for row in rows)
