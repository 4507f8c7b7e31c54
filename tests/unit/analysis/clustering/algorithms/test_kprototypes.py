"""K-Prototypes labels rows as the package does, from a model that needs no package."""

from __future__ import annotations

import json

import numpy as np
import pytest
from kmodes.kprototypes import KPrototypes
from support.algorithms import fit_rows, mixed_rows, rows_for

from segmentation_pipeline.analysis.clustering.algorithms.kprototypes import build_estimator, split_columns
from segmentation_pipeline.analysis.clustering.labelling import assign
from segmentation_pipeline.errors import SpecError
from segmentation_pipeline.model import Encoding, FittedModel


@pytest.mark.parametrize("weights", [(0.5, 0.5), (0.5, 1.5)])
def test_kprototypes_labels_as_the_package_does(weights: tuple[float, float]) -> None:
    """The nearest saved prototype is the package's own prediction, unseen rows and unequal weights included."""
    matrix, encoding = mixed_rows(weights=weights)
    others, _ = mixed_rows(seed=9, weights=weights)
    parts = split_columns(matrix, encoding)
    estimator = build_estimator(parts, 3, n_init=3, seed=1)
    if weights[0] == weights[1]:  # then it is the package's plain rule with one gamma
        estimator = KPrototypes(3, gamma=2 * weights[0] ** 2, n_init=3, random_state=1)
    estimator.fit(parts.to_table(matrix), categorical=parts.categorical)

    model = FittedModel("kprototypes", parts.to_centers(estimator.cluster_centroids_, matrix.shape[1]), (0, 1, 2))

    for rows in (matrix, others):
        theirs = estimator.predict(parts.to_table(rows), categorical=parts.categorical)
        np.testing.assert_array_equal(assign(rows, model).labels, theirs)
    # and its distance is the package's cost
    assert float(np.square(assign(matrix, model).distance).sum()) == pytest.approx(estimator.cost_, rel=1e-6)


def test_kprototypes_records_gamma_and_its_prototypes_are_modes() -> None:
    """A mismatch costs 2 w^2 in each feature, and a prototype has exactly one category of each."""
    matrix, encoding = mixed_rows(weights=(0.5, 1.0))

    model = FittedModel.from_json(json.loads(json.dumps(fit_rows("kprototypes", matrix, encoding).model.to_json())))

    assert model.gamma == {"plan": 0.5, "city": 2.0}
    assert (np.sort(model.centers[:, 2:5]) == [0, 0, 0.5]).all()
    assert (np.sort(model.centers[:, 5:]) == [0, 0, 0, 1]).all()


def test_kprototypes_with_nothing_but_categories() -> None:
    """Without a number the prototypes are modes alone."""
    matrix, encoding = mixed_rows()
    only = Encoding(encoding.features[2:])

    fit = fit_rows("kprototypes", np.ascontiguousarray(matrix[:, 2:]), only)

    assert fit.model.centers.shape == (3, 7)


def test_kprototypes_without_categories_is_refused() -> None:
    """Numbers alone are refused with the features' names."""
    matrix, encoding = rows_for("kmeans")

    with pytest.raises(SpecError, match=r"none of n0, n1, n2 has any. Use kmeans or kmedoids"):
        fit_rows("kprototypes", matrix, encoding)
