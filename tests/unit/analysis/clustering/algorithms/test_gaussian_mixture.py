"""Gaussian mixtures label by the likeliest component and find groups of unlike density."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.metrics import adjusted_rand_score
from support.algorithms import fit_rows, numeric_encoding

from segmentation_pipeline.analysis.clustering.labelling import assign


def test_a_mixture_labels_by_the_likeliest_component() -> None:
    """Labels are those of weight times density, the distance is Mahalanobis', the margin one less the odds."""
    rng = np.random.default_rng(3)
    long = rng.normal(size=(400, 2)) * [6, 0.3]
    matrix = np.concatenate([long, rng.normal(size=(100, 2)) * [0.3, 1] + [0, 4]]).astype(np.float32)
    model = fit_rows("gaussian_mixture", matrix, numeric_encoding(2), k=2).model
    assert model.weights is not None
    assert model.precisions is not None
    likelihood = np.stack(
        [
            weight * multivariate_normal(center, np.linalg.inv(precision)).pdf(matrix)
            for weight, center, precision in zip(model.weights, model.centers, model.precisions, strict=True)
        ],
        axis=1,
    )

    answer = assign(matrix, model)

    np.testing.assert_array_equal(answer.labels, likelihood.argmax(axis=1))
    np.testing.assert_allclose(answer.margin, 1 - likelihood.min(axis=1) / likelihood.max(axis=1), atol=1e-9)
    label = int(answer.labels[0])
    offset = matrix[0] - model.centers[label]
    assert answer.distance[0] == pytest.approx(float(np.sqrt(offset @ model.precisions[label] @ offset)), rel=1e-9)


def test_a_tight_group_in_a_wide_cloud_is_a_component() -> None:
    """A dense group within a wide one, which K-Means cuts in halves, is a component of a mixture."""
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1], 300)
    matrix = (rng.normal(size=(600, 2)) * np.where(truth, 0.1, 3.0)[:, None]).astype(np.float32)

    mixture, means = (fit_rows(name, matrix, numeric_encoding(2), k=2) for name in ("gaussian_mixture", "kmeans"))

    assert adjusted_rand_score(truth, assign(matrix, mixture.model).labels) > 0.95
    assert adjusted_rand_score(truth, assign(matrix, means.model).labels) < 0.2
