"""Distinct rows are counted in blocks, and fewer than K are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segmentation_pipeline.analysis.clustering import distinct_rows
from segmentation_pipeline.analysis.clustering.distinct_rows import count_distinct_rows, require_distinct_rows
from segmentation_pipeline.errors import UnusableDataError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _matrix(n: int = 300, width: int = 5, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(n, width)).astype(np.float32)


@given(n=st.integers(0, 30), width=st.integers(1, 3), seed=st.integers(0, 100), block=st.sampled_from([1, 4, 100]))
@settings(deadline=None, max_examples=40)
def test_distinct_rows_are_counted_over_blocks(n: int, width: int, seed: int, block: int) -> None:
    """The count is numpy's for the whole matrix, whatever the size of the blocks."""
    matrix = np.random.default_rng(seed).integers(-1, 2, (n, width)).astype(np.float32)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distinct_rows, "LARGEST_BLOCK_ROWS", block)
        counted = count_distinct_rows(matrix, enough=10**6)

    assert counted == len(np.unique(matrix, axis=0))


def test_minus_zero_is_zero() -> None:
    """Rows that differ only in the sign of a zero are the same row."""
    assert count_distinct_rows(np.array([[0.0], [-0.0]], dtype=np.float32), enough=9) == 1


def test_counting_stops_when_there_are_enough() -> None:
    """A count that has reached what is wanted stops reading."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distinct_rows, "FIRST_BLOCK_ROWS", 10)
        assert count_distinct_rows(_matrix(n=300), enough=5) == 10


def test_enough_distinct_rows_are_not_refused() -> None:
    """Exactly as many distinct rows as wanted pass; one row less does not."""
    matrix = np.repeat(_matrix(n=3), 2, axis=0)

    require_distinct_rows(matrix, 3)
    with pytest.raises(UnusableDataError, match="n_distinct_rows=3 should be >= n_clusters=4"):
        require_distinct_rows(matrix, 4)
