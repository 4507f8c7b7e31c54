"""K-medoids: a row belongs to the nearest of K customers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from segmentation_pipeline.analysis.arrays.distances import all_distances, squared_distances
from segmentation_pipeline.analysis.clustering.algorithms.algorithm import Algorithm
from segmentation_pipeline.analysis.clustering.algorithms.result import RawFit, sample_rows
from segmentation_pipeline.model import FittedModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from segmentation_pipeline.analysis.clustering.algorithms.algorithm import FitRequest

# FasterPAM holds all distances of its rows: 400 MB for these, and 1.6 GB for twice as many.
MEDOID_ROWS: Final = 10_000
MEDOID_MAX_ITER: Final = 100
# Swaps lead from any start to much the same loss, and each start takes seconds.
MEDOID_STARTS: Final = 3


def fit_medoids(matrix: NDArray[np.float32], request: FitRequest) -> RawFit:
    """Find the k rows with the least sum of Euclidean distances (not squared) of all rows to the nearest of them.

    FasterPAM (Schubert and Rousseeuw 2021) starts from a few k-means++ starts and the given ones, on a sample above
    MEDOID_ROWS rows. The medoids are customers, and a far customer pulls with its distance, not with its square.
    """
    import kmedoids as package
    from sklearn.cluster import kmeans_plusplus

    k = request.k
    sample = sample_rows(matrix, MEDOID_ROWS, seed=request.seed)
    distances = all_distances(sample)
    rng = np.random.default_rng(request.seed)
    inits = [
        ("k-means++", kmeans_plusplus(sample, k, random_state=int(rng.integers(2**32)))[1])
        for _ in range(min(request.n_init, MEDOID_STARTS))
    ]
    for name, start in request.select_starts(matrix.shape[1]):
        nearest = squared_distances(sample, start).argmin(axis=0)
        if len(set(nearest.tolist())) == k:
            inits.append((name, nearest))
    fits = []
    for name, init in inits:
        result = package.fasterpam(distances, init.astype(np.uint64), max_iter=MEDOID_MAX_ITER, n_cpu=1)
        fits.append((float(result.loss), name, np.asarray(result.medoids, dtype=np.int64), int(result.n_iter)))
    _, name, medoids, n_iter = min(fits, key=lambda fit: fit[0])
    model = FittedModel(KMEDOIDS.name, sample[medoids].astype(np.float64), tuple(range(k)))
    return RawFit(model, n_iter, n_iter < MEDOID_MAX_ITER, name, n_fitted=len(sample))


KMEDOIDS: Final = Algorithm(name="kmedoids", fit=fit_medoids)
