"""The price of the speed: the published fit beside scikit-learn's best of ten starts on all rows, and a full sweep's K."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar
from unittest import mock

from sklearn.cluster import KMeans

from segmentation_pipeline.analysis.arrays.distances import inertia
from segmentation_pipeline.analysis.selection import sweep
from segmentation_pipeline.spec import FitSpec, SweepSpec
from segmentation_pipeline.storage.artifacts.datasets import Dataset, EncodedFeatures, FinalFit, KSweep
from segmentation_pipeline.storage.artifacts.store import ArtifactStore

if TYPE_CHECKING:
    from pathlib import Path

D = TypeVar("D", bound=Dataset)


@dataclass(frozen=True)
class Quality:
    """The inertia of the published fit over that of scikit-learn's, and both choices of K."""

    inertia_ratio: float
    k: int
    k_of_full_sweep: int


def measure_quality(home: Path, month: str, *, seed: int = 0) -> Quality:
    """Fit and sweep the matrix of a month again, on all rows: it takes minutes for a million."""
    matrix, model = _open_latest(home, EncodedFeatures, month).fitting_rows(), _open_latest(home, FinalFit, month).model
    reference = KMeans(len(model.centers), n_init=10, random_state=seed).fit(matrix)
    with mock.patch.object(sweep, "FIT_ROWS", len(matrix)):
        full = sweep.run_sweep(matrix, SweepSpec(), FitSpec(), seed=seed, judge=False)
    return Quality(
        inertia_ratio=inertia(matrix, model.centers) / inertia(matrix, reference.cluster_centers_),
        k=_open_latest(home, KSweep, month).sweep.k,
        k_of_full_sweep=full.result.k,
    )


def _open_latest(home: Path, dataset: type[D], month: str) -> D:
    store = ArtifactStore(home / "artifacts" / "bench")
    newest = max((store.root / dataset.STAGE / month).iterdir(), key=lambda folder: folder.stat().st_mtime)
    return dataset(store.open(dataset.STAGE, month, newest.name))
