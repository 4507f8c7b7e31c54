"""Segmentations and their snapshots in the `segmentation` schema.

Every function takes the connection of an open transaction. A transaction that aligns, publishes or decides takes the
segmentation's lock first, with `lock`, so that it is the only one.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from segmentation_pipeline.errors import ConfigurationError
from segmentation_pipeline.model import Encoding, FittedModel, GateResult, Snapshot, SnapshotHeader, SnapshotMetrics
from segmentation_pipeline.model.json import to_plain
from segmentation_pipeline.model.snapshot import EVER_PUBLISHED
from segmentation_pipeline.storage.registry import schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from segmentation_pipeline.model import Centroid, KeyType, LineageEvent, Segment, Status
    from segmentation_pipeline.storage.registry.connection import Connection

_SNAPSHOT = schema.snapshot
_HEADER = [_SNAPSHOT.c[name] for name in SnapshotHeader.__dataclass_fields__]
_ALL = [_SNAPSHOT.c[name] for name in Snapshot.__dataclass_fields__]


@dataclass(frozen=True, slots=True)
class Ledger:
    """The locked row of one segmentation."""

    name: str
    current_snapshot_id: int | None
    next_segment_id: int
    key_type: KeyType
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
    metrics: SnapshotMetrics
    encoding: Encoding
    model: FittedModel
    library_versions: Mapping[str, str]
    code_version: str
    data_version: str


def register(connection: Connection, name: str, *, key_name: str, key_type: KeyType) -> None:
    """Record a segmentation on its first use.

    Raises:
        ConfigurationError: it is recorded with another key.
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
            f"{name} has the key {row.key_name} ({row.key_type}), and the source now returns {key_name} ({key_type}). "
            "Cast the key in the query, or use another name for the new segmentation."
        )
        raise ConfigurationError(message)


def lock(connection: Connection, name: str) -> Ledger | None:
    """Lock the segmentation until the transaction ends, and return its row; None if it was never run."""
    row = connection.execute(
        sa.select(*[schema.segmentation.c[field] for field in Ledger.__dataclass_fields__])
        .where(schema.segmentation.c.name == name)
        .with_for_update()
    ).one_or_none()
    return Ledger(**row._mapping) if row is not None else None


def find_header(connection: Connection, snapshot_id: int) -> SnapshotHeader | None:
    """Return the header of one snapshot; None if there is none with that id."""
    row = connection.execute(sa.select(*_HEADER).where(_SNAPSHOT.c.snapshot_id == snapshot_id)).one_or_none()
    return SnapshotHeader(**row._mapping) if row is not None else None


def find_snapshot(connection: Connection, snapshot_id: int) -> Snapshot | None:
    """Return one snapshot with its model; None if there is none with that id."""
    return _find(connection, _SNAPSHOT.c.snapshot_id == snapshot_id)


def list_snapshots(connection: Connection, name: str) -> list[SnapshotHeader]:
    """Return the headers of all snapshots of a segmentation, by (as_of, version)."""
    rows = connection.execute(
        sa.select(*_HEADER).where(_SNAPSHOT.c.segmentation == name).order_by(_SNAPSHOT.c.as_of, _SNAPSHOT.c.version)
    )
    return [SnapshotHeader(**row._mapping) for row in rows]


def list_waiting(connection: Connection, name: str) -> list[Snapshot]:
    """Return the snapshots that wait for a person, the earliest first."""
    rows = connection.execute(
        sa.select(*_ALL)
        .where((_SNAPSHOT.c.segmentation == name) & (_SNAPSHOT.c.status == "waiting"))
        .order_by(_SNAPSHOT.c.as_of, _SNAPSHOT.c.version)
    )
    return [_decode(row) for row in rows]


def list_versions(connection: Connection, name: str, partition: str) -> list[SnapshotHeader]:
    """Return the headers of a partition's snapshots, the published one first, then the newest (rule 8)."""
    rows = connection.execute(
        sa.select(*_HEADER)
        .where((_SNAPSHOT.c.segmentation == name) & (_SNAPSHOT.c.partition == partition))
        .order_by((_SNAPSHOT.c.status == "published").desc(), _SNAPSHOT.c.version.desc())
    )
    return [SnapshotHeader(**row._mapping) for row in rows]


def find_parent(connection: Connection, name: str, as_of: datetime) -> Snapshot | None:
    """Return the latest published snapshot with an earlier `as_of` (rule 1)."""
    return _find(
        connection,
        (_SNAPSHOT.c.segmentation == name) & (_SNAPSHOT.c.status == "published") & (_SNAPSHOT.c.as_of < as_of),
        _SNAPSHOT.c.as_of.desc(),
    )


def was_ever_accepted(connection: Connection, name: str) -> bool:
    """Return whether a snapshot was ever published or shown to a person for a decision."""
    accepted = ("waiting", "declined", *EVER_PUBLISHED)
    where = (_SNAPSHOT.c.segmentation == name) & _SNAPSHOT.c.status.in_(accepted)
    return connection.scalar(sa.select(sa.exists().where(where))) is True


def find_by_run(connection: Connection, name: str, run_id: str) -> Snapshot | None:
    """Return the snapshot that a run recorded last; None if it recorded none."""
    return _find(
        connection,
        (_SNAPSHOT.c.segmentation == name) & (_SNAPSHOT.c.run_id == run_id),
        _SNAPSHOT.c.snapshot_id.desc(),
    )


def record(
    connection: Connection,
    ledger: Ledger,
    new: NewSnapshot,
    *,
    next_segment_id: int,
    centroids: Sequence[Centroid],
    new_segments: Sequence[Segment],
    events: Sequence[LineageEvent],
    gates: Sequence[GateResult],
) -> int:
    """Write a newly aligned snapshot with its gates, move the segment id counter, and return the snapshot's id."""
    version = connection.scalar(
        sa.select(sa.func.coalesce(sa.func.max(_SNAPSHOT.c.version), 0) + 1).where(
            (_SNAPSHOT.c.segmentation == ledger.name) & (_SNAPSHOT.c.partition == new.partition)
        )
    )
    documents = {
        "metrics": to_plain(new.metrics.to_json()),
        "encoding": to_plain(new.encoding.to_json()),
        "model": to_plain(new.model.to_json()),
    }
    columns = {name: getattr(new, name) for name in NewSnapshot.__dataclass_fields__}
    snapshot_id = connection.scalar(
        sa.insert(_SNAPSHOT)
        .values(
            **{**columns, **documents},
            segmentation=ledger.name,
            version=version,
            created_at=sa.func.clock_timestamp(),
        )
        .returning(_SNAPSHOT.c.snapshot_id)
    )
    assert snapshot_id is not None  # noqa: S101  an INSERT ... RETURNING returns a row or raises
    connection.execute(
        sa.update(schema.segmentation)
        .where(schema.segmentation.c.name == ledger.name)
        .values(next_segment_id=next_segment_id)
    )
    _insert(connection, schema.centroid, [{"snapshot_id": snapshot_id, **_row(centroid)} for centroid in centroids])
    _insert(
        connection,
        schema.segment,
        [{"segmentation": ledger.name, "born_snapshot_id": snapshot_id, **_row(segment)} for segment in new_segments],
    )
    _insert(connection, schema.lineage, [{"snapshot_id": snapshot_id, **_row(event)} for event in events])
    _insert(connection, schema.gate, [{"snapshot_id": snapshot_id, **_row(gate)} for gate in gates])
    return int(snapshot_id)


def set_status(connection: Connection, snapshot_id: int, status: Status) -> None:
    """Move a snapshot to another status."""
    values: dict[str, Any] = {"status": status}
    if status == "published":
        values["published_at"] = sa.func.clock_timestamp()
    connection.execute(sa.update(_SNAPSHOT).where(_SNAPSHOT.c.snapshot_id == snapshot_id).values(**values))


def set_current(connection: Connection, name: str, snapshot_id: int) -> None:
    """Move the pointer to the snapshot whose segments the target shows."""
    connection.execute(
        sa.update(schema.segmentation).where(schema.segmentation.c.name == name).values(current_snapshot_id=snapshot_id)
    )


def read_gates(connection: Connection, snapshot_id: int) -> tuple[GateResult, ...]:
    """Return the outcome of every gate of a snapshot, by name."""
    gate = schema.gate.c
    rows = connection.execute(
        sa.select(*[gate[field] for field in GateResult.__dataclass_fields__])
        .where(gate.snapshot_id == snapshot_id)
        .order_by(gate.name)
    )
    return tuple(GateResult(**row._mapping) for row in rows)


def _find(connection: Connection, where: sa.ColumnElement[bool], *order: sa.ColumnElement[Any]) -> Snapshot | None:
    row = connection.execute(sa.select(*_ALL).where(where).order_by(*order).limit(1)).one_or_none()
    return _decode(row) if row is not None else None


def _decode(row: sa.Row[Any]) -> Snapshot:
    """Return the snapshot of a row; its JSON is decoded here and nowhere else."""
    return Snapshot(
        **{
            **row._mapping,
            "metrics": SnapshotMetrics.from_json(row.metrics),
            "encoding": Encoding.from_json(row.encoding),
            "model": FittedModel.from_json(row.model),
        }
    )


def _row(value: Centroid | Segment | LineageEvent | GateResult) -> dict[str, Any]:
    return {name: to_plain(field) for name, field in asdict(value).items()}


def _insert(connection: Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    if rows:
        connection.execute(sa.insert(table), rows)
