"""Fitting any algorithm by its name, and judging the fit on all rows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from segmentation_pipeline.analysis.arrays.distances import inertia_within
from segmentation_pipeline.analysis.clustering.algorithms.algorithm import FitRequest
from segmentation_pipeline.analysis.clustering.algorithms.registry import ALGORITHMS
from segmentation_pipeline.analysis.clustering.algorithms.result import Fit, RawFit
from segmentation_pipeline.analysis.clustering.distinct_rows import require_distinct_rows
from segmentation_pipeline.analysis.clustering.labelling import assign
from segmentation_pipeline.errors import UnusableDataError
from segmentation_pipeline.model import UNASSIGNED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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

    `starts` are centers of shape (k, D) that algorithms with centers also start from; those of another shape are
    ignored. An algorithm that finds its own number of clusters ignores `k`. A cluster that labels no row is dropped and
    noted, and the others are numbered 0, 1, ... `load_writable` returns the same matrix as a writable one, where that
    is cheaper than a copy.

    Raises:
        SpecError: the features do not suit the algorithm.
        UnusableDataError: there are fewer distinct rows than K, or no clusters.
    """
    record = ALGORITHMS[algorithm]
    require_distinct_rows(matrix, 2 if record.finds_own_k else k)
    request = FitRequest(k, n_init=n_init, seed=seed, encoding=encoding, starts=starts, load_writable=load_writable)
    raw = record.fit(matrix, request)
    inertia = raw.inertia
    if inertia is None:
        raw, labels = _drop_empty_clusters(matrix, raw)
        inertia = inertia_within(matrix, labels, raw.model.k)
    return Fit(raw.model, inertia, raw.n_iter, raw.converged, raw.won_by, raw.n_fitted, raw.notes)


def _drop_empty_clusters(matrix: NDArray[np.float32], raw: RawFit) -> tuple[RawFit, NDArray[np.int64]]:
    """Return the fit without the clusters that label no row, and the labels of all rows, shape (n,).

    A prototype that is the nearest of no row changes no label when it is dropped.
    """
    model = raw.model
    labels = assign(matrix, model).labels
    present = np.unique(labels[labels >= 0])
    if len(present) < 2:
        message = (
            f"{model.algorithm} puts all of {len(matrix):,} customers into one cluster. Use another algorithm or "
            "another K."
        )
        raise UnusableDataError(message)
    if len(present) == model.k:
        return raw, labels
    note = f"{len(present)} clusters instead of {model.k}: no customer was nearest to the others"
    raw = replace(raw, model=_keep_clusters(model, present), notes=(*raw.notes, note))
    return raw, np.where(labels >= 0, np.searchsorted(present, labels), UNASSIGNED)


def _keep_clusters(model: FittedModel, present: NDArray[np.int64]) -> FittedModel:
    """Return the model with the prototypes whose label is in `present`, renumbered; intervals are never empty."""
    names = np.asarray(model.labels)
    kept = np.isin(names, present)
    picked = {
        name: value[kept] for name in ("radii", "weights", "precisions") if (value := getattr(model, name)) is not None
    }
    labels = tuple(int(label) for label in np.searchsorted(present, names[kept]))
    return replace(model, centers=model.centers[kept], labels=labels, **picked)
