"""HDBSCAN and spectral clustering: shapes that K-Means cuts through, and customers who are unassigned."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import make_moons
from sklearn.metrics import adjusted_rand_score
from support.algorithms import fit_rows, labelled_set, numeric_encoding, rows_for

from segmentation_pipeline.analysis.clustering.labelling import assign
from segmentation_pipeline.errors import UnusableDataError


def test_far_customers_are_unassigned() -> None:
    """Beyond the radius a customer has no label, the nearest segment as second, and margin 0."""
    matrix, encoding = rows_for("hdbscan")
    model = fit_rows("hdbscan", matrix, encoding).model
    near = int(assign(matrix[-1:], model).labels[0])

    answer = assign(np.array([[60, 60, 60]], dtype=np.float32), model)

    assert (answer.labels.tolist(), answer.second_labels.tolist(), answer.margin.tolist()) == ([-1], [near], [0.0])


@pytest.mark.parametrize("algorithm", ["hdbscan", "spectral"])
def test_shapes_label_new_customers(algorithm: str) -> None:
    """Two moons fitted on one draw are recognised in another, which K-Means cannot do."""
    matrix, _ = make_moons(600, noise=0.05, random_state=0)
    fresh, truth = make_moons(600, noise=0.05, random_state=1)

    fit = fit_rows(algorithm, matrix.astype(np.float32), numeric_encoding(2), k=2)

    answer = assign(fresh.astype(np.float32), fit.model)
    assert adjusted_rand_score(truth, answer.labels) > 0.95
    assert np.mean(answer.labels < 0) < 0.02
    means = fit_rows("kmeans", matrix.astype(np.float32), numeric_encoding(2), k=2)
    assert adjusted_rand_score(truth, assign(fresh.astype(np.float32), means.model).labels) < 0.6


@pytest.mark.parametrize("name", ["chainlink", "smile", "jain"])
def test_hdbscan_recovers_the_shapes_that_kmeans_cuts(name: str) -> None:
    """On labelled sets of chains and faces hdbscan reaches an adjusted Rand of 0.9, K-Means with the true K does not."""
    matrix, truth = labelled_set(name)
    k = len(set(truth.tolist()))

    shapes, means = (fit_rows(name, matrix, numeric_encoding(matrix.shape[1]), k=k) for name in ("hdbscan", "kmeans"))

    assert adjusted_rand_score(truth, assign(matrix, shapes.model).labels) >= 0.9
    assert adjusted_rand_score(truth, assign(matrix, means.model).labels) < 0.6


def test_no_dense_groups_are_refused() -> None:
    """Where hdbscan finds fewer than two dense groups the fit fails and says what to use."""
    matrix = np.random.default_rng(0).normal(size=(25, 2)).astype(np.float32)

    with pytest.raises(UnusableDataError, match=r"no two dense groups of at least 5 in 25 customers. Use kmeans"):
        fit_rows("hdbscan", matrix, numeric_encoding(2))
