"""Spectral clustering: the graph of nearest neighbours cut into K parts of any shape."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Final

from segmentation_pipeline.analysis.clustering.algorithms.algorithm import Algorithm
from segmentation_pipeline.analysis.clustering.algorithms.cover import cover_clusters
from segmentation_pipeline.analysis.clustering.algorithms.hdbscan import MIN_SAMPLES
from segmentation_pipeline.analysis.clustering.algorithms.result import RawFit, sample_rows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from segmentation_pipeline.analysis.clustering.algorithms.algorithm import FitRequest

FIT_ROWS: Final = 10_000
GRAPH_NEIGHBOURS: Final = 10


def fit_graph(matrix: NDArray[np.float32], request: FitRequest) -> RawFit:
    """Divide the graph of nearest neighbours into k parts (von Luxburg 2007)."""
    from sklearn.cluster import SpectralClustering

    sample = sample_rows(matrix, FIT_ROWS, seed=request.seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Graph is not fully connected")  # separate clusters are what we look for
        labels = SpectralClustering(
            request.k,
            affinity="nearest_neighbors",
            n_neighbors=min(GRAPH_NEIGHBOURS, len(sample) - 1),
            assign_labels="cluster_qr",
            random_state=request.seed,
        ).fit_predict(sample)
    model = cover_clusters(SPECTRAL.name, sample, labels, n_neighbours=MIN_SAMPLES)
    return RawFit(model, n_iter=1, converged=True, won_by="graph", n_fitted=len(sample))


SPECTRAL: Final = Algorithm(name="spectral", fit=fit_graph, round_clusters=False, labels_by="radius")
