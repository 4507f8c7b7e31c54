"""Would other customers of the same kind, or another start, have given the same clusters?

Two questions for every K. A refit on a bootstrap sample answers the first: how well is each cluster found again (Hennig
2007, doi:10.1016/j.csda.2006.11.025)? Fits from single starts answer the second: do they end in the same partition? A K
where they do not has several optima, and which one is published is luck.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from segmentation_pipeline.analysis.clustering.seeding import init_from_seeds, seed_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from sklearn.cluster import KMeans

    Matrix = NDArray[np.floating[Any]]

# Hennig's reading of the mean Jaccard, also in the manual of R's fpc::clusterboot: below it a clustering dissolves
# under resampling.
UNSTABLE_BELOW: Final = 0.6
MAX_ROWS: Final = 1_500
_MAX_ITER: Final = 50
# a refit that still moves by a thousandth of the variance changes no Jaccard that matters
_TOLERANCE: Final = 1e-3


@dataclass(frozen=True, slots=True)
class Stability:
    """How stable the clusters of one K are: 1 is always the same.

    `jaccards` (K,) says how well each cluster is found again, as a mean over the samples; `agreement` is the mean
    adjusted Rand index of pairs of single-start fits.
    """

    jaccards: tuple[float, ...]
    agreement: float

    @property
    def jaccard(self) -> float:
        """The mean over the clusters."""
        return float(np.mean(self.jaccards))


@dataclass(frozen=True, slots=True)
class _Sample:
    """A bootstrap sample: which rows were drawn, their points, how often each was drawn, and the refits' seeds."""

    rows: NDArray[np.intp]
    points: NDArray[np.float64]
    weights: NDArray[np.float64]
    seeds: NDArray[np.intp]


def measure_stability(
    matrix: Matrix,
    ks: Sequence[int],
    *,
    rng: np.random.Generator,
    n_bootstraps: int = 15,
    n_seeds: int = 6,
    n_starts: int = 2,
    max_rows: int = MAX_ROWS,
) -> dict[int, Stability]:
    """Return the stability of K-Means on `matrix`, shape (n, D), for every K of `ks`.

    At most `max_rows` rows are looked at. All K share the `n_bootstraps` samples. The best of the `n_seeds` single
    starts is also the clustering with which the refits, each the better of `n_starts` starts, are compared. A cluster
    and its refit are compared on the rows that were drawn.

    Raises:
        ValueError: fewer than one bootstrap or start, fewer than two seeds, or a K that the distinct rows do not allow.
    """
    if n_bootstraps < 1 or n_starts < 1 or n_seeds < 2:
        given = f"n_bootstraps={n_bootstraps}, n_starts={n_starts}, n_seeds={n_seeds}"
        raise ValueError(f"{given}: at least 1, 1 and 2 are needed.")
    if len(matrix) > max_rows:
        matrix = matrix[np.sort(rng.choice(len(matrix), size=max_rows, replace=False))]
    points = np.ascontiguousarray(matrix, dtype=np.float64)
    n_distinct = len(np.unique(points, axis=0))
    if bad := [k for k in ks if not 2 <= k < n_distinct]:
        raise ValueError(f"K = {bad[0]} should be at least 2 and below the {n_distinct} distinct rows: change sweep.")
    draws = [
        np.bincount(rng.integers(len(points), size=len(points)), minlength=len(points)) for _ in range(n_bootstraps)
    ]
    drawn = [(np.flatnonzero(draw), draw[draw > 0].astype(np.float64)) for draw in draws]
    most = max(ks, default=2)
    singles = seed_rows(points, most, n_starts=n_seeds, rng=rng)
    samples = []
    for index, weights in drawn:
        rows = points[index]
        seeds = seed_rows(rows, most, n_starts=n_starts, rng=rng, weights=weights)
        samples.append(_Sample(index, rows, weights, seeds))
    return {k: _measure_one(points, k, singles, samples) for k in ks}


def _measure_one(points: NDArray[np.float64], k: int, seeds: NDArray[np.intp], samples: Sequence[_Sample]) -> Stability:
    singles = [_fit(points, k, seeds[start : start + 1]) for start in range(len(seeds))]
    labels = min(singles, key=lambda fit: float(fit.inertia_)).labels_
    pairs = combinations([fit.labels_ for fit in singles], 2)
    agreement = float(np.mean([adjusted_rand_index(one, other, k) for one, other in pairs]))
    scores = np.full((len(samples), k), np.nan)
    for position, sample in enumerate(samples):
        refit = _fit(sample.points, k, sample.seeds, weights=sample.weights)
        scores[position] = _find_best_jaccards(labels[sample.rows], refit.labels_, k)
    # a cluster of a few rows is missing from some samples, which say nothing about it
    seen = ~np.isnan(scores)
    jaccards = np.where(seen, scores, 0.0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    return Stability(tuple(jaccards.tolist()), agreement)


def _find_best_jaccards(labels: NDArray[np.int32], refitted: NDArray[np.int32], k: int) -> NDArray[np.float64]:
    """Return each cluster's Jaccard index with the refitted cluster most like it, shape (K,); nan for an empty one."""
    counts = _count_in_both(labels, refitted, k)
    sizes = counts.sum(axis=1)
    union = sizes[:, None] + counts.sum(axis=0)[None, :] - counts
    best: NDArray[np.float64] = np.divide(counts, union, out=np.zeros((k, k)), where=union > 0).max(axis=1)
    return np.where(sizes > 0, best, np.nan)


def adjusted_rand_index(labels: NDArray[np.integer[Any]], others: NDArray[np.integer[Any]], k: int) -> float:
    """Return how far two partitions of the same n rows into at most `k` clusters agree; 1 is the same, 0 chance.

    Hubert and Arabie 1985, doi:10.1007/BF01908075. scikit-learn's inspects the labels at such length that it took a
    fifth of the time of `measure_stability`.
    """
    counts = _count_in_both(labels, others, k)
    together = float((counts * (counts - 1)).sum())
    one, other = (float((sizes * (sizes - 1)).sum()) for sizes in (counts.sum(axis=1), counts.sum(axis=0)))
    n_pairs = len(labels) * (len(labels) - 1)
    expected, most = one * other / max(n_pairs, 1), (one + other) / 2
    return (together - expected) / (most - expected) if most != expected else 1.0


def _count_in_both(labels: NDArray[np.integer[Any]], others: NDArray[np.integer[Any]], k: int) -> NDArray[np.intp]:
    """Return how many rows have label i in the one partition and j in the other, shape (K, K)."""
    return np.bincount(labels.astype(np.intp) * k + others, minlength=k * k).reshape(k, k)


def _fit(
    points: NDArray[np.float64], k: int, seeds: NDArray[np.intp], *, weights: NDArray[np.float64] | None = None
) -> KMeans:
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        # a bootstrap sample may hold fewer distinct rows than K; the clusters it lacks then score as they should
        warnings.simplefilter("ignore", ConvergenceWarning)
        # nothing is drawn where the start is given
        estimator = KMeans(k, init=init_from_seeds(seeds), n_init=len(seeds), max_iter=_MAX_ITER, tol=_TOLERANCE)
        return estimator.fit(points, sample_weight=weights)
