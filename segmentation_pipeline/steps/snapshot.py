"""What a snapshot is made from, and the figures that are kept with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from segmentation_pipeline.analysis.clustering.algorithms.registry import ALGORITHMS
from segmentation_pipeline.analysis.profiles.centroids import describe_centroids
from segmentation_pipeline.analysis.profiles.outcomes import measure_outcome_effects
from segmentation_pipeline.analysis.quality.drift import describe_distributions
from segmentation_pipeline.analysis.quality.gates import GateInputs
from segmentation_pipeline.errors import AlignmentError
from segmentation_pipeline.model import SegmentMatch, SnapshotMetrics

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from segmentation_pipeline.analysis.identity.identify import Identity
    from segmentation_pipeline.model import Centroid, FitSummary, Period, Snapshot, SweepResult
    from segmentation_pipeline.spec import FeatureSpec
    from segmentation_pipeline.storage.artifacts.datasets import (
        EncodedFeatures,
        FinalFit,
        KSweep,
        RawExtract,
        ValidatedRows,
    )
    from segmentation_pipeline.storage.artifacts.rows import ParquetRows


@dataclass(frozen=True)
class AlignmentInputs:
    """The artifacts that a snapshot is made from, and what is read from them; the arrays have shape (n,)."""

    period: Period
    raw: RawExtract
    valid: ValidatedRows
    encoded: EncodedFeatures
    fitted: FinalFit
    rows: ParquetRows
    keys: pd.Series
    clusters: NDArray[np.int32]
    distance: NDArray[np.float64]
    features: tuple[FeatureSpec, ...]
    sweep: SweepResult
    summary: FitSummary


def read_inputs(
    *,
    raw: RawExtract,
    valid: ValidatedRows,
    encoded: EncodedFeatures,
    swept: KSweep,
    fitted: FinalFit,
    period: Period,
    key: str,
) -> AlignmentInputs:
    """Read the artifacts of a period; `key` is the name of the key's column.

    Raises:
        AlignmentError: the fit was made from other rows than the validated ones.
    """
    rows, labels = valid.rows, fitted.labels
    keys = rows[key]
    if not keys.equals(labels[key]):
        message = (
            f"final_fit of {period.partition} was made from other rows than the latest validated_rows; "
            "materialize encoded_features, k_sweep and final_fit again"
        )
        raise AlignmentError(message)
    return AlignmentInputs(
        period, raw, valid, encoded, fitted, rows, keys,
        clusters=labels["cluster"].to_numpy(dtype=np.int32),
        distance=labels["distance"].to_numpy(),
        features=valid.features,
        sweep=swept.sweep,
        summary=fitted.summary,
    )  # fmt: skip


def gather_gate_inputs(
    inputs: AlignmentInputs, found: Identity, parent: Snapshot | None, outcomes: list[str]
) -> GateInputs:
    """Return the numbers that the gates look at."""
    n_unassigned = inputs.summary.n_unassigned
    effects = measure_outcome_effects(
        inputs.rows, found.segments, outcomes, rng=np.random.default_rng(inputs.summary.seed)
    )
    return GateInputs(
        n_extracted=len(inputs.raw),
        n_assigned=len(inputs.keys) - n_unassigned,
        n_unassigned=n_unassigned,
        n_rejected=inputs.valid.n_rejected,
        segment_sizes={segment: profile.n_customers for segment, profile in found.profiles.items()},
        silhouette=float(inputs.summary.silhouette),
        structure=inputs.sweep.structure,
        round_clusters=ALGORITHMS[found.model.algorithm].round_clusters,
        outcomes=effects,
        parent_partition=parent.partition if parent is not None else None,
        parent_n_rows=parent.n_rows if parent is not None else None,
        matches=found.alignment.matches,
        n_shared=found.n_shared,
        n_moved=found.n_changed,
    )


def gather_metrics(inputs: AlignmentInputs, found: Identity, reasons: tuple[str, ...]) -> SnapshotMetrics:
    """Return the figures that are kept with a snapshot; raw cluster numbers stay out of the database (rule 2)."""
    # the sweep measured K-Means; of another algorithm only the silhouette is known
    swept = inputs.sweep.chosen if ALGORITHMS[found.model.algorithm].is_swept else None
    return SnapshotMetrics(
        silhouette=inputs.summary.silhouette,
        simplified_silhouette=swept.simplified_silhouette if swept is not None else None,
        davies_bouldin=swept.davies_bouldin if swept is not None else None,
        calinski_harabasz=swept.calinski_harabasz if swept is not None else None,
        inertia=inputs.summary.inertia,
        reason=inputs.sweep.reason,
        won_by=inputs.summary.won_by,
        notes=inputs.summary.notes,
        features=tuple(feature.model_dump() for feature in inputs.features),
        distributions=describe_distributions(inputs.rows, inputs.features),
        n_shared=found.n_shared,
        n_moved=found.n_changed,
        evidence=found.alignment.evidence,
        matches=tuple(
            SegmentMatch(match.segment_id, match.score, match.confidence, match.through)
            for match in found.alignment.matches
        ),
        transitions=found.transitions,
        drift=found.drift,
        reasons_to_wait=reasons,
    )


def describe_prototypes(inputs: AlignmentInputs, found: Identity) -> list[Centroid]:
    """Return the prototypes of the segments, for people and SQL."""
    return describe_centroids(found.model, found.profiles, inputs.encoded.matrix, found.segments)
