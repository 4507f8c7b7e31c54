"""How much a cluster and a segment overlap by their places in an earlier snapshot's frame."""

from typing import Any

import numpy as np
import pytest

from segmentation_pipeline.analysis.identity.places import (
    Spreads,
    begin_spreads,
    compare_places,
    has_places,
    measure_spreads,
)
from segmentation_pipeline.model import FittedModel

# two clusters of unit spread along both axes, around (0, 0) and (10, 0)
PLACES = np.random.default_rng(0).normal(size=(4000, 2)).astype(np.float32)
PLACES[2000:, 0] += 10
TWO = np.repeat([0, 1], 2000)


def _likeness(*centers: tuple[float, float]) -> Any:
    return compare_places(_spreads(PLACES, TWO), FittedModel("kmeans", np.array(centers), (1, 2)), (1, 2))


def _spreads(matrix: Any, clusters: Any, *, middle: float = 3.0) -> Spreads:
    """The spreads of two clusters, measured in two parts."""
    around = np.full(matrix.shape[1], middle)
    one, other = (
        measure_spreads(matrix[part], clusters[part], k=2, middle=around, start=part.start)
        for part in (slice(0, 3), slice(3, None))
    )
    return begin_spreads(k=2, middle=around).merge(one).merge(other).finish()


def test_a_cluster_is_like_the_segment_that_lies_where_it_lies() -> None:
    """Normals of one place overlap fully; those two spreads apart by 2 Phi(-1), those ten apart not at all."""
    likeness = _likeness((0.0, 0.0), (12.0, 0.0))

    np.testing.assert_allclose(likeness, [[1.0, 0.0], [0.0, 0.317]], atol=0.03)


def test_the_place_is_measured_along_the_way_between_the_two() -> None:
    """Three spreads away in any direction is three spreads away."""
    np.testing.assert_allclose(np.diag(_likeness((0.0, 3.0), (10.0, -3.0))), [0.134, 0.134], atol=0.02)


@pytest.mark.parametrize("middle", [0.0, 1e4])
def test_the_spread_of_a_cluster_is_that_of_its_rows(middle: float) -> None:
    """Added up in parts and around any middle, mean and deviation along a direction are those of the rows."""
    direction = np.array([[0.6, 0.8]])
    spreads = _spreads(PLACES, TWO, middle=middle)

    for cluster in (0, 1):
        rows = PLACES[cluster == TWO].astype(np.float64)
        np.testing.assert_allclose(spreads.mean(cluster), rows.mean(axis=0), atol=1e-6)
        np.testing.assert_allclose(spreads.along(cluster, direction), (rows @ direction.T).std(axis=0), rtol=1e-6)


def test_a_segment_of_several_prototypes_has_no_place() -> None:
    """A ring's prototypes have no common center that would say where it lies."""
    centers = np.array([(0.0, 0.0), (12.0, 0.0), (5.0, 5.0)])

    assert has_places(FittedModel("kmeans", centers, (1, 2, 3)), (1, 2, 3))
    assert not has_places(FittedModel("kmeans", centers, (1, 2, 2)), (1, 2))


def test_a_cluster_of_equals_is_not_a_point() -> None:
    """Equal customers still overlap with a segment a twentieth of a standard deviation away."""
    model = FittedModel("kmeans", np.array([[0.05]]), (1,))

    likeness = compare_places(_spreads(np.zeros((5, 1), dtype=np.float32), np.zeros(5, dtype=np.int64)), model, (1,))

    assert likeness[0, 0] > 0.8
    assert likeness[1, 0] == 0.0


def test_parts_without_the_first_rows_have_no_sum() -> None:
    """A part from the middle of the rows waits for the rows before it."""
    part = measure_spreads(PLACES, TWO, k=2, middle=np.zeros(2), start=10)

    with pytest.raises(ValueError, match="the part begins at row 10: merge the parts from row 0 on"):
        part.merge(part).finish()
