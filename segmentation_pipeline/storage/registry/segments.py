"""Segments and the snapshots that hold them; every function takes the connection of an open transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on

from segmentation_pipeline.model.snapshot import EVER_PUBLISHED
from segmentation_pipeline.storage.registry import schema

if TYPE_CHECKING:
    from datetime import datetime

    from segmentation_pipeline.model import Json
    from segmentation_pipeline.storage.registry.connection import Connection

_SNAPSHOT = schema.snapshot


def find_last_seen(connection: Connection, name: str, as_of: datetime) -> dict[int, int]:
    """Return the latest snapshot before `as_of` that holds a segment, for each segment that was ever published.

    A snapshot that was rolled back is returned only for segments that no other one holds: people have seen its ids, and
    names stay with ids.
    """
    taken_back = _SNAPSHOT.c.status == "rolled_back"
    rows = connection.execute(
        sa.select(schema.centroid.c.segment_id, _SNAPSHOT.c.snapshot_id)
        .join(_SNAPSHOT, _SNAPSHOT.c.snapshot_id == schema.centroid.c.snapshot_id)
        .where(
            (_SNAPSHOT.c.segmentation == name) & (_SNAPSHOT.c.status.in_(EVER_PUBLISHED)) & (_SNAPSHOT.c.as_of < as_of)
        )
        .ext(distinct_on(schema.centroid.c.segment_id))
        .order_by(schema.centroid.c.segment_id, taken_back, _SNAPSHOT.c.as_of.desc(), _SNAPSHOT.c.version.desc())
    )
    return {int(segment_id): int(snapshot_id) for segment_id, snapshot_id in rows}


def find_first_seen_after(connection: Connection, name: str, as_of: datetime) -> dict[int, int]:
    """Return the first published snapshot after `as_of` that holds a segment, for each segment of one (rule 9)."""
    rows = connection.execute(
        sa.select(schema.centroid.c.segment_id, _SNAPSHOT.c.snapshot_id)
        .join(_SNAPSHOT, _SNAPSHOT.c.snapshot_id == schema.centroid.c.snapshot_id)
        .where((_SNAPSHOT.c.segmentation == name) & (_SNAPSHOT.c.status == "published") & (_SNAPSHOT.c.as_of > as_of))
        .ext(distinct_on(schema.centroid.c.segment_id))
        .order_by(schema.centroid.c.segment_id, _SNAPSHOT.c.as_of)
    )
    return {int(segment_id): int(snapshot_id) for segment_id, snapshot_id in rows}


def read_sizes(connection: Connection, snapshot_id: int) -> dict[int, int]:
    """Return the number of customers of each segment of a snapshot."""
    centroid = schema.centroid.c
    rows = connection.execute(
        sa.select(centroid.segment_id, sa.func.sum(centroid.n_customers))
        .where(centroid.snapshot_id == snapshot_id)
        .group_by(centroid.segment_id)
    )
    return {int(segment_id): int(n_customers) for segment_id, n_customers in rows}


def read_profiles(connection: Connection, snapshot_id: int) -> dict[int, Json]:
    """Return the profile of each segment of a snapshot, in original units."""
    centroid = schema.centroid.c
    rows = connection.execute(
        sa.select(centroid.segment_id, centroid.profile).where(
            (centroid.snapshot_id == snapshot_id) & (centroid.ordinal == 0)
        )
    )
    return {int(segment_id): profile for segment_id, profile in rows}


def read_segment_names(connection: Connection, name: str) -> dict[int, str]:
    """Return the name of every segment that a segmentation ever had."""
    segment = schema.segment.c
    rows = connection.execute(sa.select(segment.segment_id, segment.name).where(segment.segmentation == name))
    return {int(segment_id): str(text) for segment_id, text in rows}


def name_segment(connection: Connection, name: str, segment_id: int, *, text: str, description: str | None) -> bool:
    """Name a segment as a person wants it; return False if there is no such segment."""
    values: dict[str, Any] = {"name": text, "name_source": "person"}
    if description is not None:
        values["description"] = description
    result = connection.execute(
        sa.update(schema.segment)
        .where((schema.segment.c.segmentation == name) & (schema.segment.c.segment_id == segment_id))
        .values(**values)
    )
    return result.rowcount == 1
