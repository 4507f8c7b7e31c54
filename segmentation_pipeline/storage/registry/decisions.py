"""The decisions of people about snapshots, as they are kept: what was done, by whom, when and why.

Every function takes the connection of an open transaction. The rules of deciding are in `lifecycle/decide.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from segmentation_pipeline.model import Decision
from segmentation_pipeline.storage.registry import schema

if TYPE_CHECKING:
    from segmentation_pipeline.model.decision import Action
    from segmentation_pipeline.storage.registry.connection import Connection

_COLUMNS = [schema.decision.c[field] for field in Decision.__dataclass_fields__]


def record_decision(
    connection: Connection, snapshot_id: int, action: Action, *, who: str, reason: str | None
) -> Decision:
    """Write a decision with the present time, and return it."""
    row = connection.execute(
        sa.insert(schema.decision)
        .values(snapshot_id=snapshot_id, action=action, who=who, at=sa.func.clock_timestamp(), reason=reason)
        .returning(*_COLUMNS)
    ).one()
    return Decision(**row._mapping)


def list_decisions(connection: Connection, name: str) -> list[Decision]:
    """Return all decisions about the snapshots of a segmentation, in order of time."""
    snapshot = schema.snapshot.c
    return _read(
        connection,
        schema.decision.c.snapshot_id.in_(sa.select(snapshot.snapshot_id).where(snapshot.segmentation == name)),
    )


def list_decisions_about(connection: Connection, snapshot_id: int) -> list[Decision]:
    """Return the decisions about one snapshot, in order of time."""
    return _read(connection, schema.decision.c.snapshot_id == snapshot_id)


def find_approval(connection: Connection, snapshot_id: int) -> Decision | None:
    """Return the decision that approved a snapshot; None where nobody has approved it."""
    made = list_decisions_about(connection, snapshot_id)
    return next((decision for decision in made if decision.action == "approve"), None)


def _read(connection: Connection, where: sa.ColumnElement[bool]) -> list[Decision]:
    rows = connection.execute(sa.select(*_COLUMNS).where(where).order_by(schema.decision.c.decision_id))
    return [Decision(**row._mapping) for row in rows]
