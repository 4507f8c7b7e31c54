"""Alignments of a handful of customers, from the segment of each of them by the witnesses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from segmentation_pipeline.analysis.identity.evidence import Reference
from segmentation_pipeline.analysis.identity.matching import align
from segmentation_pipeline.analysis.identity.overlap import count_clusters, count_overlap
from segmentation_pipeline.model import UNASSIGNED, Alignment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    Pairs = Mapping[tuple[int, int], int]


def make_customers(pairs: Pairs) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return today's cluster and the witness' segment of each customer, from counts by (cluster, segment)."""
    clusters = [cluster for (cluster, _), count in pairs.items() for _ in range(count)]
    labels = [segment for (_, segment), count in pairs.items() for _ in range(count)]
    return np.array(clusters, dtype=np.int32), np.array(labels, dtype=np.int32)


@dataclass(frozen=True)
class Witness:
    """A reference before its customers are counted: the segment of each of today's rows by its model."""

    labels: NDArray[np.int32]
    through: Any
    ids: tuple[int, ...]
    sizes: Mapping[int, int] = field(default_factory=dict)
    likeness: NDArray[np.float64] | None = None

    def count(self, clusters: NDArray[np.int32], k: int) -> Reference:
        """Return the reference, with the overlap of clusters and labels."""
        everyone = tuple({*self.ids, *self.sizes})
        overlap = count_overlap(clusters, self.labels, everyone, k=k)
        return Reference(self.through, self.ids, self.sizes, by_model=overlap, likeness=self.likeness)


def make_witness(labels: NDArray[np.int32], through: Any = "parent", ids: Sequence[int] = (), **given: Any) -> Witness:
    """Make a witness of segments that are those of its labels, if no others are given."""
    known = ids or tuple(int(segment) for segment in np.unique(labels[labels != UNASSIGNED]))
    return Witness(labels, through, tuple(known), **given)


def align_rows(
    clusters: NDArray[np.int32],
    witnesses: Iterable[Witness],
    *,
    next_segment_id: int = 100,
    k: int | None = None,
    seen_before: Sequence[int] = (),
) -> Alignment:
    """Align today's clusters, shape (n,), with the witnesses in their order."""
    n_clusters = int(clusters.max()) + 1 if k is None else k
    return align(
        count_clusters(clusters, k=n_clusters),
        references=(witness.count(clusters, n_clusters) for witness in witnesses),
        next_segment_id=next_segment_id,
        evidence="a test",
        seen_before=seen_before,
    )


def align_with_parent(pairs: Pairs, **reference: Any) -> Alignment:
    """Align the customers of `pairs`, counts by (cluster, segment), with a parent."""
    clusters, labels = make_customers(pairs)
    return align_rows(clusters, [make_witness(labels, **reference)])


def collect_events(alignment: Alignment) -> set[tuple[int, str, int | None]]:
    """Return the segment, the event and the other segment of each event."""
    return {(event.segment_id, event.event, event.other_segment_id) for event in alignment.events}
