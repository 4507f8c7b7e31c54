"""HDBSCAN and spectral clustering: shapes that are no balls, saved as labelled prototypes with a radius.

Neither has a rule for new rows. So each cluster is covered by prototypes, fitted rows chosen farthest first (Gonzalez
1985), which is within a factor two of the best cover there is; every row, fitted ones too, takes the label of its
nearest prototype. Beyond the radius, the cover's plus the gap between neighbours that the cluster itself shows, a
customer is unassigned.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Final

import numpy as np

from segmentation_pipeline.analysis.clustering.algorithms.result import RawFit, sample_rows
from segmentation_pipeline.errors import UnusableDataError
from segmentation_pipeline.model import FittedModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

SHAPE_ROWS: Final = 10_000
PROTOTYPES: Final = 2_000
PROTOTYPES_PER_CLUSTER: Final = 200
SPECTRAL_NEIGHBOURS: Final = 10
# The share of a cluster's members whose gap to their neighbours its radius allows for.
WITHIN: Final = 0.99
# A density group that is worth a segment.
SMALLEST_GROUP: Final = 0.05
# HDBSCAN's smoothing: scikit-learn's own default for both sizes; more of it closes narrow valleys.
MIN_SAMPLES: Final = 5


def min_cluster_size(n_rows: int) -> int:
    """HDBSCAN's smallest cluster: 5 % of the rows, at least 5, whatever K-Means chose.

    Where shapes are cut into pieces K is too large, and a size that shrinks with it finds pieces too.
    """
    return max(MIN_SAMPLES, round(n_rows * SMALLEST_GROUP))


def hdbscan(matrix: NDArray[np.float32], *, seed: int) -> RawFit:
    """HDBSCAN (Campello, Moulavi and Sander 2013): as many clusters as there are dense regions.

    Raises:
        UnusableDataError: it finds fewer than two.
    """
    from sklearn.cluster import HDBSCAN

    sample = sample_rows(matrix, SHAPE_ROWS, seed=seed)
    smallest = min_cluster_size(len(sample))  # as the diagnosis tried it before it named this algorithm
    labels = np.full(len(sample), -1)
    if len(sample) >= 2 * smallest:
        labels = HDBSCAN(min_cluster_size=smallest, min_samples=MIN_SAMPLES, copy=True).fit_predict(sample)
    if labels.max() < 1:
        message = (
            f"hdbscan finds no two dense groups of at least {smallest} in {len(sample):,} customers. Use kmeans, "
            "gaussian_mixture or kmedoids, which divide customers without gaps between them."
        )
        raise UnusableDataError(message)
    return RawFit(_covered("hdbscan", sample, labels), 1, converged=True, won_by="density", n_fitted=len(sample))


def spectral(matrix: NDArray[np.float32], k: int, *, seed: int) -> RawFit:
    """Spectral clustering (von Luxburg 2007) of the graph of nearest neighbours into `k` parts."""
    from sklearn.cluster import SpectralClustering

    sample = sample_rows(matrix, SHAPE_ROWS, seed=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Graph is not fully connected")  # clusters apart are what we look for
        labels = SpectralClustering(
            k,
            affinity="nearest_neighbors",
            n_neighbors=min(SPECTRAL_NEIGHBOURS, len(sample) - 1),
            assign_labels="cluster_qr",
            random_state=seed,
        ).fit_predict(sample)
    return RawFit(_covered("spectral", sample, labels), 1, converged=True, won_by="graph", n_fitted=len(sample))


def _covered(algorithm: str, sample: NDArray[np.float32], labels: NDArray[np.int64]) -> FittedModel:
    """The model of the labelled rows; those with label -1 are nobody's."""
    found = [int(label) for label in np.unique(labels) if label >= 0]
    most = min(PROTOTYPES_PER_CLUSTER, PROTOTYPES // len(found))
    centers, names, radii = [], [], []
    for name, label in enumerate(found):
        members = sample[labels == label].astype(np.float64)
        chosen, cover = _farthest_first(members, most)
        centers.append(members[chosen])
        names += [name] * len(chosen)
        radii += [cover + _gap(members)] * len(chosen)
    return FittedModel(algorithm, np.concatenate(centers), tuple(names), radii=np.asarray(radii))


def _farthest_first(members: NDArray[np.float64], most: int) -> tuple[list[int], float]:
    """At most `most` rows, each the farthest from those before, from the most central on; and how far the rest is."""
    first = int(np.square(members - members.mean(axis=0)).sum(axis=1).argmin())
    chosen = [first]
    distance = np.square(members - members[first]).sum(axis=1)
    while len(chosen) < most and distance.max() > 0:
        chosen.append(int(distance.argmax()))
        distance = np.minimum(distance, np.square(members - members[chosen[-1]]).sum(axis=1))
    return chosen, float(np.sqrt(distance.max()))


def _gap(members: NDArray[np.float64]) -> float:
    """How far almost every member is from its MIN_SAMPLES-th neighbour within the cluster."""
    from sklearn.neighbors import NearestNeighbors

    n_neighbors = min(MIN_SAMPLES, len(members) - 1)
    if n_neighbors == 0:
        return 0.0
    distances, _ = NearestNeighbors(n_neighbors=n_neighbors).fit(members).kneighbors()
    return float(np.quantile(distances[:, -1], WITHIN))
