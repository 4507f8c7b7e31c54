"""Stability of the clusters of each K, under other customers and other starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from segmentation_pipeline.analysis.selection.stability import (
    UNSTABLE_BELOW,
    adjusted_rand_index,
    measure_stability,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from segmentation_pipeline.analysis.selection.stability import Stability

# Hennig's "stable": above it a cluster is found again nearly always
STABLE_ABOVE = 0.75


def _groups(k: int, d: int, *, apart: float = 8.0, n: int = 400, seed: int = 0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    centers = np.linalg.qr(rng.normal(size=(max(d, k), d)))[0][:k] * apart
    return (centers[np.arange(n) % k] + rng.normal(size=(n, d))).astype(np.float32)


def _stability(matrix: NDArray[np.float32], ks: Any, seed: int = 0, **others: Any) -> dict[int, Stability]:
    return measure_stability(matrix, ks, rng=np.random.default_rng(seed), **others)


def test_the_groups_that_are_there_are_stable_and_more_of_them_are_not() -> None:
    """Three plain groups are found again in every sample; a K that must cut one of them is not."""
    found = _stability(_groups(3, 3), range(2, 8))
    assert [*found] == [2, 3, 4, 5, 6, 7]
    assert found[3].jaccard > 0.99
    assert found[3].jaccard > STABLE_ABOVE
    assert found[3].agreement == pytest.approx(1.0)
    assert found[7].jaccard < 0.6
    assert found[7].jaccard < UNSTABLE_BELOW


def test_the_cluster_that_is_not_found_again_is_seen() -> None:
    """Six far groups of which one has to be cut: the mean looks fair, the weakest cluster does not."""
    found = _stability(_groups(6, 6, apart=30.0, n=600), [7])[7]
    assert min(found.jaccards) < 0.6 < found.jaccard


def test_one_group_has_no_stable_clusters() -> None:
    """K-Means cuts one Gaussian somewhere else in every sample and from every start."""
    matrix = np.random.default_rng(0).normal(size=(500, 6)).astype(np.float32)
    for found in _stability(matrix, range(3, 7)).values():
        assert found.jaccard < UNSTABLE_BELOW
        assert found.agreement < 0.6


def test_a_k_with_several_optima_shows_it_in_the_agreement() -> None:
    """Four corners of a square cut in two: either way is as good, and the starts disagree."""
    corners = np.array([[0, 0], [0, 10], [10, 0], [10, 10]], dtype=np.float32)
    matrix = np.repeat(corners, 50, axis=0) + np.random.default_rng(1).normal(size=(200, 2)).astype(np.float32)
    found = _stability(matrix, [2, 4])
    assert found[2].agreement < 0.9
    assert found[4].agreement > 0.9


def test_the_same_seed_gives_the_same_answer() -> None:
    """All chance comes from the generator that is passed in."""
    matrix = _groups(4, 3, apart=4.0)
    assert _stability(matrix, [3, 5], seed=7) == _stability(matrix, [3, 5], seed=7)
    assert _stability(matrix, [5], seed=7) != _stability(matrix, [5], seed=8)


def test_many_rows_are_sampled() -> None:
    """Two hundred thousand customers are judged by a sample, with the same answer."""
    found = _stability(_groups(3, 3, n=200_000), [3], max_rows=300)[3]
    assert found.jaccard > 0.99


def test_a_cluster_missing_from_some_samples_is_judged_by_the_others() -> None:
    """Two far customers own a cluster: the samples they are not in say nothing about it."""
    matrix = np.concatenate([_groups(2, 2, n=100), np.full((2, 2), 90, dtype=np.float32)])
    found = _stability(matrix, [3])[3]
    assert 0 < min(found.jaccards) <= found.jaccard <= 1


@pytest.mark.parametrize(
    ("ks", "others", "message"),
    [
        ([1], {}, "K = 1 should be at least 2"),
        ([2, 6], {}, "K = 6 should be at least 2 and below the 5 distinct rows"),
        ([2], {"n_seeds": 1}, "n_seeds=1"),
        ([2], {"n_bootstraps": 0}, "n_bootstraps=0"),
    ],
)
def test_what_cannot_be_judged_is_refused(ks: list[int], others: dict[str, int], message: str) -> None:
    """A K that the rows do not allow, or a lack of refits to compare with, is an error that says so."""
    matrix = np.repeat(np.arange(5, dtype=np.float32)[:, None], 4, axis=0)
    with pytest.raises(ValueError, match=message):
        _stability(matrix, ks, **others)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60))
def test_the_agreement_is_the_adjusted_rand_index(pairs: list[tuple[int, int]]) -> None:
    """Of scikit-learn, also where a partition has one cluster or every row is its own."""
    one, other = np.array(pairs).T
    assert adjusted_rand_index(one, other, 5) == pytest.approx(adjusted_rand_score(one, other), abs=1e-12)
