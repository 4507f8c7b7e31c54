"""Fitting K-Means."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from segmentation_pipeline.analysis.arrays.distances import inertia
from segmentation_pipeline.analysis.clustering.labelling import BLOCK_ROWS
from segmentation_pipeline.analysis.clustering.seeding import init_from_seeds
from segmentation_pipeline.errors import UnusableDataError
from segmentation_pipeline.model import FittedModel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

MAX_ITER: Final = 300
TOLERANCE: Final = 1e-4
# Counting distinct rows usually ends within this first block; each next block is twice as long.
FIRST_BLOCK_ROWS: Final = 1_024


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
        return FittedModel(algorithm="kmeans", centers=self.centers, labels=tuple(range(self.k)))


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


def require_distinct_rows(matrix: NDArray[np.float32], k: int) -> None:
    """Require at least `k` distinct rows in a matrix of shape (n, D).

    Raises:
        UnusableDataError: fewer; the message has both numbers.
    """
    n_distinct = count_distinct_rows(matrix, enough=k)
    if n_distinct < k:
        message = (
            f"n_distinct_rows={n_distinct} should be >= n_clusters={k}: {len(matrix):,} customers show only "
            f"{n_distinct} different combinations of the features. Lower sweep.k_max (or fit.k), or add features."
        )
        raise UnusableDataError(message)


def count_distinct_rows(matrix: NDArray[np.float32], *, enough: int) -> int:
    """Count distinct rows in blocks, the first ones small, and stop at `enough` of them."""
    seen: set[bytes] = set()
    start, size = 0, FIRST_BLOCK_ROWS
    while start < len(matrix) and len(seen) < enough:
        block = np.ascontiguousarray(matrix[start : start + size]) + np.float32(0)  # -0.0 becomes 0.0
        rows = block.view(np.dtype((np.void, block.dtype.itemsize * block.shape[1])))
        seen.update(row.tobytes() for row in np.unique(rows))
        start, size = start + size, min(2 * size, BLOCK_ROWS)
    return len(seen)
