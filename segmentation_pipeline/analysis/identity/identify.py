"""One fit's clusters become segments: aligned with the past, profiled, and held against the parent."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from segmentation_pipeline.analysis.identity.matching import align, as_segments
from segmentation_pipeline.analysis.identity.transitions import transitions
from segmentation_pipeline.analysis.identity.witnesses import missing_columns, refer
from segmentation_pipeline.analysis.profiles.profile import SegmentProfile, profile_segments
from segmentation_pipeline.analysis.quality.drift import drift

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from segmentation_pipeline.analysis.arrays.rows import Rows
    from segmentation_pipeline.analysis.identity.evidence import Reference
    from segmentation_pipeline.model import Alignment, Drift, EarlierSnapshot, FittedModel, Json, Snapshot, Transition
    from segmentation_pipeline.spec import FeatureSpec

    # a past, and what gives the segments of its customers by key
    Remembered = tuple[EarlierSnapshot, Callable[[], pd.Series | None]]


@dataclass(frozen=True, slots=True)
class FittedCustomers:
    """A fit and its n customers: `rows` (n, c) with their `keys`, `clusters` and `distance` of shape (n,)."""

    rows: Rows
    keys: pd.Series
    clusters: NDArray[np.int32]
    distance: NDArray[np.float64]
    model: FittedModel
    features: Sequence[FeatureSpec]
    outcomes: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the clusters are: `segments`, shape (n,), -1 for the unassigned, and `model` labelled by segment ids."""

    alignment: Alignment
    segments: NDArray[np.int32]
    model: FittedModel
    profiles: Mapping[int, SegmentProfile]
    transitions: tuple[Transition, ...]
    drift: Drift | None

    @property
    def n_shared(self) -> int:
        """Customers who had a segment in the parent."""
        return sum(each.n_customers for each in self.transitions)

    @property
    def n_changed(self) -> int:
        """Those of them who are in another segment now, or in none."""
        return sum(each.n_customers for each in self.transitions if each.from_segment_id != each.to_segment_id)


def identify(
    fitted: FittedCustomers,
    pasts: Iterable[Remembered],
    *,
    parent: Snapshot | None,
    parent_profiles: Mapping[int, Json],
    next_segment_id: int,
    seen_before: Collection[int],
) -> Identity:
    """Align a fit with `pasts`, in order of precedence, each with what gives the segments of its customers by key.

    That is asked in a thread of its own while the past's model labels the rows. `pasts` is drawn from only as far as
    it is needed. `parent_profiles` are those of the parent's segments; `parent` is among the pasts where there is one.
    """
    of_parent: list[Reference] = []
    alignment = align(
        fitted.clusters,
        k=fitted.model.k,
        references=_references(fitted, pasts, of_parent),
        next_segment_id=next_segment_id,
        evidence=evidence_of(parent, fitted.rows),
        seen_before=seen_before,
    )
    segment_of = alignment.segment_of
    segments = as_segments(fitted.clusters, alignment)
    profiles = profile_segments(
        fitted.rows, segments, fitted.distance, features=fitted.features, outcomes=fitted.outcomes
    )
    reference = of_parent[0] if of_parent else None
    return Identity(
        alignment=alignment,
        segments=segments,
        model=replace(fitted.model, labels=tuple(segment_of[each] for each in fitted.model.labels)),
        profiles=profiles,
        transitions=_transitions(reference, segments),
        drift=_drift(fitted, profiles, parent, reference, parent_profiles),
    )


def evidence_of(parent: Snapshot | None, rows: Rows) -> str:
    """What the matching with the parent rests on, in a sentence."""
    if parent is None:
        return "no earlier snapshot is published: matched with other months where there are any, else new"
    if missing := missing_columns(parent, rows):
        return (
            f"the customers' segments in {parent.partition} alone: its encoding needs {', '.join(missing)}, which the "
            "source no longer has"
        )
    return (
        f"today's customers labelled by the encoding and centroids of {parent.partition}, the segments they were in "
        "then, and where the clusters lie"
    )


def _references(
    fitted: FittedCustomers, pasts: Iterable[Remembered], of_parent: list[Reference]
) -> Iterator[Reference]:
    """The pasts' opinions, made one by one; the parent's is kept, the others are let go once they are heard."""
    for past, history in pasts:
        reference = refer(past, fitted.rows, fitted.clusters, k=fitted.model.k, keys=fitted.keys, history=history)
        if past.through == "parent":
            of_parent.append(reference)
        yield reference


def _transitions(parent: Reference | None, segments: NDArray[np.int32]) -> tuple[Transition, ...]:
    if parent is None or parent.history is None:
        return ()
    return transitions(parent.history, segments, parent.labels)


def _drift(
    fitted: FittedCustomers,
    profiles: Mapping[int, SegmentProfile],
    parent: Snapshot | None,
    reference: Reference | None,
    parent_profiles: Mapping[int, Json],
) -> Drift | None:
    if parent is None or reference is None:
        return None
    return drift(
        parent.metrics.get("distributions", {}),
        fitted.rows,
        fitted.features,
        sizes_before=reference.sizes,
        sizes_now={segment: profile.n_customers for segment, profile in profiles.items()},
        profiles_before=parent_profiles,
        profiles_now={segment: profile.figures for segment, profile in profiles.items()},
    )
