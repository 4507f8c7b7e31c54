"""The clusters of one fit become segments: matched with earlier snapshots, profiled, and compared with the parent."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from segmentation_pipeline.analysis.arrays.rows import BLOCK_ROWS
from segmentation_pipeline.analysis.identity.matching import align, apply_alignment
from segmentation_pipeline.analysis.identity.overlap import ClusterSizes, count_clusters
from segmentation_pipeline.analysis.identity.transitions import list_transitions
from segmentation_pipeline.analysis.identity.witnesses import consult, find_missing_columns
from segmentation_pipeline.analysis.profiles.profile import SegmentProfile, profile_segments
from segmentation_pipeline.analysis.quality.drift import measure_drift

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from segmentation_pipeline.analysis.arrays.rows import Rows
    from segmentation_pipeline.analysis.identity.evidence import Reference
    from segmentation_pipeline.analysis.identity.witnesses import EarlierCustomers
    from segmentation_pipeline.model import Alignment, Drift, FittedModel, Json, Snapshot, Transition
    from segmentation_pipeline.spec import FeatureSpec


@dataclass(frozen=True, slots=True)
class FittedCustomers:
    """A fit and its n customers: `rows` (n, c), with `clusters` and `distance` of shape (n,)."""

    rows: Rows
    clusters: NDArray[np.int32]
    distance: NDArray[np.float64]
    model: FittedModel
    features: Sequence[FeatureSpec]
    outcomes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Identity:
    """The clusters as segments: `segments`, shape (n,), -1 for the unassigned, and `model` labelled by segment ids."""

    alignment: Alignment
    segments: NDArray[np.int32]
    model: FittedModel
    profiles: Mapping[int, SegmentProfile]
    transitions: tuple[Transition, ...]
    drift: Drift | None

    @property
    def n_shared(self) -> int:
        """Customers who had a segment in the parent."""
        return sum(transition.n_customers for transition in self.transitions)

    @property
    def n_changed(self) -> int:
        """Customers of `n_shared` who are in another segment now, or in none."""
        return sum(
            transition.n_customers
            for transition in self.transitions
            if transition.from_segment_id != transition.to_segment_id
        )


def identify(
    fitted: FittedCustomers,
    earlier: Iterable[EarlierCustomers],
    *,
    parent: Snapshot | None,
    parent_profiles: Mapping[int, Json],
    next_segment_id: int,
    seen_before: Collection[int],
) -> Identity:
    """Align a fit with the `earlier` snapshots, which come in order of precedence.

    They are drawn one by one, and only as far as they are needed. `parent` is among them where there is one;
    `parent_profiles` are the figures of its segments by segment id.
    """
    of_parent: list[Reference] = []
    alignment = align(
        _count_clusters(fitted.clusters, k=fitted.model.k),
        references=_consult_all(fitted, earlier, of_parent),
        next_segment_id=next_segment_id,
        evidence=describe_evidence(parent, fitted.rows),
        seen_before=seen_before,
    )
    segment_of = alignment.segment_of
    segments = apply_alignment(fitted.clusters, alignment)
    profiles = profile_segments(
        fitted.rows, segments, fitted.distance, features=fitted.features, outcomes=fitted.outcomes
    )
    reference = of_parent[0] if of_parent else None
    return Identity(
        alignment=alignment,
        segments=segments,
        model=replace(fitted.model, labels=tuple(segment_of[cluster] for cluster in fitted.model.labels)),
        profiles=profiles,
        transitions=list_transitions(reference.moves, segment_of) if reference and reference.moves else (),
        drift=_measure_drift(fitted, profiles, parent, reference, parent_profiles),
    )


def _count_clusters(clusters: NDArray[np.int32], *, k: int) -> ClusterSizes:
    """Count the customers of k clusters, shape (n,), block by block."""
    blocks = (
        count_clusters(clusters[start : start + BLOCK_ROWS], k=k, start=start)
        for start in range(0, len(clusters), BLOCK_ROWS)
    )
    return functools.reduce(ClusterSizes.merge, blocks, ClusterSizes.empty(k))


def describe_evidence(parent: Snapshot | None, rows: Rows) -> str:
    """Say in one sentence what the matching with the parent rests on."""
    if parent is None:
        return "no earlier snapshot is published: matched with other periods where there are any, else new"
    if missing := find_missing_columns(parent, rows):
        return (
            f"the customers' segments in {parent.partition} alone: its encoding needs {', '.join(missing)}, which the "
            "source no longer has"
        )
    return (
        f"today's customers labelled by the encoding and centroids of {parent.partition}, the segments they were in "
        "then, and where the clusters lie"
    )


def _consult_all(
    fitted: FittedCustomers, earlier: Iterable[EarlierCustomers], of_parent: list[Reference]
) -> Iterator[Reference]:
    """Yield the reference of each earlier snapshot; the parent's is put into `of_parent`."""
    for customers in earlier:
        reference = consult(customers, fitted.rows, fitted.clusters, k=fitted.model.k)
        if reference.through == "parent":
            of_parent.append(reference)
        yield reference


def _measure_drift(
    fitted: FittedCustomers,
    profiles: Mapping[int, SegmentProfile],
    parent: Snapshot | None,
    reference: Reference | None,
    parent_profiles: Mapping[int, Json],
) -> Drift | None:
    if parent is None or reference is None:
        return None
    return measure_drift(
        parent.metrics.distributions,
        fitted.rows,
        fitted.features,
        sizes_before=reference.sizes,
        sizes_now={segment: profile.n_customers for segment, profile in profiles.items()},
        profiles_before=parent_profiles,
        profiles_now={segment: profile.figures for segment, profile in profiles.items()},
    )
