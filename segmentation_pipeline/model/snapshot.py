"""A snapshot, its segments and its centroids, as the registry keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from segmentation_pipeline.model.clustering import FittedModel
    from segmentation_pipeline.model.encoding import Encoding
    from segmentation_pipeline.model.identity import Through
    from segmentation_pipeline.model.json import Json
    from segmentation_pipeline.model.metrics import SnapshotMetrics

Status = Literal["candidate", "rejected", "waiting", "published", "declined", "superseded", "rolled_back"]
# what was published and not taken back: the target showed it, and people know its segments
SEEN: Final[tuple[Status, ...]] = ("published", "superseded")
EVER_PUBLISHED: Final[tuple[Status, ...]] = (*SEEN, "rolled_back")


@dataclass(frozen=True, slots=True)
class Centroid:
    """One prototype of a snapshot, for people and SQL: `ordinal` counts those of a segment.

    `center` has shape (D,), `radius` is in model space, `profile` in original units.
    """

    segment_id: int
    ordinal: int
    n_customers: int
    share: float
    radius: float
    center: tuple[float, ...]
    profile: Json


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment from its birth on; its id is never used for another one."""

    segment_id: int
    name: str
    name_source: Literal["automatic", "person"]
    description: str | None = None


@dataclass(frozen=True, slots=True)
class SnapshotHeader:
    """A snapshot without its model: which one it is, its status, its parent, and how many customers it has."""

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
    created_at: datetime

    @property
    def label(self) -> str:
        """The snapshot as messages name it."""
        return f"snapshot {self.snapshot_id} ({self.partition} v{self.version})"


@dataclass(frozen=True, slots=True)
class Snapshot(SnapshotHeader):
    """A snapshot with its figures, its encoding and its model, whose labels are segment ids."""

    metrics: SnapshotMetrics
    encoding: Encoding
    model: FittedModel


@dataclass(frozen=True, slots=True)
class EarlierSnapshot:
    """An earlier snapshot that may know today's clusters, the segments it may pass on, and their sizes then."""

    through: Through
    snapshot: Snapshot
    segment_ids: tuple[int, ...]
    sizes: Mapping[int, int]
