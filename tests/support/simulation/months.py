"""One month through the steps up to the final fit, as the assets call them, without a database and without Dagster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pandas as pd

from segmentation_pipeline.analysis.clustering.algorithms.fit import fit_model
from segmentation_pipeline.analysis.clustering.algorithms.resolve import resolve_algorithm
from segmentation_pipeline.analysis.clustering.labelling import assign
from segmentation_pipeline.analysis.features.encoding import fit_encoding, transform
from segmentation_pipeline.analysis.selection.sweep import run_sweep
from segmentation_pipeline.model import FittedModel
from segmentation_pipeline.spec import FitSpec, SweepSpec
from support.simulation.world import FEATURES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from segmentation_pipeline.analysis.clustering.labelling import Assignment
    from segmentation_pipeline.model import Encoding, SweepResult
    from segmentation_pipeline.spec import FeatureSpec
    from support.simulation.world import World

SWEEP: Final = SweepSpec(k_max=8)
FIT: Final = FitSpec()


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthFit:
    """The input of `aligned_segments`: the encoded rows (n, D), the fit, and each row's cluster."""

    encoding: Encoding
    matrix: NDArray[np.float32]
    sweep: SweepResult
    model: FittedModel
    assigned: Assignment

    @property
    def labels(self) -> NDArray[np.int64]:
        """The raw cluster of each row, shape (n,)."""
        return self.assigned.labels


def fit_month(
    frame: pd.DataFrame,
    *,
    seed: int,
    parent_k: int | None = None,
    features: Sequence[FeatureSpec] = FEATURES,
    sweep: SweepSpec = SWEEP,
    fit: FitSpec = FIT,
    judge: bool = False,
) -> MonthFit:
    """Encode, sweep and fit one month; with `judge` the sweep also measures stability and structure, as the chain does.

    `parent_k` is the K of the snapshot published before. Nothing is validated: the frame is taken as usable.
    """
    encoding = fit_encoding(frame, features)
    encoded = transform(frame, encoding)
    swept = run_sweep(encoded.matrix, sweep, fit, seed=seed, parent_k=parent_k, judge=judge)
    resolved = resolve_algorithm(fit.algorithm, n_rows=len(frame), n_columns=encoded.matrix.shape[1])
    fitted = fit_model(
        encoded.matrix[~encoded.outliers],
        algorithm=resolved.algorithm,
        k=swept.result.k,
        n_init=fit.n_init,
        seed=seed,
        encoding=encoding,
        starts=[("the sweep's centers", swept.fit_of(swept.result.k).centers)],
    )
    model = FittedModel.from_json(fitted.model.to_json())
    return MonthFit(
        encoding=encoding,
        matrix=encoded.matrix,
        sweep=swept.result,
        model=model,
        assigned=assign(encoded.matrix, model),
    )


def fit_months(world: World, *, seed: int) -> list[MonthFit]:
    """Fit every month of a world in order, each with the K of the one before as its parent's."""
    fits: list[MonthFit] = []
    for month, frame in enumerate(world.frames):
        fits.append(fit_month(frame, seed=seed + month, parent_k=fits[-1].model.k if fits else None))
    return fits


def assigned_rows(
    world: World, fits: Sequence[MonthFit], labellings: Mapping[str, Sequence[NDArray[np.int64]]]
) -> pd.DataFrame:
    """Return the input of `score_run`: the truth, the raw cluster and, for each name, the ids (n,) of each month."""
    months = [
        pd.DataFrame({"cluster": fit.labels, **{name: ids[month] for name, ids in labellings.items()}})
        for month, fit in enumerate(fits)
    ]
    return pd.concat([world.truth, pd.concat(months, ignore_index=True)], axis=1)
