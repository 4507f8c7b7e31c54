"""What there is to know about an algorithm: one record, defined in the algorithm's own file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from segmentation_pipeline.analysis.clustering.algorithms.result import RawFit
    from segmentation_pipeline.model import Encoding

    Start = tuple[str, NDArray[np.float64]]

# How a row is labelled by the saved model: by the nearest prototype; the same, but unassigned beyond the prototype's
# radius; by the likeliest component; by the interval it lies in.
LabelsBy = Literal["prototype", "radius", "component", "interval"]


@dataclass(frozen=True, slots=True)
class FitRequest:
    """What a fit is asked for; each algorithm reads what it needs.

    `encoding` describes the columns of the matrix. `n_init` is the number of random starts, `starts` are named centers
    of shape (K, D), such as the sweep's, to start from as well. `load_writable` returns the matrix as a writable one
    where that is cheaper than a copy.
    """

    k: int
    n_init: int
    seed: int
    encoding: Encoding
    starts: Sequence[Start] = ()
    load_writable: Callable[[], NDArray[np.float32]] | None = None

    def select_starts(self, width: int) -> list[Start]:
        """Return the given starts of shape (k, `width`)."""
        return [(name, start) for name, start in self.starts if start.shape == (self.k, width)]


@dataclass(frozen=True, slots=True)
class Algorithm:
    """An algorithm: the name that `fit.algorithm` uses, the function that fits it, and what else depends on it.

    - `fit` fits a matrix of shape (n, D). It raises a SpecError where the features do not suit the algorithm and an
      UnusableDataError where the customers have no clusters of its kind.
    - `copy_bytes`: how many bytes the fit needs for each value of the matrix beside the matrix itself, which is memory
      mapped; 0 for a fit on a sample or without a copy.
    - `finds_own_k`: the number of clusters is a result of the fit, and `k` of the request is not used.
    - `is_swept`: the sweep fits this algorithm, so that its figures for K are those of the fit, too.
    - `round_clusters`: a silhouette measures round clusters. The figures of long or bent ones are reported and block
      nothing.
    - `labels_by`: how its models label a row.
    """

    name: str
    fit: Callable[[NDArray[np.float32], FitRequest], RawFit]
    copy_bytes: int = 0
    finds_own_k: bool = False
    is_swept: bool = False
    round_clusters: bool = True
    labels_by: LabelsBy = "prototype"

    @property
    def leaves_unassigned(self) -> bool:
        """Whether a row far from every cluster belongs to none."""
        return self.labels_by == "radius"
