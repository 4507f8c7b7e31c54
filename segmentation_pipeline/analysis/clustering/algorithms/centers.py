"""K-Means, its mini-batch variant, and k-medoids: a cluster is what lies nearest to its center."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from segmentation_pipeline.analysis.arrays.distances import inertia
from segmentation_pipeline.analysis.clustering.algorithms.result import Fit, RawFit, sample_rows
from segmentation_pipeline.analysis.clustering.kmeans import fit_kmeans
from segmentation_pipeline.analysis.clustering.labelling import squared_distances
from segmentation_pipeline.model import FittedModel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Starts = Sequence[tuple[str, NDArray[np.float64]]]

# FasterPAM holds all distances of its rows: 400 MB for these, 1.6 GB would be for twice as many.
MEDOID_ROWS: Final = 10_000
MEDOID_MAX_ITER: Final = 100
# Swaps lead from any start to much the same loss, and each takes seconds.
MEDOID_STARTS: Final = 3
# Twice the sweep's sample: with more rows its centers are what many fresh starts would find.
MANY_ROWS: Final = 20_000
BATCH_ROWS: Final = 4_096
BATCH_MAX_ITER: Final = 100
# scikit-learn stops where a mean of the batches' inertia no longer falls, and weighs a batch in it by its share of all
# rows: of ten million rows, batches of four thousand would go on for hundreds of thousands.
BATCHES: Final = 200
LARGEST_BATCH: Final = 65_536
# k-means++ starts of mini-batch K-Means; each is a fit of its own.
BATCH_STARTS: Final = 3


def kmeans(
    matrix: NDArray[np.float32],
    k: int,
    *,
    n_init: int,
    seed: int,
    starts: Starts,
    load_writable: Callable[[], NDArray[np.float32]] | None = None,
) -> Fit:
    """K-Means on all rows, by `fit_kmeans`.

    Above MANY_ROWS only from the given centers, if there are any: they are the best of many starts on a sample of as
    many rows, and ten fresh starts on a million rows cost twenty times as much for an inertia less than 0.1 % lower.
    """
    usable = _fitting(starts, k, matrix.shape[1])
    fresh = 0 if usable and len(matrix) > MANY_ROWS else n_init
    fit = fit_kmeans(matrix, k, n_init=fresh, seed=seed, starts=usable, load_writable=load_writable)
    return Fit(fit.model, fit.inertia, fit.n_iter, fit.converged, fit.won_by, len(matrix))


def minibatch_kmeans(matrix: NDArray[np.float32], k: int, *, seed: int, starts: Starts) -> RawFit:
    """Mini-batch K-Means (Sculley 2010): the lowest inertia over all rows of a few starts and the given ones.

    It makes no copy of the matrix, which may be a memory map. Above MANY_ROWS only from the given centers, as `kmeans`.
    """
    from sklearn.cluster import MiniBatchKMeans

    usable = _fitting(starts, k, matrix.shape[1])
    candidates: list[tuple[str, str | NDArray[np.float32], int]] = []
    if not usable or len(matrix) <= MANY_ROWS:
        candidates.append(("k-means++", "k-means++", BATCH_STARTS))
    candidates += [(name, start.astype(np.float32), 1) for name, start in usable]
    size = min(max(BATCH_ROWS, len(matrix) // BATCHES), LARGEST_BATCH)
    fits = []
    for name, init, runs in candidates:
        estimator = MiniBatchKMeans(
            k, init=init, n_init=runs, batch_size=size, max_iter=BATCH_MAX_ITER, random_state=seed
        ).fit(matrix)
        centers = np.asarray(estimator.cluster_centers_, dtype=np.float64)
        fits.append((inertia(matrix, centers), name, centers, int(estimator.n_iter_)))
    _, name, centers, n_iter = min(fits, key=lambda each: each[0])
    model = FittedModel("minibatch_kmeans", centers, tuple(range(k)))
    return RawFit(model, n_iter, n_iter < BATCH_MAX_ITER, name, len(matrix))


def kmedoids(matrix: NDArray[np.float32], k: int, *, n_init: int, seed: int, starts: Starts) -> RawFit:
    """K-medoids: the k rows with the least sum of Euclidean distances (not squared) to everybody's nearest.

    FasterPAM (Schubert and Rousseeuw 2021) from a few k-means++ starts and the given ones, on a sample above
    MEDOID_ROWS rows. The medoids are customers, and a far one pulls with its distance, not with its square.
    """
    import kmedoids as package
    from sklearn.cluster import kmeans_plusplus
    from sklearn.metrics import pairwise_distances

    sample = sample_rows(matrix, MEDOID_ROWS, seed=seed)
    distances = np.asarray(pairwise_distances(sample), dtype=np.float32)
    rng = np.random.default_rng(seed)
    inits = [
        ("k-means++", kmeans_plusplus(sample, k, random_state=int(rng.integers(2**32)))[1])
        for _ in range(min(n_init, MEDOID_STARTS))
    ]
    for name, start in _fitting(starts, k, matrix.shape[1]):
        nearest = squared_distances(sample, start).argmin(axis=0)
        if len(set(nearest.tolist())) == k:
            inits.append((name, nearest))
    fits = []
    for name, medoids in inits:
        found = package.fasterpam(distances, medoids.astype(np.uint64), max_iter=MEDOID_MAX_ITER, n_cpu=1)
        fits.append((float(found.loss), name, np.asarray(found.medoids, dtype=np.int64), int(found.n_iter)))
    _, name, medoids, n_iter = min(fits, key=lambda each: each[0])
    model = FittedModel("kmedoids", sample[medoids].astype(np.float64), tuple(range(k)))
    return RawFit(model, n_iter, n_iter < MEDOID_MAX_ITER, name, len(sample))


def _fitting(starts: Starts, k: int, width: int) -> list[tuple[str, NDArray[np.float64]]]:
    return [(name, start) for name, start in starts if start.shape == (k, width)]
