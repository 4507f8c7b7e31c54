"""Every form of the Euclidean distance equals the definition, and other rooms compute none themselves."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segmentation_pipeline.analysis.arrays import distances
from segmentation_pipeline.analysis.arrays.distances import (
    all_distances,
    complete_distances,
    distance_between,
    inertia,
    inertia_within,
    iter_centred_blocks,
    partial_distances,
    product_distances,
    squared_distances,
    squared_distances_between,
    squared_distances_to,
    squared_mahalanobis_distances,
)

ANALYSIS = Path(distances.__file__).parents[1]
# what a distance is written with
WRITTEN = re.compile(
    r'linalg\.norm|einsum\("ij,ij->i"|pairwise_distances|cdist|(\*\* 2|np\.square\(.*)\)\.sum\(axis=(-1|1|2)\)'
)


@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 5), st.sampled_from([0.0, 100.0, -1e4]))
@settings(max_examples=80, deadline=None)
def test_the_inertia_is_the_sum_over_the_rows(seed: int, n: int, k: int, offset: float) -> None:
    """The inertia is exact however far from the origin the rows lie, and where rows and centers are the same."""
    rng = np.random.default_rng(seed)
    matrix = (rng.integers(-2, 3, size=(n, 3)) + offset).astype(np.float32)
    centers = matrix[rng.integers(n, size=k)].astype(np.float64) + rng.integers(0, 2) * rng.normal(size=(k, 3))

    exact = np.square(matrix[:, None].astype(np.float64) - centers).sum(axis=2).min(axis=1).sum()

    assert inertia(matrix, centers) == pytest.approx(exact, rel=1e-12, abs=1e-12)


def test_blocks_make_no_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """The inertia is the same in blocks of which the last is shorter."""
    rng = np.random.default_rng(0)
    matrix, centers = rng.normal(size=(1_000, 4)).astype(np.float32), rng.normal(size=(3, 4))
    whole = inertia(matrix, centers)
    monkeypatch.setattr(distances, "BLOCK_ROWS", 300)

    assert inertia(matrix, centers) == pytest.approx(whole, rel=1e-13)


@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(1, 6))
@settings(max_examples=40, deadline=None)
def test_every_form_is_the_definition(seed: int, n: int, k: int) -> None:
    """One difference at a time, as a product, or all at once: the distances are those of the definition."""
    rng = np.random.default_rng(seed)
    rows, centers = rng.normal(size=(n, 3)).astype(np.float32), rng.normal(size=(k, 3))
    wide = rows.astype(np.float64)
    exact = np.array([[np.linalg.norm(row - center) for center in centers] for row in wide])
    (block,) = iter_centred_blocks(rows, np.zeros(3))

    for squared in (
        squared_distances(rows, centers),
        squared_distances_between(wide, centers),
        np.stack([squared_distances_to(center, wide) for center in centers], axis=1),
        complete_distances(partial_distances(block.rows, centers), block.norms).T,
        squared_mahalanobis_distances(rows, centers, np.stack([np.eye(3)] * k)),
    ):
        np.testing.assert_allclose(squared, exact**2, atol=1e-12)
    np.testing.assert_allclose(product_distances(wide, centers), exact, atol=1e-7)
    assert distance_between(wide[0], centers[0]) == pytest.approx(exact[0, 0])
    np.testing.assert_allclose(all_distances(rows), np.sqrt(squared_distances(rows, wide)), atol=1e-3)


def test_the_inertia_within_is_that_around_the_means(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows without a cluster are left out, and blocks make no difference."""
    rng = np.random.default_rng(0)
    matrix, labels = rng.normal(size=(1_000, 4)).astype(np.float32), rng.integers(-1, 3, 1_000)
    members = [matrix[labels == label].astype(np.float64) for label in range(3)]
    exact = sum(float(np.square(rows - rows.mean(axis=0)).sum()) for rows in members)

    assert inertia_within(matrix, labels, 3) == pytest.approx(exact, rel=1e-12)
    monkeypatch.setattr(distances, "SUM_ROWS", 300)
    assert inertia_within(matrix, labels, 3) == pytest.approx(exact, rel=1e-12)


def test_distances_are_computed_in_this_room_alone() -> None:
    """The other rooms of the analysis call these functions; none writes a distance out itself."""
    others = [path for path in sorted(ANALYSIS.rglob("*.py")) if path.parent.name != "arrays"]
    assert [path.name for path in others if WRITTEN.search(path.read_text())] == []
