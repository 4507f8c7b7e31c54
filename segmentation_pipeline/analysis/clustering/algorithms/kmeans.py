"""K-Means: a row belongs to the nearest of K means."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from segmentation_pipeline.analysis.arrays.distances import inertia
from segmentation_pipeline.analysis.clustering.algorithms.algorithm import Algorithm
from segmentation_pipeline.analysis.clustering.algorithms.result import RawFit
from segmentation_pipeline.analysis.clustering.distinct_rows import require_distinct_rows
from segmentation_pipeline.analysis.clustering.seeding import init_from_seeds
from segmentation_pipeline.model import FittedModel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from segmentation_pipeline.analysis.clustering.algorithms.algorithm import FitRequest

MAX_ITER: Final = 300
TOLERANCE: Final = 1e-4
# Twice the sweep's sample: on more rows, its centers are what many fresh starts would find.
MANY_ROWS: Final = 20_000


@dataclass(frozen=True, slots=True)
class KMeansFit:
    """A K-Means fit: centers (K, D) float64, inertia over all n rows, and which start won after how many iterations."""

    centers: NDArray[np.float64]
    inertia: float
    n_iter: int
    converged: bool
    won_by: str

    @property
    def k(self) -> int:
        """The number of clusters."""
        return len(self.centers)

    @property
    def model(self) -> FittedModel:
        """The fit as it is saved: cluster i is the nearest to row i of the centers."""
        return FittedModel(KMEANS.name, self.centers, labels=tuple(range(self.k)))


def fit_kmeans(
    matrix: NDArray[np.float32],
    k: int,
    *,
    n_init: int,
    seed: int,
    starts: Sequence[tuple[str, NDArray[np.float64]]] = (),
    seeds: NDArray[np.intp] | None = None,
    load_writable: Callable[[], NDArray[np.float32]] | None = None,
) -> KMeansFit:
    """Fit K-Means on `matrix`, shape (n, D), from k-means++ and the given named starts; the lowest inertia wins.

    `starts` are centers of shape (K, D), such as the sweep's; those of another shape are ignored. `n_init` counts the
    k-means++ starts (scikit-learn's `n_init="auto"` would be a single one); with 0 only the given starts are used.
    `seeds` are starts that `seed_rows` drew before for `matrix`. scikit-learn centres the rows in place, so it needs a
    writable matrix: `load_writable` returns one where that is cheaper than a copy of `matrix`.

    Raises:
        UnusableDataError: fewer distinct rows than K.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    require_distinct_rows(matrix, k)
    fits = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # reported as `converged`
        candidates: list[tuple[str, Any, int]] = []
        if n_init:
            candidates.append(("k-means++", "k-means++", n_init))
        if seeds is not None:
            candidates.append(("k-means++", init_from_seeds(seeds), len(seeds)))
        candidates += [
            (name, start.astype(np.float32), 1) for name, start in starts if start.shape == (k, matrix.shape[1])
        ]
        for name, init, runs in candidates:
            estimator = KMeans(
                k, init=init, n_init=runs, max_iter=MAX_ITER, tol=TOLERANCE, random_state=seed, copy_x=False
            )
            fits.append((name, estimator.fit(np.array(matrix) if load_writable is None else load_writable())))
    name, best = min(fits, key=lambda fit: float(fit[1].inertia_))
    centers = np.asarray(best.cluster_centers_, dtype=np.float64)
    return KMeansFit(
        centers=centers,
        inertia=inertia(matrix, centers),
        n_iter=int(best.n_iter_),
        converged=int(best.n_iter_) < MAX_ITER,
        won_by=name,
    )


def fit_all_rows(matrix: NDArray[np.float32], request: FitRequest) -> RawFit:
    """Fit K-Means on all rows.

    Above MANY_ROWS only from the given centers, if there are any: they are the best of many starts on a sample of as
    many rows, and ten fresh starts on a million rows cost twenty times as much for an inertia less than 0.1 % lower.
    """
    starts = request.select_starts(matrix.shape[1])
    fit = fit_kmeans(
        matrix,
        request.k,
        n_init=0 if starts and len(matrix) > MANY_ROWS else request.n_init,
        seed=request.seed,
        starts=starts,
        load_writable=request.load_writable,
    )
    return RawFit(fit.model, fit.n_iter, fit.converged, fit.won_by, n_fitted=len(matrix), inertia=fit.inertia)


# scikit-learn centres a copy of the matrix, which is float32.
KMEANS: Final = Algorithm(name="kmeans", fit=fit_all_rows, copy_bytes=4, is_swept=True)
