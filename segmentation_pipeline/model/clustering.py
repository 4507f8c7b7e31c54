"""A clustering as it is saved, and how its fit went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from segmentation_pipeline.model.json import Json

# The label of a row that belongs to no cluster or segment.
UNASSIGNED: Final = -1
_MODEL_ARRAYS: Final = ("radii", "weights", "precisions", "edges")


@dataclass(frozen=True, slots=True)
class FittedModel:
    """A clustering as it is saved: all that is needed to label an encoded row.

    `centers` has shape (P, D) in model space; row i is a prototype of `labels[i]`: a cluster index before alignment, a
    segment id afterwards. Without any of the fields below a row belongs to the nearest prototype. Several
    prototypes may share a label. The other fields belong to some algorithms only:

    - `radii`, shape (P,): a row farther than this from its nearest prototype is unassigned (`hdbscan`, `spectral`).
    - `weights`, shape (P,), and `precisions`, shape (P, D, D): a row belongs to its most likely component.
    - `edges`, shape (P - 1,): the borders between the intervals, of which a row of one feature lies in one.
    - `gamma`: the cost of a mismatch in each categorical feature, for the record (`kprototypes`).
    """

    algorithm: str
    centers: NDArray[np.float64]
    labels: tuple[int, ...]
    radii: NDArray[np.float64] | None = None
    weights: NDArray[np.float64] | None = None
    precisions: NDArray[np.float64] | None = None
    edges: NDArray[np.float64] | None = None
    gamma: Mapping[str, float] | None = None

    @property
    def k(self) -> int:
        """The number of clusters; a cluster has one prototype or more."""
        return len(set(self.labels))

    def to_json(self) -> Json:
        """Return plain values, without the fields that are None; JSON keeps the floats exactly."""
        data: Json = {
            "version": 1,
            "algorithm": self.algorithm,
            "labels": list(self.labels),
            "centers": [[float(value) for value in row] for row in self.centers],
        }
        arrays = {name: value for name in _MODEL_ARRAYS if (value := getattr(self, name)) is not None}
        data |= {name: value.tolist() for name, value in arrays.items()}
        return data if self.gamma is None else data | {"gamma": dict(self.gamma)}

    @classmethod
    def from_json(cls, data: Json) -> FittedModel:
        """Read what `to_json` wrote."""
        import numpy as np  # here, so that the CLI's status does not wait for it

        return cls(
            algorithm=data["algorithm"],
            centers=np.asarray(data["centers"], dtype=np.float64),
            labels=tuple(data["labels"]),
            gamma=data.get("gamma"),
            **{name: np.asarray(data[name], dtype=np.float64) for name in _MODEL_ARRAYS if name in data},
        )


@dataclass(frozen=True, slots=True)
class FitSummary:
    """How the final fit went: on `n_fitted` rows; `n_unassigned` of all rows are beyond every radius."""

    k: int
    seed: int
    inertia: float
    silhouette: float
    n_iter: int
    converged: bool
    n_init: int
    won_by: str
    algorithm: str
    reason: str
    n_fitted: int
    n_unassigned: int
    notes: tuple[str, ...]
