"""Gaussian mixtures: ellipsoids of any size and direction."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Final

import numpy as np

from segmentation_pipeline.analysis.clustering.algorithms.algorithm import Algorithm
from segmentation_pipeline.analysis.clustering.algorithms.kmeans import KMEANS
from segmentation_pipeline.analysis.clustering.algorithms.result import RawFit, sample_rows
from segmentation_pipeline.errors import UnusableDataError
from segmentation_pipeline.model import FittedModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from segmentation_pipeline.analysis.clustering.algorithms.algorithm import FitRequest

# An iteration costs n D^2 K; the estimates of K means and covariances gain nothing visible beyond these rows.
MIXTURE_ROWS: Final = 50_000
MIXTURE_MAX_ITER: Final = 300
# Added to each variance (features have about 1): a category that is constant in a cluster must not own it.
MIXTURE_FLOOR: Final = 1e-4
# scikit-learn's name for starts from K-Means
FROM_KMEANS: Final = "kmeans"


def fit_mixture(matrix: NDArray[np.float32], request: FitRequest) -> RawFit:
    """Fit a mixture with full covariances by EM, from K-Means, random and given starts; the highest likelihood wins.

    Weights, means and precisions are saved; a row belongs to the component with the highest posterior.

    Raises:
        UnusableDataError: a covariance collapsed, because there are too few customers for the number of columns.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    k = request.k
    sample = sample_rows(matrix, MIXTURE_ROWS, seed=request.seed).astype(np.float64)
    # K-Means cuts long clouds across, and EM stays there: random rows find those that lie side by side
    candidates: list[tuple[str, str, NDArray[np.float64] | None, int]] = [
        ("K-Means", FROM_KMEANS, None, request.n_init),
        ("random rows", "random_from_data", None, request.n_init),
    ]
    candidates += [(name, FROM_KMEANS, start, 1) for name, start in request.select_starts(matrix.shape[1])]
    fits = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # reported as `converged`
        for name, init, means, runs in candidates:
            estimator = GaussianMixture(
                k,
                init_params=init,
                n_init=runs,
                means_init=means,
                max_iter=MIXTURE_MAX_ITER,
                reg_covar=MIXTURE_FLOOR,
                random_state=request.seed,
            )
            try:
                fits.append((float(estimator.fit(sample).lower_bound_), name, estimator))
            except ValueError as error:
                message = (
                    f"{GAUSSIAN_MIXTURE.name} with K = {k} and {matrix.shape[1]} columns found no covariance that can "
                    f"be inverted in {len(sample):,} customers. Lower K, take features out, or use {KMEANS.name}."
                )
                raise UnusableDataError(message) from error
    _, name, best = max(fits, key=lambda fit: fit[0])
    precisions = np.asarray(best.precisions_, dtype=np.float64)
    model = FittedModel(
        GAUSSIAN_MIXTURE.name,
        centers=np.asarray(best.means_, dtype=np.float64),
        labels=tuple(range(k)),
        weights=np.asarray(best.weights_, dtype=np.float64),
        precisions=(precisions + precisions.transpose(0, 2, 1)) / 2,
    )
    return RawFit(model, int(best.n_iter_), bool(best.converged_), name, n_fitted=len(sample))


GAUSSIAN_MIXTURE: Final = Algorithm(name="gaussian_mixture", fit=fit_mixture, labels_by="component")
