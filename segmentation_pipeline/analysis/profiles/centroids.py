"""The prototypes of a snapshot in the form that people and SQL read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from segmentation_pipeline.analysis.clustering.labelling import assign
from segmentation_pipeline.model import Centroid, FittedModel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from segmentation_pipeline.analysis.profiles.profile import SegmentProfile

# So many prototypes of a segment are recorded. They are chosen farthest first, so the first ones cover it already.
MOST_SHOWN: Final = 24


def describe_centroids(
    model: FittedModel,
    profiles: Mapping[int, SegmentProfile],
    matrix: NDArray[np.float32],
    segments: NDArray[np.int32],
) -> list[Centroid]:
    """Return a row for each prototype, at most MOST_SHOWN of a segment; `matrix` (n, D), `segments` (n,).

    Each customer of a segment belongs to its nearest prototype, so that the prototypes' customers add up to the
    segment. The segment's profile stands at ordinal 0; the other ordinals have an empty one. The rows of a segment are
    measured together: the last bits of a radius depend on all of them.
    """
    names = np.asarray(model.labels)
    centroids = []
    for segment, profile in profiles.items():
        centers = model.centers[names == segment][:MOST_SHOWN]
        if len(centers) == 1:
            parts = [(profile.n_customers, profile.radius)]
        else:
            shown = FittedModel(model.algorithm, centers, tuple(range(len(centers))))
            nearest = assign(matrix[segments == segment], shown)
            parts = [_measure(nearest.distance[nearest.labels == label]) for label in shown.labels]
        centroids += [
            Centroid(
                segment_id=segment,
                ordinal=ordinal,
                n_customers=n_customers,
                share=profile.share * n_customers / profile.n_customers,
                radius=radius,
                center=tuple(float(value) for value in center),
                profile=profile.figures if ordinal == 0 else {},
            )
            for ordinal, (center, (n_customers, radius)) in enumerate(zip(centers, parts, strict=True))
        ]
    return centroids


def _measure(distance: NDArray[np.float64]) -> tuple[int, float]:
    """Return how many customers a prototype has and the root mean square of their distances, shape (m,)."""
    return len(distance), float(np.sqrt(np.mean(distance**2))) if len(distance) else 0.0
