"""Sums of distances to groups of rows equal those of single distances."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation_pipeline.analysis.arrays.distance_sums import DOUBLE_ROWS, Runs, sum_distances


@pytest.mark.parametrize("n_rows", [300, DOUBLE_ROWS + 5])
def test_distances_are_summed_by_group(n_rows: int) -> None:
    """One-hot columns and runs have the sums of all single distances, in float64 and, for many rows, in float32."""
    rng = np.random.default_rng(1)
    data, codes = rng.uniform(-1, 1, size=(n_rows, 4)), np.sort(rng.integers(0, 3, n_rows))
    exact = np.linalg.norm(data[20:60, None] - data[None], axis=2) @ np.eye(3)[codes]

    for members in (np.eye(3, dtype=np.float32)[codes], Runs.of(codes, 3)):
        np.testing.assert_allclose(sum_distances(data, 20, 60, members), exact, rtol=1e-5)


@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=40),
    st.integers(1, 12),
    st.integers(0, 2**32 - 1),
)
def test_runs_add_up_as_one_hot_columns_do(codes: list[int], width: int, seed: int) -> None:
    """The sums are those of one-hot columns whatever runs are empty, and wherever a strip of columns begins and ends."""
    ascending = np.sort(np.array(codes, dtype=np.intp))
    strip = np.random.default_rng(seed).random((3, len(ascending)))
    runs = Runs.of(ascending, 8)
    found = np.zeros((3, 8))

    for left in range(0, len(ascending), width):
        runs.add(strip[:, left : left + width], left, into=found)

    np.testing.assert_allclose(found, strip @ np.eye(8)[ascending])
