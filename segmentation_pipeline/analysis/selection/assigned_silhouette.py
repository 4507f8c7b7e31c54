"""The silhouette of a fit of another algorithm than the sweep's, which is K-Means and measures only its own fits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from segmentation_pipeline.analysis.selection.silhouette import silhouette_samples
from segmentation_pipeline.analysis.selection.silhouette_estimate import EXACT_ROWS, estimate_silhouette

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The estimate draws its sample from at most this many rows.
MOST_ROWS: Final = 200_000


def silhouette_score(matrix: NDArray[np.float32], labels: NDArray[np.int64], *, seed: int) -> float:
    """Return the mean silhouette of the assigned rows of `matrix`, shape (n, D).

    `labels` (n,) are negative where a row is not assigned. The mean is exact up to EXACT_ROWS rows and estimated above.
    """
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
    return float(estimate_silhouette(rows, names, rng=rng).mean)
