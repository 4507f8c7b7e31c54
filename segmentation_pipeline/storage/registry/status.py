"""Where a segmentation stands, read from the database: the object that `segmentation status --json` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from segmentation_pipeline.model.commands import approve_command, decline_command
from segmentation_pipeline.storage.registry import decisions, schema

if TYPE_CHECKING:
    from segmentation_pipeline.model import Json


def read_status(connection: sa.Connection, name: str) -> Json:
    """The contract's object: current snapshot, snapshots by (partition, version), segments."""
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
        "segments": _segments(connection, name, current),
    }


def decided(connection: sa.Connection, name: str) -> Json:
    """What waits for a person, with the reasons, and what people decided: for people, beside `status`."""
    versions = schema.snapshot.c
    labels = {
        row.snapshot_id: f"snapshot {row.snapshot_id} ({row.partition} v{row.version})"
        for row in connection.execute(
            sa.select(versions.snapshot_id, versions.partition, versions.version).where(versions.segmentation == name)
        )
    }
    made = decisions.list_decisions(connection, name)
    approved = {each.snapshot_id: each.who for each in made if each.action == "approve"}
    return {
        "waiting": [
            {
                "label": decisions.label(each),
                "reasons": decisions.reasons_of(each),
                "commands": [approve_command(name, each.snapshot_id), decline_command(name, each.snapshot_id)],
                "approved_by": approved.get(each.snapshot_id),
            }
            for each in decisions.list_waiting(connection, name)
        ],
        "decisions": [
            {
                "label": labels[each.snapshot_id],
                "action": each.action,
                "who": each.who,
                "at": each.at,
                "reason": each.reason,
            }
            for each in made
        ],
    }


def read_segments(connection: sa.Connection, snapshot_id: int) -> list[Json]:
    """The segments of one snapshot with names, sizes and what happened to them, by id."""
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


def read_events(connection: sa.Connection, snapshot_id: int) -> list[Json]:
    """The lineage of one snapshot."""
    rows = connection.execute(
        sa.select(schema.lineage)
        .where(schema.lineage.c.snapshot_id == snapshot_id)
        .order_by(schema.lineage.c.segment_id)
    )
    return [dict(row._mapping) for row in rows]


def _segments(connection: sa.Connection, name: str, current: int | None) -> list[Json]:
    """Every segment that ever lived in a published snapshot; size and share are today's, 0 for the retired."""
    live = {each["segment_id"]: each for each in read_segments(connection, current)} if current is not None else {}
    segment = schema.segment.c
    published = (
        sa.select(schema.centroid.c.segment_id)
        .join(schema.snapshot, schema.snapshot.c.snapshot_id == schema.centroid.c.snapshot_id)
        .where(
            (schema.snapshot.c.segmentation == name)
            & schema.snapshot.c.status.in_(("published", "superseded", "rolled_back"))
        )
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
