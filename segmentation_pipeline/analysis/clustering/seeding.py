"""Seeds for every K at once: k-means++ adds one seed after the other, so the first k seeds serve K = k."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


def seed_rows(
    points: NDArray[np.floating[Any]],
    k: int,
    *,
    n_starts: int,
    rng: np.random.Generator,
    weights: NDArray[np.float64] | None = None,
) -> NDArray[np.intp]:
    """Return which rows of `points`, shape (n, D), greedy k-means++ takes as seeds: shape (n_starts, k), in order.

    The algorithm is that of Arthur and Vassilvitskii (2007) as implemented in scikit-learn. A row counts as often as
    its weight says. Where there are fewer than `k` distinct rows, the last seeds repeat.

    Raises:
        ValueError: fewer rows than `k`.
    """
    from sklearn.cluster import kmeans_plusplus

    wide = np.asarray(points, dtype=np.float64)  # scikit-learn would convert float32 again for every seed
    states = rng.integers(2**32, size=n_starts).tolist()
    seeds = [kmeans_plusplus(wide, k, sample_weight=weights, random_state=state)[1] for state in states]
    return np.asarray(seeds, dtype=np.intp)


def init_from_seeds(seeds: NDArray[np.intp]) -> Callable[..., NDArray[np.floating[Any]]]:
    """Return a callable for scikit-learn's `init`, with `n_init=len(seeds)`: each start takes its seeds' first rows.

    `seeds` are those of `seed_rows` for the same points and for at least as many clusters.
    """
    starts = iter(seeds)

    def init(points: NDArray[np.floating[Any]], n_clusters: int, random_state: object) -> NDArray[np.floating[Any]]:
        del random_state  # nothing is drawn
        centers: NDArray[np.floating[Any]] = points[next(starts)[:n_clusters]]
        return centers

    return init
