"""Every algorithm: what it finds, and that what is saved of it labels rows the same way anywhere."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score
from support.algorithms import fit_rows, numeric_encoding, rows_for

from segmentation_pipeline.analysis.clustering.algorithms import hdbscan, kmedoids, kprototypes, spectral
from segmentation_pipeline.analysis.clustering.algorithms.fit import _drop_empty_clusters
from segmentation_pipeline.analysis.clustering.algorithms.registry import ALGORITHMS
from segmentation_pipeline.analysis.clustering.algorithms.result import RawFit
from segmentation_pipeline.analysis.clustering.labelling import Assignment, assign
from segmentation_pipeline.errors import UnusableDataError
from segmentation_pipeline.model import FittedModel

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

FRESH = """
import json, sys
import numpy as np
from segmentation_pipeline.model import FittedModel
from segmentation_pipeline.analysis.clustering.labelling import assign
model, rows, answer = sys.argv[1:]
answers = assign(np.load(rows, allow_pickle=False), FittedModel.from_json(json.loads(open(model).read())))
np.savez(answer, labels=answers.labels, distance=answers.distance, second=answers.second_labels, margin=answers.margin)
"""


def _arrays(assignment: Assignment) -> dict[str, NDArray[Any]]:
    return {
        "labels": assignment.labels,
        "distance": assignment.distance,
        "second": assignment.second_labels,
        "margin": assignment.margin,
    }


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_fresh_process_labels_the_same_from_json(algorithm: str, tmp_path: Path) -> None:
    """Saved as JSON text and loaded by another process, a model returns the same answers bit for bit, far rows too."""
    matrix, encoding = rows_for(algorithm)
    fit = fit_rows(algorithm, matrix, encoding)
    rows = np.concatenate([matrix, rows_for(algorithm, seed=5)[0], matrix[:20] * 30])
    (tmp_path / "model.json").write_text(json.dumps(fit.model.to_json(), allow_nan=False))
    np.save(tmp_path / "rows.npy", rows)

    subprocess.run(
        [sys.executable, "-c", FRESH, *(str(tmp_path / name) for name in ("model.json", "rows.npy", "answer.npz"))],
        check=True,
    )

    fresh = np.load(tmp_path / "answer.npz", allow_pickle=False)
    for name, ours in _arrays(assign(rows, fit.model)).items():
        np.testing.assert_array_equal(fresh[name], ours)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_one_row_alone_gets_the_answer_of_the_batch(algorithm: str) -> None:
    """A customer's label, distance, second label and margin are the same alone, in reverse and in Fortran order."""
    matrix, encoding = rows_for(algorithm)
    model = fit_rows(algorithm, matrix, encoding).model
    together = _arrays(assign(matrix, model))

    for row in (0, 17, len(matrix) - 1):
        for name, alone in _arrays(assign(matrix[row : row + 1], model)).items():
            np.testing.assert_array_equal(alone, together[name][row : row + 1])
    for other in (matrix[::-1], np.asfortranarray(matrix)[::-1]):
        for name, reversed_rows in _arrays(assign(other, model)).items():
            np.testing.assert_array_equal(reversed_rows, together[name][::-1])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_same_seed_fits_the_same_model(algorithm: str) -> None:
    """A fit is repeated exactly by its seed."""
    matrix, encoding = rows_for(algorithm)

    first, second = (fit_rows(algorithm, matrix, encoding).model.to_json() for _ in range(2))

    assert first == second


@pytest.mark.parametrize("algorithm", [name for name in ALGORITHMS if name not in {"quantile", "kprototypes"}])
def test_separate_groups_are_found(algorithm: str) -> None:
    """Three groups far apart become three clusters, and no customer in them is left out."""
    matrix, encoding = rows_for(algorithm)

    fit = fit_rows(algorithm, matrix, encoding)

    labels = assign(matrix, fit.model).labels
    assert fit.k == 3
    assert adjusted_rand_score(np.repeat([0, 1, 2], 100), labels) == 1.0
    within = sum(
        float(np.square(matrix[labels == label] - matrix[labels == label].mean(axis=0)).sum()) for label in range(3)
    )
    assert fit.inertia == pytest.approx(within, rel=1e-5)


def test_a_large_matrix_is_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Above their caps k-medoids, K-Prototypes, HDBSCAN and spectral clustering are fitted on a sample and label all rows."""
    monkeypatch.setattr(kmedoids, "MEDOID_ROWS", 120)
    monkeypatch.setattr(kprototypes, "PROTOTYPE_ROWS", 120)
    monkeypatch.setattr(hdbscan, "FIT_ROWS", 120)
    monkeypatch.setattr(spectral, "FIT_ROWS", 120)
    for algorithm in ("kmedoids", "kprototypes", "hdbscan", "spectral"):
        matrix, encoding = rows_for(algorithm)
        fit = fit_rows(algorithm, matrix, encoding)
        assert (fit.n_fitted, fit.k) == (120, 3)
        assert len(assign(matrix, fit.model).labels) == 300


def test_a_cluster_that_labels_no_row_is_dropped() -> None:
    """Prototypes that label no row leave the model, with a note, and the others are numbered on."""
    matrix = np.array([[0], [1], [10], [11]], dtype=np.float32)
    model = FittedModel("kmedoids", np.array([[0.0], [99.0], [10.0]]), (0, 1, 2))

    fitted, labels = _drop_empty_clusters(matrix, RawFit(model, 1, converged=True, won_by="x", n_fitted=4))

    assert fitted.model.labels == (0, 1)
    assert fitted.model.centers.tolist() == [[0.0], [10.0]]
    assert labels.tolist() == assign(matrix, fitted.model).labels.tolist() == [0, 0, 1, 1]
    assert fitted.notes == ("2 clusters instead of 3: no customer was nearest to the others",)


@pytest.mark.parametrize("algorithm", ["kmedoids", "gaussian_mixture", "spectral", "hdbscan"])
def test_fewer_distinct_rows_than_clusters_are_refused(algorithm: str) -> None:
    """Too few distinct rows are refused before any fit."""
    with pytest.raises(UnusableDataError, match="n_distinct_rows=1"):
        fit_rows(algorithm, np.ones((90, 3), dtype=np.float32), numeric_encoding(3))
