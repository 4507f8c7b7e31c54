"""What the speed costs: the published fit beside scikit-learn's best of ten starts on every row, and the K of a full sweep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from unittest import mock

from sklearn.cluster import KMeans

from segmentation_pipeline.analysis.arrays.distances import inertia
from segmentation_pipeline.analysis.selection import sweep
from segmentation_pipeline.model import FittedModel
from segmentation_pipeline.orchestration.assets.encoded_features import fitting_rows
from segmentation_pipeline.spec import FitSpec, SweepSpec
from segmentation_pipeline.storage.artifacts.store import ArtifactStore

if TYPE_CHECKING:
    from pathlib import Path

    from segmentation_pipeline.storage.artifacts.artifact import Artifact


@dataclass(frozen=True)
class Quality:
    """The inertia of the published fit over that of scikit-learn's, and both choices of K."""

    inertia_ratio: float
    k: int
    k_of_full_sweep: int


def quality(home: Path, month: str, *, seed: int = 0) -> Quality:
    """Fit and sweep the matrix of a month again, on all rows: minutes at a million."""
    encoded, fitted, swept = (_latest(home, stage, month) for stage in ("encoded_features", "final_fit", "k_sweep"))
    matrix = fitting_rows(encoded)
    model = FittedModel.from_json(fitted.json("model"))
    reference = KMeans(len(model.centers), n_init=10, random_state=seed).fit(matrix)
    with mock.patch.object(sweep, "FIT_ROWS", len(matrix)):
        full = sweep.run_sweep(matrix, SweepSpec(), FitSpec(), seed=seed, judge=False)
    return Quality(
        inertia_ratio=inertia(matrix, model.centers) / inertia(matrix, reference.cluster_centers_),
        k=int(swept.json("sweep")["k"]),
        k_of_full_sweep=full.result.k,
    )


def _latest(home: Path, stage: str, month: str) -> Artifact:
    store = ArtifactStore(home / "artifacts" / "bench")
    newest = max((store.root / stage / month).iterdir(), key=lambda folder: folder.stat().st_mtime)
    return store.open(stage, month, newest.name)
