"""What every algorithm gives back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from segmentation_pipeline.model import FittedModel


@dataclass(frozen=True, slots=True)
class RawFit:
    """A model before it has met all rows: how it got there, on how many rows, and what people should know."""

    model: FittedModel
    n_iter: int
    converged: bool
    won_by: str
    n_fitted: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fit:
    """A model and how it did on all n rows.

    `inertia` is the sum of squared distances of the assigned rows to the mean of their cluster, so that algorithms can
    be compared; `n_fitted` the rows it was fitted on, `notes` what the spec asked for and did not get.
    """

    model: FittedModel
    inertia: float
    n_iter: int
    converged: bool
    won_by: str
    n_fitted: int
    notes: tuple[str, ...] = ()

    @property
    def k(self) -> int:
        """The number of clusters."""
        return self.model.k


def sample_rows(matrix: NDArray[np.float32], most: int, *, seed: int) -> NDArray[np.float32]:
    """At most `most` rows of `matrix`, shape (n, D), drawn uniformly, in their order."""
    if len(matrix) <= most:
        return np.asarray(matrix)
    chosen = np.sort(np.random.default_rng(seed).choice(len(matrix), most, replace=False))
    return np.asarray(matrix[chosen])
