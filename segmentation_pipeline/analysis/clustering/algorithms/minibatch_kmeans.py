"""Mini-batch K-Means (Sculley 2010): K-Means without a copy of the matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from segmentation_pipeline.analysis.arrays.distances import inertia
from segmentation_pipeline.analysis.clustering.algorithms.algorithm import Algorithm
from segmentation_pipeline.analysis.clustering.algorithms.kmeans import MANY_ROWS
from segmentation_pipeline.analysis.clustering.algorithms.result import RawFit
from segmentation_pipeline.model import FittedModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from segmentation_pipeline.analysis.clustering.algorithms.algorithm import FitRequest

BATCH_ROWS: Final = 4_096
BATCH_MAX_ITER: Final = 100
# scikit-learn stops where a mean of the batches' inertia no longer falls, and weighs a batch in it by its share of all
# rows: of ten million rows, batches of four thousand would go on for hundreds of thousands.
BATCHES: Final = 200
LARGEST_BATCH: Final = 65_536
# k-means++ starts of mini-batch K-Means; each is a fit of its own.
BATCH_STARTS: Final = 3


def fit_in_batches(matrix: NDArray[np.float32], request: FitRequest) -> RawFit:
    """Fit mini-batch K-Means from a few k-means++ starts and the given ones; the lowest inertia over all rows wins.

    It makes no copy of the matrix, which may be a memory map. Above MANY_ROWS it starts only from the given centers, as
    K-Means does.
    """
    from sklearn.cluster import MiniBatchKMeans

    k, starts = request.k, request.select_starts(matrix.shape[1])
    candidates: list[tuple[str, str | NDArray[np.float32], int]] = []
    if not starts or len(matrix) <= MANY_ROWS:
        candidates.append(("k-means++", "k-means++", BATCH_STARTS))
    candidates += [(name, start.astype(np.float32), 1) for name, start in starts]
    size = min(max(BATCH_ROWS, len(matrix) // BATCHES), LARGEST_BATCH)
    fits = []
    for name, init, runs in candidates:
        estimator = MiniBatchKMeans(
            k, init=init, n_init=runs, batch_size=size, max_iter=BATCH_MAX_ITER, random_state=request.seed
        ).fit(matrix)
        centers = np.asarray(estimator.cluster_centers_, dtype=np.float64)
        fits.append((inertia(matrix, centers), name, centers, int(estimator.n_iter_)))
    _, name, centers, n_iter = min(fits, key=lambda fit: fit[0])
    model = FittedModel(MINIBATCH_KMEANS.name, centers, tuple(range(k)))
    return RawFit(model, n_iter, n_iter < BATCH_MAX_ITER, name, n_fitted=len(matrix))


MINIBATCH_KMEANS: Final = Algorithm(name="minibatch_kmeans", fit=fit_in_batches)
