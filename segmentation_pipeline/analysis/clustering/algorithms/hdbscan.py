"""HDBSCAN: clusters are dense regions of any shape, and rows between them belong to none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from segmentation_pipeline.analysis.clustering.algorithms.algorithm import Algorithm
from segmentation_pipeline.analysis.clustering.algorithms.cover import cover_clusters
from segmentation_pipeline.analysis.clustering.algorithms.gaussian_mixture import GAUSSIAN_MIXTURE
from segmentation_pipeline.analysis.clustering.algorithms.kmeans import KMEANS
from segmentation_pipeline.analysis.clustering.algorithms.kmedoids import KMEDOIDS
from segmentation_pipeline.analysis.clustering.algorithms.result import RawFit, sample_rows
from segmentation_pipeline.errors import UnusableDataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from segmentation_pipeline.analysis.clustering.algorithms.algorithm import FitRequest

FIT_ROWS: Final = 10_000
# The share of customers from which on a dense group is worth a segment.
SMALLEST_GROUP: Final = 0.05
# HDBSCAN's smoothing: scikit-learn's own default for both sizes; a higher value closes narrow valleys.
MIN_SAMPLES: Final = 5


def choose_min_cluster_size(n_rows: int) -> int:
    """Return HDBSCAN's smallest cluster: 5 % of the rows, at least 5, whatever K the sweep chose.

    Where K-Means cuts shapes into pieces, K is too large, and a size that shrinks with K would find pieces as well.
    """
    return max(MIN_SAMPLES, round(n_rows * SMALLEST_GROUP))


def fit_dense_regions(matrix: NDArray[np.float32], request: FitRequest) -> RawFit:
    """Fit HDBSCAN (Campello, Moulavi and Sander 2013), which finds as many clusters as there are dense regions.

    Raises:
        UnusableDataError: it finds fewer than two.
    """
    from sklearn import cluster

    sample = sample_rows(matrix, FIT_ROWS, seed=request.seed)
    smallest = choose_min_cluster_size(len(sample))  # as the diagnosis tried it before it named this algorithm
    labels = np.full(len(sample), -1)
    if len(sample) >= 2 * smallest:
        labels = cluster.HDBSCAN(min_cluster_size=smallest, min_samples=MIN_SAMPLES, copy=True).fit_predict(sample)
    if labels.max() < 1:
        message = (
            f"{HDBSCAN.name} finds no two dense groups of at least {smallest} in {len(sample):,} customers. Use "
            f"{KMEANS.name}, {GAUSSIAN_MIXTURE.name} or {KMEDOIDS.name}, which divide customers without gaps between "
            "them."
        )
        raise UnusableDataError(message)
    model = cover_clusters(HDBSCAN.name, sample, labels, n_neighbours=MIN_SAMPLES)
    return RawFit(model, n_iter=1, converged=True, won_by="density", n_fitted=len(sample))


HDBSCAN: Final = Algorithm(
    name="hdbscan", fit=fit_dense_regions, finds_own_k=True, round_clusters=False, labels_by="radius"
)
