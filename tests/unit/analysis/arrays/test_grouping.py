"""Rows sorted by their group equal those that a mask for each group selects, in the same order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segmentation_pipeline.analysis.arrays.grouping import MOST_COUNTED, Groups


@given(st.lists(st.integers(-1, 4), max_size=60), st.integers(5, 7))
def test_each_group_has_its_rows_in_their_order(labels: list[int], n_groups: int) -> None:
    """Groups without rows are empty, and rows without a group are in none."""
    own, values = np.array(labels, dtype=np.int64), np.arange(2.0 * len(labels)).reshape(-1, 2)

    groups = Groups.of(own, n_groups)

    assert groups.sizes.tolist() == [labels.count(group) for group in range(n_groups)]
    for group, (rows, part) in enumerate(zip(groups.rows, groups.split(values), strict=True)):
        np.testing.assert_array_equal(rows, np.flatnonzero(own == group))
        np.testing.assert_array_equal(part, values[own == group])


@pytest.mark.parametrize("n_groups", [MOST_COUNTED, MOST_COUNTED + 1, 70_000])
def test_there_may_be_many_groups(n_groups: int) -> None:
    """There may be more groups than a 16-bit number can distinguish."""
    labels = np.array([n_groups - 1, 0, -1, n_groups - 2, 0])

    groups = Groups.of(labels, n_groups)

    assert groups.order.tolist() == [1, 4, 3, 0]
    assert groups.sizes[[0, n_groups - 2, n_groups - 1]].tolist() == [2, 1, 1]


def test_there_may_be_no_group() -> None:
    """Without any group there is nothing to split."""
    groups = Groups.of(np.array([-1, -1]), 0)

    assert groups.rows == groups.split(np.zeros(2)) == []
    assert groups.sizes.tolist() == []
