"""What the fit of any algorithm returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from segmentation_pipeline.model import FittedModel


@dataclass(frozen=True, slots=True)
class RawFit:
    """A model as its algorithm fitted it on `n_fitted` rows, before all rows are labelled by it.

    `won_by` names the start that won, `notes` what the spec asked for and did not get. An algorithm that knows the
    inertia over all rows, and leaves no cluster without rows, returns it: the rows are then not read again.
    """

    model: FittedModel
    n_iter: int
    converged: bool
    won_by: str
    n_fitted: int
    notes: tuple[str, ...] = ()
    inertia: float | None = None


@dataclass(frozen=True, slots=True)
class Fit:
    """A model and how well it fits all n rows.

    `inertia` is the sum of squared distances of the assigned rows to the mean of their cluster, so that algorithms can
    be compared; `n_fitted` is the number of rows it was fitted on, `notes` what the spec asked for and did not get.
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
    """Draw at most `most` rows of `matrix`, shape (n, D), uniformly, and return them in their order."""
    if len(matrix) <= most:
        return np.asarray(matrix)
    chosen = np.sort(np.random.default_rng(seed).choice(len(matrix), most, replace=False))
    return np.asarray(matrix[chosen])
