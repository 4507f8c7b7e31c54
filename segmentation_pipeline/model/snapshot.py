"""A snapshot, its segments and its centroids, as the registry keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from datetime import datetime

    from segmentation_pipeline.model.json import Json

Status = Literal["candidate", "rejected", "waiting", "published", "declined", "superseded", "rolled_back"]
# what was published and not taken back: the target showed it, and people know its segments
SEEN: Final[tuple[Status, ...]] = ("published", "superseded")
EVER_PUBLISHED: Final[tuple[Status, ...]] = (*SEEN, "rolled_back")


@dataclass(frozen=True, slots=True)
class Centroid:
    """One prototype of a snapshot, for people and SQL; `profile` is in original units."""

    segment_id: int
    ordinal: int
    n_customers: int
    share: float
    radius: float
    center: tuple[float, ...]
    profile: Json


@dataclass(frozen=True, slots=True)
class Segment:
    """One persona, for ever."""

    segment_id: int
    name: str
    name_source: Literal["automatic", "person"]
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One fitted and aligned model as the database knows it."""

    snapshot_id: int
    segmentation: str
    partition: str
    as_of: datetime
    version: int
    status: Status
    k: int
    n_rows: int
    n_assigned: int
    parent_snapshot_id: int | None
    run_id: str
    code_version: str
    metrics: Json
    encoding: Json
    model: Json
    created_at: datetime

    @property
    def label(self) -> str:
        """The snapshot as messages name it."""
        return f"snapshot {self.snapshot_id} ({self.partition} v{self.version})"

    @property
    def reasons_to_wait(self) -> tuple[str, ...]:
        """The reasons why a person must look at it before it is published."""
        return tuple(self.metrics.get("approval", ()))
