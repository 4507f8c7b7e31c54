"""The clustering of the chosen K on all customers, and each customer's cluster by the model that is saved."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa

from segmentation_pipeline.analysis.clustering.algorithms.fit import fit_model
from segmentation_pipeline.analysis.clustering.algorithms.registry import ALGORITHMS
from segmentation_pipeline.analysis.clustering.labelling import label_rows
from segmentation_pipeline.analysis.selection.assigned_silhouette import silhouette_score
from segmentation_pipeline.engines.base import Mapped
from segmentation_pipeline.model import FitSummary

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from segmentation_pipeline.analysis.clustering.algorithms.resolve import Resolved
    from segmentation_pipeline.analysis.clustering.algorithms.result import Fit
    from segmentation_pipeline.engines.base import Blocks, Engine, Sink
    from segmentation_pipeline.model import FittedModel, SweepResult
    from segmentation_pipeline.spec import FitSpec
    from segmentation_pipeline.storage.artifacts.datasets import EncodedFeatures, KSweep


def fit_chosen(encoded: EncodedFeatures, swept: KSweep, spec: FitSpec, resolved: Resolved) -> Fit:
    """Fit the resolved algorithm with the chosen K on the rows that are fitted on, from the sweep's centers too.

    Raises:
        UnusableDataError: fewer distinct rows than K.
    """
    sweep = swept.sweep
    return fit_model(
        encoded.fitting_rows(),
        algorithm=resolved.algorithm,
        k=sweep.k,
        n_init=spec.n_init,
        seed=sweep.seed,
        encoding=encoded.encoding,
        starts=[("the sweep's centers", swept.centers(sweep.k))],
        load_writable=encoded.load_writable_matrix if not encoded.has_outliers else None,
    )


def label_matrix(
    engine: Engine,
    blocks: Blocks[NDArray[np.float32]],
    model: FittedModel,
    *,
    keys: pa.Array,
    schema: pa.Schema,
    labels: Sink,
) -> int:
    """Write what the model says of every row, and return the number of rows in no cluster."""
    kernel = partial(label_block, model=model, keys=keys, schema=schema)
    return engine.map(blocks, kernel, into=(labels,), merge=int.__add__, empty=0)


def label_block(
    place: slice, block: NDArray[np.float32], *, model: FittedModel, keys: pa.Array, schema: pa.Schema
) -> Mapped[int]:
    """Return the labels of a block, shape (b, D), as a table, and how many of its rows are in no cluster."""
    said = label_rows(block, model)
    columns = [keys[place], said.labels, said.distance, said.second_labels, said.margin]
    table = pa.table([pa.array(column) for column in columns], schema=schema)
    return Mapped((table,), int((said.labels < 0).sum()))


def summarize_fit(
    fit: Fit,
    resolved: Resolved,
    *,
    sweep: SweepResult,
    matrix: NDArray[np.float32],
    labels: NDArray[np.int64],
    n_unassigned: int,
    n_init: int,
    notes: tuple[str, ...],
) -> FitSummary:
    """Return how the fit went; `labels`, shape (n,), are those of `matrix`, shape (n, D)."""
    if ALGORITHMS[resolved.algorithm].is_swept:
        silhouette = sweep.chosen.silhouette
    else:
        silhouette = silhouette_score(matrix, labels, seed=sweep.seed)
    return FitSummary(
        k=fit.k,
        seed=sweep.seed,
        inertia=fit.inertia,
        silhouette=silhouette,
        n_iter=fit.n_iter,
        converged=fit.converged,
        n_init=n_init,
        won_by=fit.won_by,
        algorithm=resolved.algorithm,
        reason=resolved.reason,
        n_fitted=fit.n_fitted,
        n_unassigned=n_unassigned,
        notes=notes,
    )


def describe_k(algorithm: str, *, fixed: int | None, swept: int, fitted: int) -> list[str]:
    """Return what a person who looks at the sweep should know of an algorithm that finds its own K."""
    if not ALGORITHMS[algorithm].finds_own_k:
        return []
    note = (
        f"{algorithm} finds its own number of clusters, {fitted}; the sweep, with K = {swept}, is K-Means' and only "
        "shown"
    )
    return [note if fixed is None else f"{note}; fit.k = {fixed} is not used"]
