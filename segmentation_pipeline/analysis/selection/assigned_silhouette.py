"""The silhouette of a fit that the sweep, which is K-Means', has no figures for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from segmentation_pipeline.analysis.selection.silhouette import EXACT_ROWS, silhouette_estimate, silhouette_samples

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Of these the estimate draws its sample.
MOST_ROWS: Final = 200_000


def silhouette_score(matrix: NDArray[np.float32], labels: NDArray[np.int64], *, seed: int) -> float:
    """The mean silhouette of the assigned rows of `matrix`, shape (n, D): exact up to EXACT_ROWS, else estimated."""
    rng = np.random.default_rng(seed)
    rows, names = matrix, labels
    if not (assigned := labels >= 0).all():
        picked = np.flatnonzero(assigned)
        if len(picked) > MOST_ROWS:  # a copy of all of them might not fit
            picked = np.sort(rng.choice(picked, MOST_ROWS, replace=False))
        rows, names = matrix[picked], labels[picked]
    rows = np.asarray(rows)
    if len(rows) <= EXACT_ROWS:
        return float(silhouette_samples(rows, [names])[0].mean())
    return float(silhouette_estimate(rows, names, rng=rng).mean)
