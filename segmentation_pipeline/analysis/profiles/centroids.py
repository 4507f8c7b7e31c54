"""The prototypes of a snapshot as people and SQL see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from segmentation_pipeline.analysis.clustering.labelling import assign
from segmentation_pipeline.model import Centroid, FittedModel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from segmentation_pipeline.analysis.profiles.profile import SegmentProfile

# Of a segment with many prototypes these are shown. They are chosen farthest first, so the first ones cover it already.
MOST_SHOWN: Final = 24


def centroids_of(
    model: FittedModel,
    profiles: Mapping[int, SegmentProfile],
    matrix: NDArray[np.float32],
    segments: NDArray[np.int32],
) -> list[Centroid]:
    """One row per prototype, at most MOST_SHOWN per segment; `matrix` (n, D) and `segments` (n,) are the customers.

    A segment's customers are divided among its prototypes by the nearest, so that they add up to the segment; its
    profile stands at ordinal 0 and is empty at the others.
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
            parts = [_size_and_radius(nearest.distance[nearest.labels == each]) for each in shown.labels]
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


def _size_and_radius(distance: NDArray[np.float64]) -> tuple[int, float]:
    return len(distance), float(np.sqrt(np.mean(distance**2))) if len(distance) else 0.0
