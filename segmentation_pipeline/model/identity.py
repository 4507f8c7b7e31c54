"""Which segment a cluster is, and what happened to the segments."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from segmentation_pipeline.model.json import Json

Event = Literal["kept", "born", "retired", "returned", "split_from", "merged_into"]
# by which earlier snapshot a cluster was recognized: the parent, another version of the partition, a later one, or the
# last one that held a segment
Through = Literal["parent", "earlier_version", "later_snapshot", "retired"]


@dataclass(frozen=True, slots=True)
class Match:
    """Which segment a cluster is, by what score, and how sure that is.

    `confidence` is the part of the score that would be lost if this pair were not one: 0 where another matching is as
    good, 1 where there is none. The rivals are what the cluster would be then, and which cluster would be the segment.
    """

    cluster: int
    segment_id: int
    score: float
    through: Through | Literal["new"]
    confidence: float = 1.0
    rival_segment_id: int | None = None
    rival_cluster: int | None = None


@dataclass(frozen=True, slots=True)
class LineageEvent:
    """What happened to a segment in a snapshot."""

    segment_id: int
    event: Event
    other_segment_id: int | None = None
    evidence: float | None = None


@dataclass(frozen=True, slots=True)
class Alignment:
    """The clusters of one fit as segments."""

    matches: tuple[Match, ...]
    events: tuple[LineageEvent, ...]
    next_segment_id: int
    evidence: str

    @property
    def segment_of(self) -> dict[int, int]:
        """Cluster index to segment id."""
        return {match.cluster: match.segment_id for match in self.matches}

    def to_json(self) -> Json:
        """Give plain values for the artifact."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Transition:
    """Customers who were in one segment and are in another, or the same; `to_segment_id` None is unassigned.

    `n_moved` of them the parent's model too puts into another segment than before: they moved. For the others the new
    fit has put the border elsewhere. None: the parent's model cannot say.
    """

    from_segment_id: int
    to_segment_id: int | None
    n_customers: int
    n_moved: int | None
