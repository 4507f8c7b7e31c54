"""A person's decision about a snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime

Action = Literal["approve", "decline", "rollback"]


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person did to a snapshot, when and why."""

    snapshot_id: int
    action: Action
    who: str
    at: datetime
    reason: str | None
