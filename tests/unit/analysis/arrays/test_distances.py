"""The inertia, computed as one product per block, equals the sum over the rows one by one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segmentation_pipeline.analysis.arrays import distances
from segmentation_pipeline.analysis.arrays.distances import inertia


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
