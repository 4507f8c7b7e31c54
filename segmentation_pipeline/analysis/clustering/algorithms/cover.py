"""Clusters that are not balls, saved as labelled prototypes with a radius.

HDBSCAN and spectral clustering have no rule for new rows. So each cluster is covered by prototypes: fitted rows, each
chosen as the farthest from those before (Gonzalez 1985), which is within a factor of two of the best cover there is.
Every row, a fitted one too, takes the label of its nearest prototype. A customer beyond the radius is unassigned; the
radius is that of the cover plus the gap between neighbours that the cluster itself shows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from segmentation_pipeline.analysis.arrays.distances import squared_distances_to
from segmentation_pipeline.model import FittedModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

PROTOTYPES: Final = 2_000
PROTOTYPES_PER_CLUSTER: Final = 200
# The share of a cluster's members whose gap to their neighbours its radius allows for.
WITHIN: Final = 0.99


def cover_clusters(
    algorithm: str, sample: NDArray[np.float32], labels: NDArray[np.int64], *, n_neighbours: int
) -> FittedModel:
    """Return a model that covers the clusters of `sample`, shape (n, D), by prototypes.

    `labels` has shape (n,); rows with label -1 belong to no cluster. The radius allows for the distance of a member to
    its `n_neighbours`-th neighbour.
    """
    clusters = [int(label) for label in np.unique(labels) if label >= 0]
    most = min(PROTOTYPES_PER_CLUSTER, PROTOTYPES // len(clusters))
    centers, names, radii = [], [], []
    for name, label in enumerate(clusters):
        members = sample[labels == label].astype(np.float64)
        chosen, cover = _choose_farthest_first(members, most)
        centers.append(members[chosen])
        names += [name] * len(chosen)
        radii += [cover + _measure_gap(members, n_neighbours)] * len(chosen)
    return FittedModel(algorithm, np.concatenate(centers), tuple(names), radii=np.asarray(radii))


def _choose_farthest_first(members: NDArray[np.float64], most: int) -> tuple[list[int], float]:
    """Choose at most `most` rows, each the farthest from those before, starting from the most central one.

    Returns them with the distance of the farthest row that was not chosen.
    """
    first = int(squared_distances_to(members.mean(axis=0), members).argmin())
    chosen = [first]
    distance = squared_distances_to(members[first], members)
    while len(chosen) < most and distance.max() > 0:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, squared_distances_to(members[chosen[-1]], members))
    return chosen, float(np.sqrt(distance.max()))


def _measure_gap(members: NDArray[np.float64], n_neighbours: int) -> float:
    """Measure how far almost every member is from its `n_neighbours`-th neighbour within the cluster."""
    from sklearn.neighbors import NearestNeighbors

    n_neighbours = min(n_neighbours, len(members) - 1)
    if n_neighbours == 0:
        return 0.0
    distances, _ = NearestNeighbors(n_neighbors=n_neighbours).fit(members).kneighbors()
    return float(np.quantile(distances[:, -1], WITHIN))
