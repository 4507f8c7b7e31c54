"""Seeds for every K at once: distinct where they can be, and as good as those of a single K."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans

from segmentation_pipeline.analysis.clustering.seeding import init_from_seeds, seed_rows

K_MAX = 8


def _groups(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(600, 4)) + rng.normal(size=(6, 4))[rng.integers(6, size=600)] * 3).astype(np.float32)


@given(st.integers(0, 10_000), st.integers(1, 30), st.integers(1, 6), st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_seeds_are_rows_apart_as_long_as_there_are_some(seed: int, n: int, k: int, n_starts: int) -> None:
    """No two seeds of a start lie in the same place while some place has none."""
    rng = np.random.default_rng(seed)
    points = rng.integers(0, 2, size=(max(n, k), 3)).astype(np.float32)

    seeds = seed_rows(points, k, n_starts=n_starts, rng=rng)

    assert seeds.shape == (n_starts, k)
    places = len(np.unique(points, axis=0))
    for start in seeds:
        assert len(np.unique(points[start], axis=0)) == min(k, places)
        for first in range(1, k + 1):
            assert len(np.unique(points[start[:first]], axis=0)) == min(first, places)


def test_a_row_without_weight_is_no_seed() -> None:
    """The weights are those of a bootstrap: a row that was not drawn is not there."""
    points, weights = _groups(1), np.zeros(600)
    weights[::7] = 2.0

    seeds = seed_rows(points, K_MAX, n_starts=5, rng=np.random.default_rng(0), weights=weights)

    assert (seeds % 7 == 0).all()


@pytest.mark.parametrize("seed", range(5))
def test_the_first_seeds_are_as_good_as_seeds_of_their_own(seed: int) -> None:
    """From seeds for eight clusters every smaller K ends as low as from ten starts of its own."""
    points = _groups(seed)
    seeds = seed_rows(points, K_MAX, n_starts=10, rng=np.random.default_rng(seed))

    for k in range(2, K_MAX + 1):
        ours = KMeans(k, init=init_from_seeds(seeds), n_init=10).fit(points).inertia_
        theirs = [KMeans(k, n_init=10, random_state=other).fit(points).inertia_ for other in range(3)]
        assert ours <= max(theirs) * 1.005


def test_each_start_is_taken_once() -> None:
    """Scikit-learn asks for one start after the other, for the points it has centred."""
    points, seeds = np.arange(10.0).reshape(5, 2), np.array([[4, 0, 1], [2, 3, 0]])
    init = init_from_seeds(seeds)

    np.testing.assert_array_equal(init(points, 2, random_state=None), points[[4, 0]])
    np.testing.assert_array_equal(init(points, 3, random_state=None), points[[2, 3, 0]])
    with pytest.raises(StopIteration):
        init(points, 2, random_state=None)


def test_more_seeds_than_rows_are_refused() -> None:
    """More seeds than rows are refused with both numbers."""
    with pytest.raises(ValueError, match="n_samples=3 should be >= n_clusters=4"):
        seed_rows(np.eye(3), 4, n_starts=1, rng=np.random.default_rng(0))
