"""Customers as points on a plane, for a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Projection:
    """Points, shape (m, 2), the row of each point, shape (m,), and the share of variance by axis, shape (2,)."""

    points: NDArray[np.float64]
    rows: NDArray[np.int64]
    explained: NDArray[np.float64]


def project(matrix: NDArray[np.float32], *, max_points: int, seed: int) -> Projection:
    """Project at most `max_points` random rows of `matrix`, shape (n, D), onto its first two principal axes."""
    from sklearn.decomposition import PCA

    rows = np.arange(len(matrix))
    if len(rows) > max_points:
        rows = np.sort(np.random.default_rng(seed).choice(rows, max_points, replace=False))
    sample = np.asarray(matrix[rows], dtype=np.float64)
    points, explained = np.zeros((len(sample), 2)), np.zeros(2)
    if np.ptp(sample, axis=0).any():  # equal customers have no axes
        n_axes = min(2, *sample.shape)
        pca = PCA(n_components=n_axes, random_state=seed).fit(sample)
        points[:, :n_axes] = pca.transform(sample)
        explained[:n_axes] = pca.explained_variance_ratio_
    return Projection(points, rows, explained)
