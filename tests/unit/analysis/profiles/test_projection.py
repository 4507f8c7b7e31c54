"""Customers on a plane."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

from segmentation_pipeline.analysis.profiles.projection import project


def _matrix(n: int = 200, width: int = 4) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (rng.normal(size=(n, width)) * np.arange(width, 0, -1)).astype(np.float32)


def test_all_rows_are_on_scikit_learns_principal_axes() -> None:
    """A small number of rows is shown whole, at their first two principal components."""
    matrix = _matrix()
    pca = PCA(n_components=2).fit(matrix.astype(np.float64))

    projection = project(matrix, max_points=1000, seed=0)

    assert projection.rows.tolist() == list(range(200))
    np.testing.assert_allclose(np.abs(projection.points), np.abs(pca.transform(matrix.astype(np.float64))), atol=1e-9)
    np.testing.assert_allclose(projection.explained, pca.explained_variance_ratio_, rtol=1e-9)


def test_many_rows_are_sampled_by_the_seed() -> None:
    """Too many rows are thinned out to distinct ones in order, the same for the same seed only."""
    matrix = _matrix()

    one, same, other = (project(matrix, max_points=50, seed=seed) for seed in (1, 1, 2))

    assert one.points.shape == (50, 2)
    assert one.rows.tolist() == sorted(set(one.rows.tolist()))
    assert one.rows.max() < 200
    np.testing.assert_array_equal(one.points, same.points)
    assert one.rows.tolist() != other.rows.tolist()


def test_the_points_are_of_the_rows_that_are_named() -> None:
    """Each point is the projection of the row that it names."""
    matrix = np.zeros((100, 3), dtype=np.float32)
    matrix[:, 1] = np.arange(100)

    projection = project(matrix, max_points=20, seed=0)

    steps = np.diff(projection.points[:, 0]) / np.diff(projection.rows)
    np.testing.assert_allclose(np.abs(steps), 1.0, atol=1e-9)


def test_one_feature_lies_on_a_line() -> None:
    """With a single column the first axis explains everything and the second is zero."""
    projection = project(_matrix(width=1), max_points=1000, seed=0)

    assert projection.points.shape == (200, 2)
    assert np.ptp(projection.points[:, 0]) > 1
    assert not projection.points[:, 1].any()
    np.testing.assert_allclose(projection.explained, [1, 0])


@pytest.mark.parametrize("matrix", [np.full((5, 3), 2.5), np.ones((1, 3)), np.ones((1, 1)), np.zeros((2, 1))])
def test_customers_who_are_all_the_same_are_one_point(matrix: np.ndarray) -> None:
    """Rows without variance, a single row too, lie at the origin, and no axis explains anything."""
    projection = project(matrix.astype(np.float32), max_points=10, seed=0)

    np.testing.assert_allclose(projection.points, np.zeros((len(matrix), 2)), atol=1e-12)
    assert projection.explained.tolist() == [0.0, 0.0]
