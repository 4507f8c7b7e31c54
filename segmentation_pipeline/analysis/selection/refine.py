"""The fits of a range of K, each at least as good as what the K before it already knew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from segmentation_pipeline.analysis.clustering.algorithms.kmeans import KMeansFit, fit_kmeans
from segmentation_pipeline.analysis.clustering.labelling import assign

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def refine_fits(sample: NDArray[np.float32], fresh: Sequence[KMeansFit]) -> tuple[KMeansFit, ...]:
    """Return for each K the fit from fresh starts or that from the K before it and one more center: the lower inertia.

    `sample` (m, D) are the rows that were fitted, `fresh` the fits in ascending order of K. The finer K is then seldom
    in a worse optimum than the one which the coarser K already knew.
    """
    fits = [fresh[0]]
    for fit in fresh[1:]:
        before = fits[-1]
        fits.append(fit)
        if fit.k == before.k + 1:  # a fixed K may lie beyond the range
            start = f"the centers of K = {before.k} and one more", _add_center(sample, before)
            # nothing is drawn where the start is given
            finer = fit_kmeans(sample, fit.k, n_init=0, seed=0, starts=[start])
            fits[-1] = min(fit, finer, key=lambda candidate: candidate.inertia)
    return tuple(fits)


def _add_center(sample: NDArray[np.float32], fit: KMeansFit) -> NDArray[np.float64]:
    """Return the centers of a fit, shape (K + 1, D): the cluster of the largest inertia has two, on its widest axis."""
    assignment = assign(sample, fit.model)
    cost = np.bincount(assignment.labels, weights=assignment.distance**2, minlength=fit.k)
    widest = int(cost.argmax())
    rows = sample[assignment.labels == widest].astype(np.float64)
    way = rows - rows.mean(axis=0)
    axis = np.linalg.eigh(way.T @ way)[1][:, -1]
    step = axis * float(np.sqrt(np.mean((way @ axis) ** 2)))
    centers = np.vstack([fit.centers, fit.centers[widest] + step])
    centers[widest] -= step
    return centers
