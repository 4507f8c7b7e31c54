"""Customers are counted by cluster, and by cluster and segment."""

import numpy as np
import pytest

from segmentation_pipeline.analysis.identity.overlap import ClusterSizes, Overlap, count_clusters, count_overlap
from segmentation_pipeline.model import UNASSIGNED


def test_the_overlap_counts_customers() -> None:
    """The overlap matrix counts customers, and its Jaccard index divides the shared by those of either."""
    clusters = np.array([0] * 8 + [1] * 7 + [-1] * 7)
    labels = np.array([5] * 6 + [9] * 2 + [9] * 4 + [UNASSIGNED] * 3 + [5] * 7)

    overlap = count_overlap(clusters, labels, (9, 5), k=2)

    assert overlap.segment_ids == (5, 9)
    assert overlap.counts.tolist() == [[6, 2], [0, 4]]
    assert (overlap.cluster_sizes.tolist(), overlap.segment_sizes.tolist()) == ([8, 4], [6, 6])
    np.testing.assert_allclose(overlap.jaccard, [[6 / 8, 2 / 12], [0, 4 / 6]])


def test_an_overlap_without_customers_is_all_zero() -> None:
    """Nobody shares anything, and the Jaccard index divides nothing by nothing."""
    overlap = Overlap.empty((9, 5), k=2)

    assert overlap.segment_ids == (5, 9)
    assert overlap.jaccard.tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_clusters_in_another_order_keep_their_counts() -> None:
    """The first cluster of the order is the first row; the totals of the segments stay."""
    overlap = count_overlap(np.array([0, 0, 1]), np.array([5, 9, 9]), (5, 9), k=2)

    turned = overlap.reorder(np.array([1, 0]))

    assert turned.counts.tolist() == [[0, 1], [1, 1]]
    assert (turned.cluster_sizes.tolist(), turned.segment_sizes.tolist()) == ([1, 2], [1, 2])


@pytest.mark.parametrize(
    ("clusters", "order"),
    [([0, 1, 1, 2, 2, 2], [2, 1, 0]), ([2, 0, 1], [2, 0, 1]), ([-1, 1, 0, 1, 0], [1, 0, 2]), ([], [0, 1, 2])],
)
def test_clusters_are_ordered_by_size_and_then_by_their_first_row(clusters: list[int], order: list[int]) -> None:
    """The largest comes first, of two equal ones the one of the earlier row; empty ones keep their order."""
    assert count_clusters(np.array(clusters, dtype=np.int64), k=3).order().tolist() == order
    assert ClusterSizes.empty(3).order().tolist() == [0, 1, 2]
