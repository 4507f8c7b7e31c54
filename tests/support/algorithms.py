"""Rows that each algorithm is for, and how a test fits it on them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from segmentation_pipeline.analysis.clustering.algorithms.fit import fit_model
from segmentation_pipeline.model import Encoding, FeatureEncoding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from segmentation_pipeline.analysis.clustering.algorithms.result import Fit

LABELLED = Path(__file__).parents[3] / "shared" / "data" / "labelled"


def numeric_encoding(width: int) -> Encoding:
    """Return the encoding of `width` numbers."""
    return Encoding(tuple(FeatureEncoding(f"n{column}", "numeric", 1.0) for column in range(width)))


def mixed_rows(
    n: int = 300, seed: int = 0, weights: tuple[float, float] = (0.5, 0.5)
) -> tuple[NDArray[np.float32], Encoding]:
    """Draw two numbers and two categories of customers in three groups."""
    rng = np.random.default_rng(seed)
    group = np.arange(n) % 3
    matrix = rng.normal(0, 0.5, (n, 2)).astype(np.float32)
    matrix[:, 0] += group
    first = np.where(rng.random(n) < 0.8, group, rng.integers(0, 3, n))
    second = np.where(rng.random(n) < 0.6, group, rng.integers(0, 4, n))
    encoded = _add_categories(_add_categories(matrix, first, weights[0]), second, weights[1])
    encoding = Encoding(
        (
            *numeric_encoding(2).features,
            FeatureEncoding("plan", "categorical", weights[0], categories=("a", "b", "c")),
            FeatureEncoding("city", "categorical", weights[1], categories=("k", "l", "m", "n")),
        )
    )
    return encoded, encoding


def rows_for(algorithm: str, seed: int = 0) -> tuple[NDArray[np.float32], Encoding]:
    """Draw rows that the algorithm is for, with their encoding: three groups, or one number for `quantile`."""
    if algorithm == "kprototypes":
        return mixed_rows(seed=seed)
    rng = np.random.default_rng(seed)
    if algorithm == "quantile":
        return rng.normal(size=(300, 1)).astype(np.float32), numeric_encoding(1)
    groups = np.concatenate([rng.normal(center, 0.4, (100, 3)) for center in (0, 4, 9)])
    return groups.astype(np.float32), numeric_encoding(3)


def fit_rows(algorithm: str, matrix: NDArray[np.float32], encoding: Encoding, *, k: int = 3, **more: Any) -> Fit:
    """Fit with ten starts and the seed 1 where `more` says nothing else."""
    settings: dict[str, Any] = {"n_init": 10, "seed": 1} | more
    return fit_model(matrix, algorithm=algorithm, k=k, encoding=encoding, **settings)


def labelled_set(name: str) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Read a labelled set of the clustering benchmark, standardised; skip where it does not lie beside the project."""
    if not LABELLED.is_dir():
        pytest.skip(f"the labelled sets are not in {LABELLED}")
    rows, labels = (np.loadtxt(LABELLED / f"{name}.{part}.gz") for part in ("data", "labels0"))
    return ((rows - rows.mean(axis=0)) / rows.std(axis=0)).astype(np.float32), labels


def _add_categories(matrix: NDArray[np.float32], codes: NDArray[np.int64], weight: float) -> NDArray[np.float32]:
    one_hot = np.zeros((len(matrix), int(codes.max()) + 1), dtype=np.float32)
    one_hot[np.arange(len(matrix)), codes] = weight
    return np.hstack([matrix, one_hot])
