"""What an earlier snapshot says about today's clusters: three witnesses, and one score for each cluster and segment.

- *The model*: the snapshot's saved encoding and prototypes label today's customers. A refitted scaler does not change
  it. It is misled when everybody moves at once (a December, a price in pence).
- *The history*: the segments that the same customers were in. It knows nothing about new customers. It is misled where
  many customers rightly move on together (everybody who bought once grows old).
- *The place*: how near a cluster lies to a segment's centroid in the snapshot's frame. It can say "none of these",
  which the nearest prototype never does. It is misled by whatever moves the frame.

Each witness is an overlap between 0 and 1. The score is their weighted mean. A witness weighs as much as it pairs
clusters and segments one to one (a witness that sees two clusters in one segment is weak); the history weighs less for
a cluster of which it knows only a share of the customers. The place only corrects and corroborates: it has a quarter of
a vote. Where it sees a cluster elsewhere, and the customers are not the same either, there is no match, whatever the
nearest prototype says.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from segmentation_pipeline.analysis.identity.overlap import Overlap

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from segmentation_pipeline.analysis.identity.transitions import Moves
    from segmentation_pipeline.model import Through

# A segment split into four equal parts has no heir; of one split into three, the largest part is the heir.
OVERLAP_FLOOR: Final = 0.25
PLACE_VOTE: Final = 0.25
# The customers are the same where a quarter of those that the history knows come from the segment, and a quarter of the
# segment's customers are among them: a part that split off passes, and a merger does. Where the history knows less than
# a tenth of a cluster, or fewer than five people, it proves nothing.
SAME_CUSTOMERS: Final = 0.25
LEAST_KNOWN: Final = 0.1
LEAST_CUSTOMERS: Final = 5
# The overlap of two normals whose means are 3.3 standard deviations apart: a valley lies between them. (Two equal
# normals have one from 2 on; Ashman, Bird and Zepf 1994, doi:10.1086/117248, ask for a D of 2, which is 2.8 here.)
ELSEWHERE: Final = 0.1


@dataclass(frozen=True, slots=True)
class Reference:
    """An earlier snapshot's opinion on today's k clusters.

    `by_model` counts today's customers by cluster and by their segment by the snapshot's model, `by_history` by the
    segment that they were in; None where it has no such witness. `likeness`, shape (k, S), is the overlap by place with
    each segment of `all_segment_ids`, None where these have no place. A reference passes on `segment_ids` only: a
    parent all of its segments, the snapshot of a retired segment only that one. `sizes` are the customers that each of
    its segments had then. `moves`, of the parent alone, say who changed segment.
    """

    through: Through
    segment_ids: tuple[int, ...]
    sizes: Mapping[int, int] = field(default_factory=dict)
    by_model: Overlap | None = None
    by_history: Overlap | None = None
    likeness: NDArray[np.float64] | None = None
    moves: Moves | None = None

    @property
    def all_segment_ids(self) -> tuple[int, ...]:
        """All segments of the snapshot: how well a witness separates them shows its weight."""
        return tuple(sorted({*self.segment_ids, *self.sizes}))

    def reorder(self, order: NDArray[np.int64]) -> Reference:
        """Return the clusters in another `order`, shape (k,)."""
        return replace(
            self,
            by_model=self.by_model.reorder(order) if self.by_model is not None else None,
            by_history=self.by_history.reorder(order) if self.by_history is not None else None,
            likeness=self.likeness[order] if self.likeness is not None else None,
        )


@dataclass(frozen=True, slots=True)
class MatchScores:
    """The score of each cluster and segment, shape (k, S), and the counts of the witness that weighs the most."""

    segment_ids: tuple[int, ...]
    score: NDArray[np.float64]
    witness: Overlap


def weigh(reference: Reference, sizes: NDArray[np.int64]) -> MatchScores:
    """Combine what a reference says about today's clusters, which have `sizes`, shape (k,)."""
    k, ids = len(sizes), reference.all_segment_ids
    total, weight = np.zeros((k, len(ids))), np.zeros((k, 1))
    confirmed = np.zeros(total.shape, dtype=np.bool_)
    witnesses: list[tuple[float, Overlap]] = []
    if reference.by_model is not None:
        overlap = reference.by_model
        vote = score_pairing(overlap.jaccard, sizes)
        total, weight = total + vote * overlap.jaccard, weight + vote
        witnesses.append((vote, overlap))
    if reference.by_history is not None:
        overlap = reference.by_history
        known = (overlap.cluster_sizes / np.maximum(sizes, 1))[:, None]
        vote = score_pairing(overlap.jaccard, sizes)
        total, weight = total + vote * known * overlap.jaccard, weight + vote * known
        confirmed = _find_same_customers(overlap) & (known >= LEAST_KNOWN)
        witnesses.append((vote * float(overlap.cluster_sizes.sum() / max(sizes.sum(), 1)), overlap))
    if reference.likeness is not None:
        vote = PLACE_VOTE * score_pairing(reference.likeness, sizes)
        total, weight = total + vote * reference.likeness, weight + vote
    score: NDArray[np.float64] = np.divide(total, weight, out=np.zeros(total.shape), where=weight > 0)
    if reference.likeness is not None:
        score[(reference.likeness < ELSEWHERE) & ~confirmed] = 0.0
    if not witnesses:
        witnesses = [(0.0, Overlap.empty(ids, k=k))]
    return MatchScores(ids, score, max(witnesses, key=lambda witness: witness[0])[1])


def _find_same_customers(overlap: Overlap) -> NDArray[np.bool_]:
    """Return where cluster and segment share enough of the customers that the history knows, shape (k, S)."""
    same: NDArray[np.bool_] = (
        (overlap.counts >= SAME_CUSTOMERS * overlap.cluster_sizes[:, None])
        & (overlap.counts >= SAME_CUSTOMERS * overlap.segment_sizes[None, :])
        & (overlap.counts >= LEAST_CUSTOMERS)
    )
    return same


def score_pairing(score: NDArray[np.float64], sizes: NDArray[np.int64]) -> float:
    """Return the mean score of the best one-to-one pairing of a (k, S) matrix, clusters weighted by sizes (k,)."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(score, maximize=True)
    return float((score[rows, columns] * sizes[rows]).sum() / max(int(sizes.sum()), 1))
