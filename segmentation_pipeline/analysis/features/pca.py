"""Principal components of the encoded features, fitted by scikit-learn and saved as plain numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from segmentation_pipeline.errors import UnusableDataError
from segmentation_pipeline.model import PrincipalAxes

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK_ROWS: Final = 16_384


def fit_axes(encoded: NDArray[np.float64], *, share: float) -> PrincipalAxes:
    """Fit the fewest components that explain more than `share` of the variance of `encoded`, shape (n, D).

    Raises:
        UnusableDataError: all rows are the same, so there is no variance to explain.
    """
    from sklearn.decomposition import PCA

    if not np.ptp(encoded, axis=0).any():
        message = f"pca: all {len(encoded):,} rows are the same; there is no variance to explain"
        raise UnusableDataError(message)
    pca = PCA(n_components=share, svd_solver="full").fit(encoded)
    return PrincipalAxes(
        mean=tuple(float(value) for value in pca.mean_),
        components=tuple(tuple(float(value) for value in row) for row in pca.components_),
        explained=tuple(float(value) for value in pca.explained_variance_ratio_),
    )


def project_on_axes(encoded: NDArray[np.float64], axes: PrincipalAxes) -> NDArray[np.float64]:
    """Project the rows of `encoded`, shape (n, D), on the axes: shape (n, m).

    One column is added after the other in a fixed order: a BLAS product, and einsum, add up in an order that depends on
    the number of rows, and the floats of a customer must not depend on it.
    """
    mean, components = np.asarray(axes.mean), np.asarray(axes.components)
    points = np.zeros((len(encoded), len(components)))
    for start in range(0, len(encoded), BLOCK_ROWS):
        block = points[start : start + BLOCK_ROWS]
        for column in range(encoded.shape[1]):
            block += (encoded[start : start + BLOCK_ROWS, column] - mean[column])[:, None] * components[:, column]
    return points
