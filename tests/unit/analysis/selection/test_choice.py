"""Which K is chosen from given evidence, and the dip test that vetoes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from segmentation_pipeline.analysis.selection.choice import choose_k, find_elbow
from segmentation_pipeline.analysis.selection.dip import (
    UNIMODAL_P,
    dip_p_value,
    find_steps,
    measure_neighbour_dips,
)
from segmentation_pipeline.model import SweepCandidate

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _candidate(k: int, simplified: float, *, dip: float | None = 0.3, **others: Any) -> SweepCandidate:
    plain = SweepCandidate(
        k=k,
        inertia=100.0 / k,
        silhouette=simplified - 0.1,
        simplified_silhouette=simplified,
        davies_bouldin=1.0 - simplified,
        calinski_harabasz=100.0,
        smallest_share=0.1,
        largest_share=0.5,
        dip_p_value=dip,
    )
    return replace(plain, **others)


def _bells(*centers: float, sizes: tuple[int, ...], seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Bells of width 1 on a line."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(centers)), sizes)
    return (np.array(centers)[labels] + rng.normal(size=len(labels)))[:, None], labels


def _p_value(matrix: NDArray[np.float64], labels: NDArray[np.int64], **others: Any) -> float:
    centers = np.array([matrix[labels == cluster].mean(axis=0) for cluster in range(labels.max() + 1)])
    return measure_neighbour_dips(matrix, centers, labels, rng=np.random.default_rng(0), **others).p_value


def test_the_best_simplified_silhouette_wins_and_says_so() -> None:
    """Without a veto the highest simplified silhouette is taken, with the runner-up in the reason."""
    choice = choose_k([_candidate(2, 0.40), _candidate(3, 0.51), _candidate(4, 0.47)])
    assert (choice.k, choice.runner_up, choice.vetoed) == (3, 4, ())
    assert choice.reason.startswith("K = 3: silhouette 0.41, simplified 0.51 (K = 4: 0.37, 0.47)")


def test_a_veto_leads_to_a_smaller_k() -> None:
    """Where neighbours are one group the best smaller K without a veto is taken, and the reason names the veto."""
    choice = choose_k([_candidate(2, 0.40), _candidate(3, 0.45), _candidate(5, 0.55, dip=0.97)])
    assert (choice.k, choice.vetoed) == (3, (5,))
    assert "alone would have said 5, but K = 5 cuts through one group (dip p = 0.97)" in choice.reason


def test_a_veto_never_leads_to_a_larger_k() -> None:
    """A coarse split without a valley is not evidence for a finer one: it is kept, and the reason says so."""
    choice = choose_k([_candidate(2, 0.30, dip=0.99), _candidate(7, 0.2, dip=0.4)])
    assert choice.k == 2
    assert "K = 2 cuts through one group" in choice.reason


def test_nested_groups_with_proven_valleys_are_taken_when_as_good() -> None:
    """A larger K is taken if its silhouette is practically as good and every pair has a proven valley."""
    near = [_candidate(6, 0.84, dip=0.0), _candidate(8, 0.83, dip=0.001)]
    choice = choose_k(near)
    assert choice.k == 8
    assert "alone would have said 6, but K = 8 is practically as good" in choice.reason
    assert choose_k([near[0], replace(near[1], dip_p_value=0.2)]).k == 6


def test_a_larger_k_with_valleys_that_is_worse_is_mentioned() -> None:
    """Two close personas and a far one: the finer K is worth a clause."""
    choice = choose_k([_candidate(2, 0.70), _candidate(3, 0.69, dip=None), _candidate(4, 0.55, dip=0.0)])
    assert choice.k == 2
    assert "; K = 4 also has a valley between all neighbours: segments may nest" in choice.reason


def test_the_parents_k_is_kept_unless_another_is_clearly_better() -> None:
    """A gain of less than a hundredth does not change the number of segments; a clear one does."""
    near = [_candidate(4, 0.500), _candidate(5, 0.508)]
    assert choose_k(near, parent_k=4).k == 4
    assert "the parent's K is kept: K = 5 is not clearly better" in choose_k(near, parent_k=4).reason
    assert choose_k([_candidate(4, 0.40), _candidate(5, 0.52)], parent_k=4).k == 5


def test_a_group_that_is_plainly_there_is_born_at_once() -> None:
    """A larger K with a proven valley between all neighbours is taken over the parent's, however small the gain."""
    assert choose_k([_candidate(4, 0.500), _candidate(5, 0.501, dip=0.0)], parent_k=4).k == 5


def test_groups_that_are_plainly_there_are_not_merged_away() -> None:
    """Where the parent's K still has a valley between all neighbours, fewer and farther groups do not replace it."""
    found = [_candidate(2, 0.70), _candidate(4, 0.55, dip=0.0)]
    assert choose_k(found).k == 2
    assert choose_k(found, parent_k=4).k == 4
    # groups that are there need less proof to stay than new ones to come
    edge = [found[0], replace(found[1], dip_p_value=0.05)]
    assert choose_k(edge, parent_k=4).k == 4
    assert choose_k(edge, parent_k=2).k == 2
    assert choose_k([found[0], replace(found[1], dip_p_value=0.3)], parent_k=4).k == 2


def test_a_gain_within_its_paired_error_keeps_the_parents_k() -> None:
    """A gain that the same rows do not show consistently does not count."""
    both = [_candidate(4, 0.40), _candidate(5, 0.50)]
    noisy = {4: np.zeros(50), 5: np.random.default_rng(0).normal(0.1, 2.0, 50)}
    steady = {4: np.zeros(50), 5: np.full(50, 0.1)}
    assert choose_k(both, parent_k=4, row_scores=noisy).k == 4
    assert choose_k(both, parent_k=4, row_scores=steady).k == 5


def test_a_vetoed_parents_k_is_given_up() -> None:
    """The parent's K is not kept where it now cuts through a group."""
    assert choose_k([_candidate(4, 0.50), _candidate(5, 0.51, dip=0.99)], parent_k=5).k == 4


def test_an_unstable_choice_is_reported() -> None:
    """Stability below Hennig's 0.6 is a clause of the reason."""
    found = [_candidate(3, 0.51), _candidate(5, 0.48, stability=0.52)]
    assert "K = 5 is unstable (0.52)" in choose_k(found).reason


@pytest.mark.parametrize(
    ("stability", "unstable"), [(0.0, True), (0.59, True), (0.6, False), (0.75, False), (0.76, False)]
)
def test_the_limit_of_stability_is_hennigs(stability: float, unstable: bool) -> None:
    """Below 0.6 a clustering dissolves; at 0.6 and above nothing is reported."""
    reason = choose_k([_candidate(3, 0.51, stability=stability)]).reason
    assert (f"K = 3 is unstable ({stability:.2f})" in reason) == unstable
    assert ("unstable" in reason) == unstable


def test_the_other_policies_follow_their_own_figure() -> None:
    """silhouette, davies_bouldin, gap and fixed each look at their own evidence only."""
    found = [
        _candidate(2, 0.5, silhouette=0.2, davies_bouldin=0.9, gap=0.1, gap_error=0.01),
        _candidate(3, 0.4, silhouette=0.6, davies_bouldin=0.8, gap=0.5, gap_error=0.01),
        _candidate(4, 0.3, silhouette=0.1, davies_bouldin=0.3, gap=0.505, gap_error=0.01),
    ]
    assert choose_k(found, policy="silhouette").k == 3
    assert choose_k(found, policy="davies_bouldin").k == 4
    assert choose_k(found, policy="gap").k == 3
    fixed = choose_k(found, policy="fixed", fixed_k=4)
    assert (fixed.k, fixed.reason[:14]) == (4, "K = 4 (fixed):")


def test_the_elbow_is_named_and_never_followed() -> None:
    """The inertia's corner is reported where it disagrees, and K = 1 can make K = 2 the corner."""
    inertias = {2: 20.0, 3: 18.0, 4: 16.0, 5: 14.0}
    assert find_elbow(inertias, inertia_of_one=100.0) == 2
    assert find_elbow({2: 5.0, 3: 4.0}) is None
    found = [_candidate(k, 0.3 + k / 100, inertia=inertia) for k, inertia in inertias.items()]
    assert "the elbow would have said 2" in choose_k(found, inertia_of_one=100.0).reason


@pytest.mark.parametrize(
    ("found", "options", "message"),
    [
        ([], {}, "no candidates"),
        ([_candidate(2, 0.1)], {"policy": "fixed", "fixed_k": 5}, r"fixed at 5, candidates are \[2\]"),
        ([_candidate(2, 0.1), _candidate(3, 0.1)], {"policy": "gap"}, "needs the gap statistic"),
    ],
)
def test_missing_evidence_is_an_error(found: list[SweepCandidate], options: dict[str, Any], message: str) -> None:
    """A choice that cannot be made says what is missing."""
    with pytest.raises(ValueError, match=message):
        choose_k(found, **options)


def test_a_single_candidate_is_chosen() -> None:
    """One K leaves no runner-up and no elbow."""
    choice = choose_k([_candidate(4, 0.2)])
    assert (choice.k, choice.runner_up, choice.elbow_k) == (4, None, None)


def test_one_bell_cut_in_two_has_no_valley() -> None:
    """Halves of one bell are over-split, two bells are not."""
    one, _ = _bells(0.0, sizes=(600,))
    assert _p_value(one, (one[:, 0] > 0).astype(np.int64)) > 0.9
    assert _p_value(*_bells(0.0, 6.0, sizes=(300, 300))) < 0.01


def test_a_small_group_is_not_drowned_by_a_large_one() -> None:
    """A group of 20 beside one of 5,000 has its valley: the large one counts with its nearest rows."""
    matrix, labels = _bells(0.0, 10.0, sizes=(5000, 20))
    assert dip_p_value(matrix[:, 0]) > 0.5
    assert _p_value(matrix, labels) < 0.01


def test_ties_do_not_break_the_dip_test() -> None:
    """Whole numbers of one bell look like many modes to the plain test and like one to ours."""
    rng = np.random.default_rng(0)
    rounded = np.round(rng.normal(scale=4.0, size=(2000, 1)))
    assert dip_p_value(rounded[:, 0]) < 0.01
    assert _p_value(rounded, (rounded[:, 0] > 0).astype(np.int64)) > 0.5


def test_a_category_in_numbers_is_not_smeared() -> None:
    """A column of zeros and ones keeps its two groups."""
    binary = np.repeat([[0.0], [1.0]], 100, axis=0)
    assert _p_value(binary, np.repeat([0, 1], 100)) < 0.01


def test_dip_evidence_holds_its_worst_pair() -> None:
    """The pair without a valley is the one that is reported, from either side."""
    matrix, labels = _bells(0.0, 0.5, 20.0, sizes=(200, 200, 200))
    centers = np.array([[0.0], [0.5], [20.0]])
    found = measure_neighbour_dips(matrix, centers, labels, rng=np.random.default_rng(0), max_rows=150)
    worst = int(found.p_values.argmax())
    assert {worst, int(found.neighbours[worst])} == {0, 1}
    assert found.p_value >= UNIMODAL_P


def test_too_few_rows_are_not_evidence() -> None:
    """Pairs of a handful of rows, empty clusters included, are not evidence either way."""
    matrix = np.array([[0.0], [1.0], [5.0]])
    centers = np.array([[0.5], [5.0], [9.0]])
    found = measure_neighbour_dips(matrix, centers, np.array([0, 0, 1]), rng=np.random.default_rng(0))
    assert found.p_values.tolist() == [0.5, 0.5, 0.5]
    with pytest.raises(ValueError, match="1 centroids"):
        measure_neighbour_dips(matrix, centers[:1], np.zeros(3, dtype=np.int64), rng=np.random.default_rng(0))


def test_the_steps_of_rows_serve_every_partition_of_them() -> None:
    """Looked up once or for each partition, the evidence is the same."""
    matrix, labels = _bells(0.0, 3.0, sizes=(200, 150))
    matrix, centers = matrix.round(1), np.array([[0.0], [3.0]])
    steps = find_steps(matrix)
    given = measure_neighbour_dips(matrix, centers, labels, rng=np.random.default_rng(0), steps=steps)
    again = measure_neighbour_dips(matrix, centers, labels, rng=np.random.default_rng(0))
    assert given.p_values.tolist() == again.p_values.tolist()
    assert list(steps) == [0]
