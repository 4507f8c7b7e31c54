"""Quantiles: one number cut into equal parts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from segmentation_pipeline.analysis.clustering.algorithms.algorithm import Algorithm
from segmentation_pipeline.analysis.clustering.algorithms.result import RawFit
from segmentation_pipeline.errors import SpecError, UnusableDataError
from segmentation_pipeline.model import FittedModel
from segmentation_pipeline.spec import is_amount

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from segmentation_pipeline.analysis.clustering.algorithms.algorithm import FitRequest


def cut_at_quantiles(matrix: NDArray[np.float32], request: FitRequest) -> RawFit:
    """Cut the one numeric feature at its quantiles 1/k, 2/k, ...; a value on a cut belongs above it.

    Customers with the same value stay together, so ties can leave fewer parts than `k`; the fit notes it. The center of
    a part is its median.

    Raises:
        SpecError: there is not exactly one numeric feature.
        UnusableDataError: one value has so many customers that no cut is left.
    """
    k, encoding = request.k, request.encoding
    kinds = [f"{feature.column} ({feature.kind})" for feature in encoding.features]
    if len(encoding.features) != 1 or not is_amount(encoding.features[0].kind) or matrix.shape[1] != 1:
        message = (
            f"algorithm: {QUANTILE.name} cuts exactly one numeric feature; features has {len(kinds)}: "
            f"{', '.join(kinds)}. List only that one under features, or use another algorithm."
        )
        raise SpecError(message)
    values = matrix[:, 0].astype(np.float64)
    edges = np.unique(np.sort(values)[np.arange(1, k) * len(values) // k])
    edges = edges[edges > values.min()]
    if edges.size == 0:
        column = encoding.features[0].column
        share = float(np.mean(values == values.min()))
        message = (
            f"{column}: {share:.0%} of the customers have its smallest value, so its quantiles separate no one. "
            "Raise fit.k, or use another feature."
        )
        raise UnusableDataError(message)
    parts = np.searchsorted(edges, values, side="right")
    centers = np.array([[np.median(values[parts == part])] for part in range(edges.size + 1)])
    notes = (
        (f"{edges.size + 1} parts instead of {k}: customers with the same value stay together",)
        if edges.size + 1 < k
        else ()
    )
    model = FittedModel(QUANTILE.name, centers, tuple(range(edges.size + 1)), edges=edges)
    return RawFit(model, n_iter=1, converged=True, won_by="quantiles", n_fitted=len(values), notes=notes)


QUANTILE: Final = Algorithm(name="quantile", fit=cut_at_quantiles, labels_by="interval")
