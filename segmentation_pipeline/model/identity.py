"""The segments of a fit: which one each cluster is, what happened to them, and who moved."""

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
    """The segment that a cluster is, with the score of the pair and its confidence.

    `confidence` is the part of the score that would be lost without this pair: 0 where another matching is as good, 1
    where there is no other. `rival_segment_id` is the segment that the cluster would be in the other matching, and
    `rival_cluster` the cluster that would be the segment.
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
    """What happened to a segment in a snapshot; `evidence` is the score or the share of customers that shows it."""

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
        """The segment id of each cluster, by the number of the cluster."""
        return {match.cluster: match.segment_id for match in self.matches}

    def to_json(self) -> Json:
        """Return plain values for the artifact."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Transition:
    """Customers who were in one segment and are in another, or the same; `to_segment_id` None is unassigned.

    The parent's model too puts `n_moved` of them into another segment than before: these customers changed. For the
    others the new fit has another border. None where the parent's model cannot label today's customers.
    """

    from_segment_id: int
    to_segment_id: int | None
    n_customers: int
    n_moved: int | None
