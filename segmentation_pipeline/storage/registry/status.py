"""Reading where a segmentation stands: the object that `segmentation status --json` prints, and what people decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from segmentation_pipeline.model import LineageEvent
from segmentation_pipeline.model.snapshot import EVER_PUBLISHED
from segmentation_pipeline.storage.registry import decisions, schema, snapshots

if TYPE_CHECKING:
    from segmentation_pipeline.model import Decision, Json, Snapshot
    from segmentation_pipeline.storage.registry.connection import Connection


@dataclass(frozen=True, slots=True)
class WaitingSnapshot:
    """A snapshot that waits; `approved_by` is the person who approved it, where only its publication is missing."""

    snapshot: Snapshot
    approved_by: str | None


@dataclass(frozen=True, slots=True)
class LabelledDecision:
    """A decision, with its snapshot as messages name it."""

    label: str
    decision: Decision


@dataclass(frozen=True, slots=True)
class DecisionLog:
    """The snapshots that wait for a person, the earliest first, and all decisions, in order of time."""

    waiting: tuple[WaitingSnapshot, ...]
    decisions: tuple[LabelledDecision, ...]


def read_status(connection: Connection, name: str) -> Json:
    """Return the contract's object: current snapshot, snapshots by (partition, version), segments."""
    ledger = connection.execute(sa.select(schema.segmentation).where(schema.segmentation.c.name == name)).one_or_none()
    current = ledger.current_snapshot_id if ledger is not None else None
    snapshot = schema.snapshot.c
    rows = connection.execute(
        sa.select(
            snapshot.snapshot_id,
            snapshot.partition,
            snapshot.as_of,
            snapshot.version,
            snapshot.status,
            snapshot.k,
            snapshot.n_rows,
            snapshot.metrics["silhouette"].as_float().label("silhouette"),
            snapshot.parent_snapshot_id,
            snapshot.created_at,
        )
        .where(snapshot.segmentation == name)
        .order_by(snapshot.partition, snapshot.version)
    )
    return {
        "segmentation": name,
        "current_snapshot_id": current,
        "snapshots": [
            {**row._mapping, "as_of": row.as_of.isoformat(), "created_at": row.created_at.isoformat()} for row in rows
        ],
        "segments": _read_ever_published(connection, name, current),
    }


def read_decision_log(connection: Connection, name: str) -> DecisionLog:
    """Return what waits for a person and what people decided: for people, beside `read_status`."""
    labels = {snapshot.snapshot_id: snapshot.label for snapshot in snapshots.list_snapshots(connection, name)}
    made = decisions.list_decisions(connection, name)
    approved_by = {decision.snapshot_id: decision.who for decision in made if decision.action == "approve"}
    return DecisionLog(
        waiting=tuple(
            WaitingSnapshot(snapshot, approved_by.get(snapshot.snapshot_id))
            for snapshot in snapshots.list_waiting(connection, name)
        ),
        decisions=tuple(LabelledDecision(labels[decision.snapshot_id], decision) for decision in made),
    )


def read_segments(connection: Connection, snapshot_id: int) -> list[Json]:
    """Return the segments of one snapshot with their names and sizes, by id."""
    centroid, segment, snapshot = schema.centroid.c, schema.segment.c, schema.snapshot.c
    rows = connection.execute(
        sa.select(
            centroid.segment_id,
            segment.name,
            sa.func.sum(centroid.share).label("share"),
            sa.func.sum(centroid.n_customers).label("n_customers"),
        )
        .select_from(schema.centroid)
        .join(schema.snapshot, snapshot.snapshot_id == centroid.snapshot_id)
        .join(
            schema.segment,
            (segment.segmentation == snapshot.segmentation) & (segment.segment_id == centroid.segment_id),
        )
        .where(centroid.snapshot_id == snapshot_id)
        .group_by(centroid.segment_id, segment.name)
        .order_by(centroid.segment_id)
    )
    return [{**row._mapping, "n_customers": int(row.n_customers)} for row in rows]


def read_events(connection: Connection, snapshot_id: int) -> list[LineageEvent]:
    """Return what happened to the segments in one snapshot, by segment id."""
    lineage = schema.lineage.c
    rows = connection.execute(
        sa.select(*[lineage[field] for field in LineageEvent.__dataclass_fields__])
        .where(lineage.snapshot_id == snapshot_id)
        .order_by(lineage.segment_id)
    )
    return [LineageEvent(**row._mapping) for row in rows]


def _read_ever_published(connection: Connection, name: str, current: int | None) -> list[Json]:
    """Return every segment that was ever in a published snapshot; size and share are today's, 0 for the retired."""
    live = (
        {segment["segment_id"]: segment for segment in read_segments(connection, current)}
        if current is not None
        else {}
    )
    segment = schema.segment.c
    published = (
        sa.select(schema.centroid.c.segment_id)
        .join(schema.snapshot, schema.snapshot.c.snapshot_id == schema.centroid.c.snapshot_id)
        .where((schema.snapshot.c.segmentation == name) & schema.snapshot.c.status.in_(EVER_PUBLISHED))
    )
    rows = connection.execute(
        sa.select(segment.segment_id, segment.name)
        .where((segment.segmentation == name) & segment.segment_id.in_(published))
        .order_by(segment.segment_id)
    )
    return [
        {
            "segment_id": row.segment_id,
            "name": row.name,
            "share": live[row.segment_id]["share"] if row.segment_id in live else 0.0,
            "n_customers": live[row.segment_id]["n_customers"] if row.segment_id in live else 0,
            "live": row.segment_id in live,
        }
        for row in rows
    ]
