"""What an earlier snapshot says of today's clusters: three witnesses, and one score for each cluster and segment.

- *The model*: the snapshot's saved encoding and prototypes label today's customers. It does not care that the scaler
  was refitted, and it is misled when everybody moves at once (a December, a price in pence).
- *The history*: the segments the same customers were in. It knows nothing of new customers, and it is misled where
  customers rightly move on together (everybody who bought once grows old).
- *The place*: how near a cluster lies to a segment's centroid in the snapshot's frame. It can say "none of these",
  which the nearest prototype never does, and it is misled by whatever moves the frame.

Each is an overlap between 0 and 1. They are averaged by what each is worth: how well it pairs clusters and segments one
to one (a witness that sees two clusters in one segment is weak), and the history also by the share of a cluster's
customers that it knows. The place only corrects and corroborates: it has a quarter of a vote, and where it sees a
cluster elsewhere and the customers are not the same either, there is no match however the nearest prototype votes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from segmentation_pipeline.model import UNASSIGNED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

# Of a segment split in four equal parts none is its heir; of one split in three, the largest is.
OVERLAP_FLOOR: Final = 0.25
PLACE_VOTE: Final = 0.25
# The customers are the same where a quarter of those the history knows come from the segment, and a quarter of the
# segment's are among them: a part that split off and a merger pass. Below a tenth of a cluster known, or five people,
# nobody can say.
SAME_CUSTOMERS: Final = 0.25
LEAST_KNOWN: Final = 0.1
LEAST_CUSTOMERS: Final = 5
# The overlap of two normals whose means are 3.3 standard deviations apart: a valley lies between them (two equal
# normals have one from 2 on; Ashman, Bird and Zepf 1994, doi:10.1086/117248, ask for 2 of a mixture's D, which is 2.8
# here).
ELSEWHERE: Final = 0.1

Through = Literal["parent", "earlier_version", "later_snapshot", "retired"]


@dataclass(frozen=True, slots=True)
class Reference:
    """An earlier snapshot's opinion on today's n rows and k clusters.

    `labels` and `history`, shape (n,), are segment ids by its model and by the customers' own past, -1 where there is
    no opinion; None where it has no such witness. `likeness`, shape (k, S), is the overlap by place with each segment
    of `everyone`. A reference passes on `segment_ids` only: a parent all of its own, a retired segment's snapshot just
    that one. `sizes` are the customers that each of its segments had then.
    """

    through: Through
    labels: NDArray[np.int32] | None
    segment_ids: tuple[int, ...]
    sizes: Mapping[int, int] = field(default_factory=dict)
    history: NDArray[np.int32] | None = None
    likeness: NDArray[np.float64] | None = None

    @property
    def everyone(self) -> tuple[int, ...]:
        """All segments of the snapshot: how well a witness tells them apart shows what it is worth."""
        return tuple(sorted({*self.segment_ids, *self.sizes}))


@dataclass(frozen=True, slots=True)
class Overlap:
    """Counts of customers, shape (clusters, segments), and the totals of both on the rows the witness knows."""

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


@dataclass(frozen=True, slots=True)
class MatchScores:
    """The score of each cluster and segment, shape (k, S), and the counts of the witness that is worth the most."""

    segment_ids: tuple[int, ...]
    score: NDArray[np.float64]
    witness: Overlap


def weigh(clusters: NDArray[np.int32], reference: Reference, *, k: int) -> MatchScores:
    """Combine what a reference says of `clusters`, shape (n,), labels 0..k-1 and -1 for the unassigned."""
    sizes = np.bincount(clusters[clusters >= 0], minlength=k)
    ids = reference.everyone
    total, weight = np.zeros((k, len(ids))), np.zeros((k, 1))
    confirmed = np.zeros(total.shape, dtype=np.bool_)
    witnesses: list[tuple[float, Overlap]] = []
    if reference.labels is not None:
        overlap = overlap_of(clusters, reference.labels, ids, k=k)
        worth = one_to_one(overlap.jaccard, sizes)
        total, weight = total + worth * overlap.jaccard, weight + worth
        witnesses.append((worth, overlap))
    if reference.history is not None:
        overlap = overlap_of(clusters, reference.history, ids, k=k)
        known = (overlap.cluster_sizes / np.maximum(sizes, 1))[:, None]
        worth = one_to_one(overlap.jaccard, sizes)
        total, weight = total + worth * known * overlap.jaccard, weight + worth * known
        confirmed = _same_customers(overlap) & (known >= LEAST_KNOWN)
        witnesses.append((worth * float(overlap.cluster_sizes.sum() / max(sizes.sum(), 1)), overlap))
    if reference.likeness is not None:
        worth = PLACE_VOTE * one_to_one(reference.likeness, sizes)
        total, weight = total + worth * reference.likeness, weight + worth
    score: NDArray[np.float64] = np.divide(total, weight, out=np.zeros(total.shape), where=weight > 0)
    if reference.likeness is not None:
        score[(reference.likeness < ELSEWHERE) & ~confirmed] = 0.0
    if not witnesses:
        nobody = np.full(len(clusters), UNASSIGNED, dtype=np.int32)
        witnesses = [(0.0, overlap_of(clusters, nobody, ids, k=k))]
    return MatchScores(ids, score, max(witnesses, key=lambda each: each[0])[1])


def _same_customers(overlap: Overlap) -> NDArray[np.bool_]:
    """Where cluster and segment share enough of the customers that the history knows, shape (k, S)."""
    same: NDArray[np.bool_] = (
        (overlap.counts >= SAME_CUSTOMERS * overlap.cluster_sizes[:, None])
        & (overlap.counts >= SAME_CUSTOMERS * overlap.segment_sizes[None, :])
        & (overlap.counts >= LEAST_CUSTOMERS)
    )
    return same


def overlap_of(
    clusters: NDArray[np.int32], labels: NDArray[np.int32], segment_ids: tuple[int, ...], *, k: int
) -> Overlap:
    """Count today's customers by (cluster, segment), on the rows whose cluster and label, both (n,), are known."""
    known = (clusters >= 0) & (labels != UNASSIGNED)
    rows, named = (clusters, labels) if known.all() else (clusters[known], labels[known])
    ids = np.asarray(sorted(segment_ids), dtype=np.int64)
    # one number a pair
    width = max(int(ids.max(initial=0)), int(named.max(initial=0))) + 1
    counts = np.bincount(rows.astype(np.intp) * width + named, minlength=k * width).reshape(k, width)[:, ids]
    return Overlap(
        clusters=tuple(range(k)),
        segment_ids=tuple(int(each) for each in ids),
        counts=counts,
        cluster_sizes=np.bincount(rows, minlength=k),
        segment_sizes=counts.sum(axis=0),
    )


def one_to_one(score: NDArray[np.float64], sizes: NDArray[np.int64]) -> float:
    """The mean score of the best one-to-one pairing of a (k, S) matrix, each cluster counted by its size (k,)."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(score, maximize=True)
    return float((score[rows, columns] * sizes[rows]).sum() / max(int(sizes.sum()), 1))
