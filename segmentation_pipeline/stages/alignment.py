"""Which segment is this cluster? Matching clusters with segments on the same customers and the same features.

A *reference* says, for today's rows, which segment each would be in by an earlier model. The overlap (Jaccard index) of
those labels with today's clusters is the evidence; the Hungarian method (Kuhn 1955; scipy's `linear_sum_assignment`)
finds the one-to-one matching with the largest total overlap, and a floor keeps strangers apart. References are asked in
order: the parent, an earlier version of the same partition, the next later published snapshot, retired segments. What
no reference knows is born under a fresh id.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from segmentation_pipeline.model import Alignment, LineageEvent, Match

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

# Of a segment split in four equal parts none is its heir; of one split in three, the largest is.
OVERLAP_FLOOR: Final = 0.25
# A share of a segment's customers that counts as a part of it, not as people who moved.
PART: Final = 0.25
UNASSIGNED: Final = -1


@dataclass(frozen=True, slots=True)
class Reference:
    """An earlier model's opinion on today's rows: `labels`, shape (n,), are segment ids, -1 where it has none.

    `segment_ids` are the segments it may pass on: a parent all of its own, a retired segment's snapshot only that one.
    `sizes` are the customers each segment had then.
    """

    through: Literal["parent", "earlier_version", "later_snapshot", "retired"]
    labels: NDArray[np.int64]
    segment_ids: tuple[int, ...]
    sizes: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Overlap:
    """Counts of customers, shape (clusters, segments), and the totals of both on the rows the reference knows."""

    clusters: tuple[int, ...]
    segment_ids: tuple[int, ...]
    counts: NDArray[np.int64]
    cluster_sizes: NDArray[np.int64]
    segment_sizes: NDArray[np.int64]

    @property
    def jaccard(self) -> NDArray[np.float64]:
        """Shape (clusters, segments): shared customers over customers of either."""
        union = self.cluster_sizes[:, None] + self.segment_sizes[None, :] - self.counts
        score: NDArray[np.float64] = np.divide(self.counts, union, out=np.zeros(self.counts.shape), where=union > 0)
        return score


def align(
    clusters: NDArray[np.int64], *, k: int, references: Sequence[Reference], next_segment_id: int, evidence: str
) -> Alignment:
    """Give each of the `k` clusters (labels 0..k-1, shape (n,); -1 is unassigned) a segment id.

    `references` come in order of precedence; `next_segment_id` is the first id never used. The lineage is told against
    the reference of `through="parent"`.
    """
    sizes = np.bincount(clusters[clusters >= 0], minlength=k)
    order = _by_size(clusters, sizes)
    matches: dict[int, Match] = {}
    for reference in references:
        taken = {match.segment_id for match in matches.values()}
        free = [cluster for cluster in order if cluster not in matches]
        open_ids = [segment for segment in reference.segment_ids if segment not in taken]
        if free and open_ids:
            overlap = overlap_of(clusters, reference, k=k)
            matches |= {match.cluster: match for match in _match(overlap, free, open_ids, reference.through)}
    for cluster in (each for each in order if each not in matches):
        matches[cluster] = Match(cluster, next_segment_id, 0.0, "new")
        next_segment_id += 1
    ordered = tuple(matches[cluster] for cluster in range(k))
    parent = next((reference for reference in references if reference.through == "parent"), None)
    events = _births_and_returns(ordered, parent)
    if parent is not None:
        overlap = overlap_of(clusters, parent, k=k)
        events += _splits(ordered, overlap, parent.sizes, sizes) + _retirements(ordered, overlap, parent.sizes)
    return Alignment(ordered, tuple(events), next_segment_id, evidence)


def _by_size(clusters: NDArray[np.int64], sizes: NDArray[np.int64]) -> list[int]:
    """The clusters from the largest, of equal ones that of the earlier row first.

    Ties between clusters are settled in this order, and new ids go out in it: scikit-learn's numbering must not matter.
    """
    found, rows = np.unique(clusters, return_index=True)
    first = dict(zip(found.tolist(), rows.tolist(), strict=True))
    return sorted(range(len(sizes)), key=lambda cluster: (-int(sizes[cluster]), first.get(cluster, len(clusters))))


def overlap_of(clusters: NDArray[np.int64], reference: Reference, *, k: int) -> Overlap:
    """Count today's customers by (cluster, segment of the reference), on the rows both have labelled."""
    ids = np.asarray(sorted(reference.segment_ids), dtype=np.int64)
    known = (clusters >= 0) & (reference.labels != UNASSIGNED)
    rows, labels = clusters[known], reference.labels[known]
    counts = np.zeros((k, len(ids)), dtype=np.int64)
    column = np.searchsorted(ids, labels)
    inside = (column < len(ids)) & (ids[np.minimum(column, len(ids) - 1)] == labels)
    np.add.at(counts, (rows[inside], column[inside]), 1)
    return Overlap(
        clusters=tuple(range(k)),
        segment_ids=tuple(int(each) for each in ids),
        counts=counts,
        cluster_sizes=np.bincount(rows, minlength=k),
        segment_sizes=counts.sum(axis=0),
    )


def _match(
    overlap: Overlap,
    free: Sequence[int],
    open_ids: Sequence[int],
    through: Literal["parent", "earlier_version", "later_snapshot", "retired"],
) -> list[Match]:
    from scipy.optimize import linear_sum_assignment

    columns = [overlap.segment_ids.index(segment) for segment in open_ids]
    scores = overlap.jaccard[np.ix_(list(free), columns)]
    matches = []
    # an overlap below the floor matches nothing, so it must not tip the choice between two clusters either
    worth = np.where(scores >= OVERLAP_FLOOR, scores, 0.0)
    for row, column in zip(*linear_sum_assignment(worth, maximize=True), strict=True):
        score = float(scores[row, column])
        if score < OVERLAP_FLOOR:
            continue
        others = np.delete(scores[row], column)
        second = int(others.argmax()) if others.size else None
        rest = [segment for index, segment in enumerate(open_ids) if index != column]
        matches.append(
            Match(
                cluster=free[row],
                segment_id=open_ids[column],
                overlap=score,
                through=through,
                runner_up=rest[second] if second is not None and others[second] > 0 else None,
                runner_up_overlap=float(others[second]) if second is not None else 0.0,
            )
        )
    return matches


def _births_and_returns(matches: Sequence[Match], parent: Reference | None) -> list[LineageEvent]:
    """Whether each of today's segments was kept, has returned or is born."""
    events = []
    for match in matches:
        if parent is not None and match.segment_id in parent.segment_ids:
            events.append(LineageEvent(match.segment_id, "kept", evidence=match.overlap))
        elif match.through == "retired":
            events.append(LineageEvent(match.segment_id, "returned", evidence=match.overlap))
        else:
            evidence = match.overlap if match.through != "new" else None
            events.append(LineageEvent(match.segment_id, "born", evidence=evidence))
    return events


def _splits(
    matches: Sequence[Match], parent: Overlap, before: Mapping[int, int], sizes: NDArray[np.int64]
) -> list[LineageEvent]:
    """The newborn segments that were a part of one of the parent's, and the part's share of it.

    New people who happen to be nearest to a segment are no split: the segment itself must have lost a part.
    """
    now = {match.segment_id: int(sizes[match.cluster]) for match in matches}
    events = []
    for match in matches:
        row = parent.counts[match.cluster]
        if match.segment_id in parent.segment_ids or match.through == "retired" or not row.any():
            continue
        column = int(row.argmax())
        origin = parent.segment_ids[column]
        share = float(row[column] / parent.segment_sizes[column])
        mostly_from_there = row[column] > parent.cluster_sizes[match.cluster] / 2
        shrunk = now.get(origin, 0) <= (1 - PART) * before.get(origin, int(parent.segment_sizes[column]))
        if mostly_from_there and share >= PART and shrunk:
            events.append(LineageEvent(match.segment_id, "split_from", origin, share))
    return events


def _retirements(matches: Sequence[Match], parent: Overlap, before: Mapping[int, int]) -> list[LineageEvent]:
    """The parent's segments that are gone, and where most of their customers went if they are still there."""
    segment_of = {match.cluster: match.segment_id for match in matches}
    events = []
    for column, segment in enumerate(parent.segment_ids):
        if segment in segment_of.values():
            continue
        events.append(LineageEvent(segment, "retired"))
        gone, total = parent.counts[:, column], int(parent.segment_sizes[column])
        # a season's customers who stay away did not merge into anything
        if total == 0 or total < before.get(segment, total) / 2:
            continue
        into = int(gone.argmax())
        if gone[into] > total / 2:
            events.append(LineageEvent(segment, "merged_into", segment_of[into], float(gone[into] / total)))
    return events
