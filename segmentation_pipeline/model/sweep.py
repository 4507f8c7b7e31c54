"""What the sweep over K measured, and the K that was chosen."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from segmentation_pipeline.model.json import Json


@dataclass(frozen=True, slots=True)
class SweepCandidate:
    """What the sweep measured for one K; None where it was not measured.

    `silhouette_error` is a standard error, 0 where every row was used. `dip_p_value` is that of the worst pair of
    neighbouring clusters: high where the two are one group. `stability` is the mean Jaccard index of the clusters over
    bootstrap refits, `agreement` the adjusted Rand index between seeds.
    """

    k: int
    inertia: float
    silhouette: float
    simplified_silhouette: float
    davies_bouldin: float
    calinski_harabasz: float
    smallest_share: float
    largest_share: float
    silhouette_error: float = 0.0
    negative_share: float | None = None
    n_iter: int | None = None
    converged: bool | None = None
    dip_p_value: float | None = None
    stability: float | None = None
    agreement: float | None = None
    gap: float | None = None
    gap_error: float | None = None


@dataclass(frozen=True, slots=True)
class StructureVerdict:
    """Whether there are clusters at all: `z` is how far the silhouette is above that of data without any."""

    verdict: Literal["structure", "doubtful", "none"]
    z: float
    score: float
    reason: str


@dataclass(frozen=True, slots=True)
class SweepResult:
    """All candidates, the chosen K and the reason for it, and the mean silhouette of each of its clusters."""

    candidates: tuple[SweepCandidate, ...]
    k: int
    reason: str
    runner_up: int | None
    elbow_k: int | None
    vetoed: tuple[int, ...]
    structure: StructureVerdict
    seed: int
    n_rows: int
    n_sampled: int
    inertia_of_one: float
    cluster_silhouettes: tuple[float, ...] = ()

    def to_json(self) -> Json:
        """Return plain values that `from_json` can read."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Json) -> SweepResult:
        """Read what `to_json` wrote."""
        return cls(
            **{
                **data,
                "candidates": tuple(SweepCandidate(**candidate) for candidate in data["candidates"]),
                "vetoed": tuple(data["vetoed"]),
                "cluster_silhouettes": tuple(data.get("cluster_silhouettes", ())),
                "structure": StructureVerdict(**data["structure"]),
            }
        )

    @property
    def chosen(self) -> SweepCandidate:
        """The candidate of the chosen K."""
        return next(candidate for candidate in self.candidates if candidate.k == self.k)


@dataclass(frozen=True, slots=True)
class SilhouetteSample:
    """The silhouettes of some customers in one clustering, for a picture: three arrays of shape (m,).

    The customers are drawn at random within their cluster; `weights` is how many customers each of them stands for.
    """

    clusters: NDArray[np.int64]
    silhouettes: NDArray[np.float64]
    weights: NDArray[np.float64]
