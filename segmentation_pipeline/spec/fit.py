"""What a `defs.yaml` may say about the sweep and the fit."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from segmentation_pipeline.spec.base import Spec
from segmentation_pipeline.spec.mistakes import make_mistake

AlgorithmName = Literal[
    "auto",
    "kmeans",
    "minibatch_kmeans",
    "kmedoids",
    "kprototypes",
    "gaussian_mixture",
    "quantile",
    "hdbscan",
    "spectral",
]


class SweepSpec(Spec):
    """Which numbers of clusters are tried, and how one of them is chosen."""

    k_min: int = Field(2, ge=2, description="The smallest K tried.")
    k_max: int = Field(10, ge=2, le=100, description="The largest K tried.")
    policy: Literal["default", "silhouette", "davies_bouldin", "gap"] = Field(
        "default", description="How K is chosen from the sweep; docs/choosing-k.md explains each policy."
    )

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        if self.k_min > self.k_max:
            raise make_mistake(("k_max",), f"k_min {self.k_min} is above k_max {self.k_max}")
        return self


class FitSpec(Spec):
    """The clustering itself: its algorithm, and what is fixed of it."""

    algorithm: AlgorithmName = Field(
        "auto",
        description=(
            "The clustering algorithm. `auto` is kmeans, or minibatch_kmeans where its copy of the matrix does not fit "
            "into memory; `quantile` cuts one numeric feature; `kprototypes` is for categories, `hdbscan` and "
            "`spectral` for shapes that are not balls (they leave outliers unassigned)."
        ),
    )
    k: int | None = Field(
        None, ge=2, le=100, description="Fixes K; the sweep still shows the others. `hdbscan` finds its own."
    )
    seed: int | None = Field(
        None,
        ge=0,
        lt=2**32,
        description="Repeats a run. Leave it out in production: each run draws and records its own.",
    )
    n_init: int = Field(
        10, ge=10, le=1000, description="Random starts of the algorithms that have any; the best one is taken."
    )
