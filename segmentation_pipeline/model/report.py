"""What a report shows, as plain data: storage reads it, reporting draws it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from segmentation_pipeline.model import (
        Decision,
        Finding,
        GateResult,
        Json,
        LineageEvent,
        Snapshot,
        SnapshotHeader,
        SweepResult,
    )


@dataclass(frozen=True, slots=True)
class Provenance:
    """How a snapshot was made, in addition to what `Snapshot` has."""

    algorithm: str
    seed: int
    n_unassigned: int
    n_rejected: int
    library_versions: Mapping[str, str]
    data_version: str
    published_at: datetime | None


@dataclass(frozen=True, slots=True)
class ReportedSegment:
    """A segment of the snapshot; `share` is of the assigned customers, `born` the period that first had its id."""

    segment_id: int
    name: str
    name_source: str
    description: str | None
    n_customers: int
    share: float
    profile: Json
    born: str


@dataclass(frozen=True, slots=True)
class ReportedPeriod:
    """One period in the life of the segments: their sizes and shares by id, and what happened to them."""

    partition: str
    snapshot_id: int
    sizes: Mapping[int, int]
    shares: Mapping[int, float]
    events: tuple[LineageEvent, ...]


@dataclass(frozen=True, slots=True)
class SnapshotReport:
    """A snapshot with what the database has about it.

    `periods` are the published ones before it, in order, and its own as the last. `names` are those of every segment
    that the segmentation ever had.
    """

    snapshot: Snapshot
    making: Provenance
    parent: SnapshotHeader | None
    is_current: bool
    segments: tuple[ReportedSegment, ...]
    names: Mapping[int, str]
    periods: tuple[ReportedPeriod, ...]
    gates: tuple[GateResult, ...]
    decisions: tuple[Decision, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of thumb: customers who meet `condition` are taken for the segment; the share `right` of them is in it."""

    segment_id: int
    condition: str
    n_customers: int
    right: float

    @property
    def text(self) -> str:
        """The rule as one line."""
        return f"{self.condition} → segment {self.segment_id} ({self.right:.0%} of {self.n_customers:,})"

    def to_json(self) -> Json:
        """Return plain values that `from_json` can read, with the line for people."""
        return asdict(self) | {"text": self.text}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Rule:
        """Read what `to_json` wrote."""
        return cls(**{field.name: data[field.name] for field in fields(cls)})


@dataclass(frozen=True, slots=True)
class RunDetails:
    """What the artifacts of the run contain; None where one was removed, and `missing` names what is not there.

    `units` are the units of the features that have one, by column: "days ago".
    """

    sweep: SweepResult | None = None
    findings: tuple[Finding, ...] | None = None
    rules: tuple[Rule, ...] | None = None
    missing: tuple[str, ...] = ()
    units: Mapping[str, str] = field(default_factory=dict)
