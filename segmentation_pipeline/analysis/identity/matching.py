"""Which segment is this cluster? One-to-one matching of today's clusters with the segments published before.

References are read in order: the published version of the same partition if it has the same parent, the parent, other
versions of the partition, later published snapshots, retired segments. From the scores of each one (`evidence.py`) the
Hungarian method (Kuhn 1955; scipy's `linear_sum_assignment`) takes the one-to-one matching with the largest total, and
a floor keeps strangers apart. A cluster that no reference knows is born under a fresh id.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from segmentation_pipeline.analysis.identity.evidence import OVERLAP_FLOOR, MatchScores, Reference, weigh
from segmentation_pipeline.analysis.identity.lineage import trace_lineage
from segmentation_pipeline.model import UNASSIGNED, Alignment, Match

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from numpy.typing import NDArray

    from segmentation_pipeline.analysis.identity.overlap import ClusterSizes

# lower than any total of scores, so that a forbidden pair is taken only where no other is left
FORBIDDEN: Final = -1e6


def align(
    clusters: ClusterSizes,
    *,
    references: Iterable[Reference],
    next_segment_id: int,
    evidence: str,
    seen_before: Collection[int] = (),
) -> Alignment:
    """Give each of the k `clusters` of today a segment id.

    `references` come in order of precedence, at most one of them before the parent, and are drawn one by one: behind
    the parent only while there are clusters without a segment. `next_segment_id` is the first id that was never used;
    `seen_before` are the segments of all published snapshots before this one. The lineage compares with the reference
    of `through="parent"`.
    """
    order = clusters.order()  # new ids go out in this order
    k, sizes = len(order), clusters.sizes[order]
    found: dict[int, Match] = {}
    parent: tuple[Reference, MatchScores] | None = None
    for given in references:
        # from here on cluster i is the i-th largest: scikit-learn's numbering must not even matter for rounding
        reference = given.reorder(order)
        free = [cluster for cluster in range(k) if cluster not in found]
        taken = {match.segment_id for match in found.values()}
        if reference.through == "parent":
            parent = reference, weigh(reference, sizes)
            found |= _match(parent[1], free, taken, reference)
            continue
        if not free:
            break
        found |= _match(weigh(reference, sizes), free, taken, reference)
    for cluster in range(k):
        if cluster not in found:
            found[cluster] = Match(cluster, next_segment_id, 0.0, "new")
            next_segment_id += 1
    matches = tuple(found[cluster] for cluster in range(k))
    events = trace_lineage(matches, parent, sizes=sizes, seen_before=seen_before)
    named = sorted((_renumber(match, order) for match in matches), key=lambda match: match.cluster)
    return Alignment(tuple(named), tuple(events), next_segment_id, evidence)


def apply_alignment(clusters: NDArray[np.int32], alignment: Alignment) -> NDArray[np.int32]:
    """Return the segment id of each row's cluster, shape (n,); the unassigned (-1) stay so."""
    segment_of = alignment.segment_of
    names = np.asarray([segment_of[cluster] for cluster in range(len(segment_of))], dtype=np.int32)
    return np.where(clusters >= 0, names[clusters], UNASSIGNED)


def _renumber(match: Match, order: NDArray[np.int64]) -> Match:
    rival = int(order[match.rival_cluster]) if match.rival_cluster is not None else None
    return replace(match, cluster=int(order[match.cluster]), rival_cluster=rival)


def _match(scores: MatchScores, free: Sequence[int], taken: Collection[int], reference: Reference) -> dict[int, Match]:
    """Match the `free` clusters with those segments of a reference that are not `taken`; return matches by cluster."""
    open_ids = [segment for segment in reference.segment_ids if segment not in taken]
    if not free or not open_ids:
        return {}
    columns = [scores.segment_ids.index(segment) for segment in open_ids]
    score = scores.score[np.ix_(list(free), columns)]
    # a score below the floor matches nothing, so it must not tip the choice between two clusters either
    weights = np.where(score >= OVERLAP_FLOOR, score, 0.0)
    pairs = _pair(weights)
    total = sum(float(weights[row, column]) for row, column in pairs.items())
    matches = {}
    for row, column in pairs.items():
        if weights[row, column] < OVERLAP_FLOOR:
            continue
        without_pair = weights.copy()
        without_pair[row, column] = FORBIDDEN
        alternative = {i: j for i, j in _pair(without_pair).items() if without_pair[i, j] >= OVERLAP_FLOOR}
        loss = total - sum(float(without_pair[i, j]) for i, j in alternative.items())
        rival = next((i for i, j in alternative.items() if j == column), None)
        matches[free[row]] = Match(
            cluster=free[row],
            segment_id=open_ids[column],
            score=float(weights[row, column]),
            through=reference.through,
            confidence=min(1.0, max(0.0, loss / float(weights[row, column]))),
            rival_segment_id=open_ids[alternative[row]] if row in alternative else None,
            rival_cluster=free[rival] if rival is not None else None,
        )
    return matches


def _pair(weights: NDArray[np.float64]) -> dict[int, int]:
    """Return the one-to-one pairs of rows and columns with the largest total."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(weights, maximize=True)
    return {int(row): int(column) for row, column in zip(rows, columns, strict=True)}
