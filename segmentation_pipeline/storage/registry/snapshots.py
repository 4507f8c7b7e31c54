"""Snapshots, segments and lineage in the `segmentation` schema.

Every function takes the connection of an open transaction. Those that decide something first take the segmentation's
lock with `lock`, so that whoever aligns, publishes or decides does it alone.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on, insert

from segmentation_pipeline.errors import ConfigurationError
from segmentation_pipeline.model import Snapshot
from segmentation_pipeline.model.json import to_plain
from segmentation_pipeline.storage.registry import schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from segmentation_pipeline.model import Centroid, GateResult, Json, LineageEvent, Segment, Status

_SNAPSHOT = schema.snapshot
_COLUMNS = [_SNAPSHOT.c[name] for name in Snapshot.__dataclass_fields__]


@dataclass(frozen=True, slots=True)
class Ledger:
    """The locked row of one segmentation."""

    name: str
    current_snapshot_id: int | None
    next_segment_id: int
    key_type: str
    key_name: str


@dataclass(frozen=True, slots=True)
class NewSnapshot:
    """What a newly aligned snapshot is recorded with."""

    partition: str
    as_of: datetime
    status: Status
    parent_snapshot_id: int | None
    run_id: str
    algorithm: str
    k: int
    seed: int
    n_rows: int
    n_assigned: int
    n_unassigned: int
    n_rejected: int
    metrics: Json
    encoding: Json
    model: Json
    library_versions: Json
    code_version: str
    data_version: str


def register(connection: sa.Connection, name: str, *, key_name: str, key_type: str) -> None:
    """Enter a segmentation on its first use.

    Raises:
        ConfigurationError: it is there with another key.
    """
    connection.execute(
        insert(schema.segmentation)
        .values(name=name, next_segment_id=1, key_name=key_name, key_type=key_type)
        .on_conflict_do_nothing()
    )
    row = connection.execute(
        sa.select(schema.segmentation.c.key_name, schema.segmentation.c.key_type).where(
            schema.segmentation.c.name == name
        )
    ).one()
    if (row.key_name, row.key_type) != (key_name, key_type):
        message = (
            f"{name} has the key {row.key_name} ({row.key_type}), and now the source gives {key_name} ({key_type}). "
            "Cast the key in the query, or use another name for the new segmentation."
        )
        raise ConfigurationError(message)


def lock(connection: sa.Connection, name: str) -> Ledger | None:
    """Lock the segmentation until the transaction ends; None if it was never run."""
    row = connection.execute(
        sa.select(*[schema.segmentation.c[field] for field in Ledger.__dataclass_fields__])
        .where(schema.segmentation.c.name == name)
        .with_for_update()
    ).one_or_none()
    return Ledger(**row._mapping) if row is not None else None


def find_snapshot(connection: sa.Connection, snapshot_id: int) -> Snapshot | None:
    """One snapshot by its id."""
    return _one(connection, _SNAPSHOT.c.snapshot_id == snapshot_id)


def list_snapshots(connection: sa.Connection, name: str) -> list[Snapshot]:
    """All snapshots of a segmentation, by (as_of, version)."""
    rows = connection.execute(
        sa.select(*_COLUMNS).where(_SNAPSHOT.c.segmentation == name).order_by(_SNAPSHOT.c.as_of, _SNAPSHOT.c.version)
    )
    return [Snapshot(**row._mapping) for row in rows]


def find_parent(connection: sa.Connection, name: str, as_of: datetime) -> Snapshot | None:
    """The latest published snapshot with an earlier `as_of` (rule 1)."""
    return _one(
        connection,
        (_SNAPSHOT.c.segmentation == name) & (_SNAPSHOT.c.status == "published") & (_SNAPSHOT.c.as_of < as_of),
        _SNAPSHOT.c.as_of.desc(),
    )


def list_built_on_older_parent(connection: sa.Connection, name: str) -> list[Snapshot]:
    """The published snapshots whose parent is not the latest published one before them, by as_of (rule 9)."""
    published = [each for each in list_snapshots(connection, name) if each.status == "published"]
    before = [None, *(each.snapshot_id for each in published)]
    return [each for each, expected in zip(published, before, strict=False) if each.parent_snapshot_id != expected]


def list_versions(connection: sa.Connection, name: str, partition: str) -> list[Snapshot]:
    """The snapshots of the same partition, the published one first, then the newest (rule 8)."""
    rows = connection.execute(
        sa.select(*_COLUMNS)
        .where((_SNAPSHOT.c.segmentation == name) & (_SNAPSHOT.c.partition == partition))
        .order_by((_SNAPSHOT.c.status == "published").desc(), _SNAPSHOT.c.version.desc())
    )
    return [Snapshot(**row._mapping) for row in rows]


def find_last_seen(connection: sa.Connection, name: str, as_of: datetime) -> dict[int, int]:
    """For each segment ever published before `as_of`: the latest snapshot that holds it.

    One that was rolled back is named only for what no other holds: people have seen its ids, and names stick to ids.
    """
    taken_back = _SNAPSHOT.c.status == "rolled_back"
    rows = connection.execute(
        sa.select(schema.centroid.c.segment_id, _SNAPSHOT.c.snapshot_id)
        .join(_SNAPSHOT, _SNAPSHOT.c.snapshot_id == schema.centroid.c.snapshot_id)
        .where(
            (_SNAPSHOT.c.segmentation == name)
            & (_SNAPSHOT.c.status.in_(("published", "superseded", "rolled_back")))
            & (_SNAPSHOT.c.as_of < as_of)
        )
        .ext(distinct_on(schema.centroid.c.segment_id))
        .order_by(schema.centroid.c.segment_id, taken_back, _SNAPSHOT.c.as_of.desc(), _SNAPSHOT.c.version.desc())
    )
    return {int(segment_id): int(snapshot_id) for segment_id, snapshot_id in rows}


def find_first_seen_after(connection: sa.Connection, name: str, as_of: datetime) -> dict[int, int]:
    """For each segment of a published snapshot after `as_of`: the first such snapshot that holds it (rule 9)."""
    rows = connection.execute(
        sa.select(schema.centroid.c.segment_id, _SNAPSHOT.c.snapshot_id)
        .join(_SNAPSHOT, _SNAPSHOT.c.snapshot_id == schema.centroid.c.snapshot_id)
        .where((_SNAPSHOT.c.segmentation == name) & (_SNAPSHOT.c.status == "published") & (_SNAPSHOT.c.as_of > as_of))
        .ext(distinct_on(schema.centroid.c.segment_id))
        .order_by(schema.centroid.c.segment_id, _SNAPSHOT.c.as_of)
    )
    return {int(segment_id): int(snapshot_id) for segment_id, snapshot_id in rows}


def was_ever_accepted(connection: sa.Connection, name: str) -> bool:
    """Whether a snapshot was ever published or laid before a person."""
    accepted = ("waiting", "published", "declined", "superseded", "rolled_back")
    where = (_SNAPSHOT.c.segmentation == name) & _SNAPSHOT.c.status.in_(accepted)
    return connection.scalar(sa.select(sa.exists().where(where))) is True


def find_by_run(connection: sa.Connection, name: str, run_id: str) -> Snapshot | None:
    """The snapshot that a run recorded last."""
    return _one(
        connection,
        (_SNAPSHOT.c.segmentation == name) & (_SNAPSHOT.c.run_id == run_id),
        _SNAPSHOT.c.snapshot_id.desc(),
    )


def read_sizes(connection: sa.Connection, snapshot_id: int) -> dict[int, int]:
    """The customers of each segment of a snapshot."""
    centroid = schema.centroid.c
    rows = connection.execute(
        sa.select(centroid.segment_id, sa.func.sum(centroid.n_customers))
        .where(centroid.snapshot_id == snapshot_id)
        .group_by(centroid.segment_id)
    )
    return {int(segment_id): int(n_customers) for segment_id, n_customers in rows}


def read_profiles(connection: sa.Connection, snapshot_id: int) -> dict[int, Json]:
    """The profile of each segment of a snapshot, in original units."""
    centroid = schema.centroid.c
    rows = connection.execute(
        sa.select(centroid.segment_id, centroid.profile).where(
            (centroid.snapshot_id == snapshot_id) & (centroid.ordinal == 0)
        )
    )
    return {int(segment_id): profile for segment_id, profile in rows}


def read_segment_names(connection: sa.Connection, name: str) -> dict[int, str]:
    """The name of every segment that a segmentation ever had."""
    segment = schema.segment.c
    rows = connection.execute(sa.select(segment.segment_id, segment.name).where(segment.segmentation == name))
    return {int(segment_id): str(text) for segment_id, text in rows}


def record(
    connection: sa.Connection,
    ledger: Ledger,
    candidate: NewSnapshot,
    *,
    next_segment_id: int,
    centroids: Sequence[Centroid],
    new_segments: Sequence[Segment],
    events: Sequence[LineageEvent],
    gates: Sequence[GateResult],
) -> int:
    """Write a newly aligned snapshot with its gates, and move the segment id counter; gives its id."""
    version = connection.scalar(
        sa.select(sa.func.coalesce(sa.func.max(_SNAPSHOT.c.version), 0) + 1).where(
            (_SNAPSHOT.c.segmentation == ledger.name) & (_SNAPSHOT.c.partition == candidate.partition)
        )
    )
    snapshot_id = connection.scalar(
        sa.insert(_SNAPSHOT)
        .values(
            segmentation=ledger.name,
            version=version,
            created_at=sa.func.clock_timestamp(),
            **{
                name: to_plain(value) if isinstance(value, dict) else value for name, value in asdict(candidate).items()
            },
        )
        .returning(_SNAPSHOT.c.snapshot_id)
    )
    assert snapshot_id is not None  # noqa: S101  an INSERT ... RETURNING gives a row or raises
    connection.execute(
        sa.update(schema.segmentation)
        .where(schema.segmentation.c.name == ledger.name)
        .values(next_segment_id=next_segment_id)
    )
    _insert(connection, schema.centroid, [{"snapshot_id": snapshot_id, **_row(each)} for each in centroids])
    _insert(
        connection,
        schema.segment,
        [{"segmentation": ledger.name, "born_snapshot_id": snapshot_id, **_row(each)} for each in new_segments],
    )
    _insert(connection, schema.lineage, [{"snapshot_id": snapshot_id, **_row(each)} for each in events])
    _insert(connection, schema.gate, [{"snapshot_id": snapshot_id, **_row(each)} for each in gates])
    return int(snapshot_id)


def name_segment(connection: sa.Connection, name: str, segment_id: int, *, text: str, description: str | None) -> bool:
    """Give a segment a person's name; False if there is no such segment."""
    values: dict[str, Any] = {"name": text, "name_source": "person"}
    if description is not None:
        values["description"] = description
    result = connection.execute(
        sa.update(schema.segment)
        .where((schema.segment.c.segmentation == name) & (schema.segment.c.segment_id == segment_id))
        .values(**values)
    )
    return result.rowcount == 1


def set_status(connection: sa.Connection, snapshot_id: int, status: Status) -> None:
    """Move a snapshot to another status."""
    values: dict[str, Any] = {"status": status}
    if status == "published":
        values["published_at"] = sa.func.clock_timestamp()
    connection.execute(sa.update(_SNAPSHOT).where(_SNAPSHOT.c.snapshot_id == snapshot_id).values(**values))


def set_current(connection: sa.Connection, name: str, snapshot_id: int) -> None:
    """Move the pointer to the snapshot whose segments the target shows."""
    connection.execute(
        sa.update(schema.segmentation).where(schema.segmentation.c.name == name).values(current_snapshot_id=snapshot_id)
    )


def failed_gates(connection: sa.Connection, snapshot_id: int) -> list[str]:
    """The messages of the blocking gates that failed."""
    gate = schema.gate
    rows = connection.execute(
        sa.select(gate.c.name, gate.c.message).where(
            (gate.c.snapshot_id == snapshot_id) & ~gate.c.passed & (gate.c.severity == "block")
        )
    )
    return [f"{row.name}: {row.message}" for row in rows]


def _one(connection: sa.Connection, where: sa.ColumnElement[bool], *order: sa.ColumnElement[Any]) -> Snapshot | None:
    row = connection.execute(sa.select(*_COLUMNS).where(where).order_by(*order).limit(1)).one_or_none()
    return Snapshot(**row._mapping) if row is not None else None


def _row(value: Centroid | Segment | LineageEvent | GateResult) -> dict[str, Any]:
    return {name: to_plain(each) for name, each in asdict(value).items()}


def _insert(connection: sa.Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        connection.execute(sa.insert(table), rows)
