"""One way into all algorithms."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from segmentation_pipeline.analysis.clustering.algorithms import centers
from segmentation_pipeline.analysis.clustering.algorithms import density as shapes
from segmentation_pipeline.analysis.clustering.algorithms import gaussian_mixture as mixture
from segmentation_pipeline.analysis.clustering.algorithms import kprototypes as mixed
from segmentation_pipeline.analysis.clustering.algorithms import quantile as quantiles
from segmentation_pipeline.analysis.clustering.algorithms.result import Fit, RawFit
from segmentation_pipeline.analysis.clustering.kmeans import require_distinct_rows
from segmentation_pipeline.analysis.clustering.labelling import BLOCK_ROWS, assign
from segmentation_pipeline.errors import UnusableDataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from segmentation_pipeline.model import Encoding, FittedModel


def fit_model(
    matrix: NDArray[np.float32],
    *,
    algorithm: str,
    k: int,
    n_init: int,
    seed: int,
    encoding: Encoding,
    starts: Sequence[tuple[str, NDArray[np.float64]]] = (),
    load_writable: Callable[[], NDArray[np.float32]] | None = None,
) -> Fit:
    """Fit `algorithm` on `matrix`, shape (n, D), the rows of `encoding`; `auto` is resolved before.

    `starts` are centers of shape (k, D) that algorithms with centers also start from; others are ignored. `hdbscan`
    finds its own number of clusters. A cluster that no row ends up in is dropped and noted, and what remains is
    numbered 0, 1, ... `load_writable` returns the same matrix as a writable one, where that is cheaper than a copy.

    Raises:
        SpecError: the features are not what the algorithm is for.
        UnusableDataError: fewer distinct rows than K, or no clusters.
    """
    require_distinct_rows(matrix, k if algorithm != "hdbscan" else 2)
    if algorithm == "kmeans":
        return centers.kmeans(matrix, k, n_init=n_init, seed=seed, starts=starts, load_writable=load_writable)
    fitted = _fit(matrix, algorithm, k, n_init=n_init, seed=seed, encoding=encoding, starts=starts)
    fitted, labels = _without_empty(matrix, fitted)
    return _finished(fitted, _inertia_within(matrix, labels, fitted.model.k))


def _fit(
    matrix: NDArray[np.float32],
    algorithm: str,
    k: int,
    *,
    n_init: int,
    seed: int,
    encoding: Encoding,
    starts: Sequence[tuple[str, NDArray[np.float64]]],
) -> RawFit:
    fits: dict[str, Callable[[], RawFit]] = {
        "minibatch_kmeans": lambda: centers.minibatch_kmeans(matrix, k, seed=seed, starts=starts),
        "kmedoids": lambda: centers.kmedoids(matrix, k, n_init=n_init, seed=seed, starts=starts),
        "kprototypes": lambda: mixed.kprototypes(matrix, k, n_init=n_init, seed=seed, encoding=encoding),
        "gaussian_mixture": lambda: mixture.gaussian_mixture(matrix, k, n_init=n_init, seed=seed, starts=starts),
        "quantile": lambda: quantiles.quantile(matrix, k, encoding=encoding),
        "hdbscan": lambda: shapes.hdbscan(matrix, seed=seed),
        "spectral": lambda: shapes.spectral(matrix, k, seed=seed),
    }
    return fits[algorithm]()


def _finished(fitted: RawFit, total: float) -> Fit:
    return Fit(fitted.model, total, fitted.n_iter, fitted.converged, fitted.won_by, fitted.n_fitted, fitted.notes)


def _without_empty(matrix: NDArray[np.float32], fitted: RawFit) -> tuple[RawFit, NDArray[np.int64]]:
    """The fit without clusters that label no row, and the labels; what nobody was nearest to changes nobody's label."""
    model = fitted.model
    labels = assign(matrix, model).labels
    found = np.unique(labels[labels >= 0])
    if len(found) < 2:
        message = (
            f"{model.algorithm} puts all of {len(matrix):,} customers into one cluster. Use another algorithm, or K."
        )
        raise UnusableDataError(message)
    if len(found) == model.k:
        return fitted, labels
    note = f"{len(found)} clusters instead of {model.k}: nobody was nearest to the others"
    fitted = replace(fitted, model=_only(model, found), notes=(*fitted.notes, note))
    return fitted, np.where(labels >= 0, np.searchsorted(found, labels), -1)


def _only(model: FittedModel, found: NDArray[np.int64]) -> FittedModel:
    """The prototypes with a label of `found`, renumbered. Intervals have no empty ones."""
    names = np.asarray(model.labels)
    kept = np.isin(names, found)
    picked = {
        name: value[kept] for name in ("radii", "weights", "precisions") if (value := getattr(model, name)) is not None
    }
    labels = tuple(int(each) for each in np.searchsorted(found, names[kept]))
    return replace(model, centers=model.centers[kept], labels=labels, **picked)


def _inertia_within(matrix: NDArray[np.float32], labels: NDArray[np.int64], k: int) -> float:
    """Sum of squared distances of the assigned rows to the mean of their cluster, in blocks."""
    sums, counts = np.zeros((k, matrix.shape[1])), np.bincount(labels[labels >= 0], minlength=k)
    for block, own in _assigned(matrix, labels):
        np.add.at(sums, own, block)
    means = sums / np.maximum(counts, 1)[:, None]
    return sum(float(np.square(block - means[own]).sum()) for block, own in _assigned(matrix, labels))


def _assigned(
    matrix: NDArray[np.float32], labels: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.float64], NDArray[np.int64]]]:
    """The assigned rows with their labels, block by block."""
    for start in range(0, len(matrix), BLOCK_ROWS):
        own = labels[start : start + BLOCK_ROWS]
        inside = own >= 0
        yield matrix[start : start + BLOCK_ROWS][inside].astype(np.float64), own[inside]
