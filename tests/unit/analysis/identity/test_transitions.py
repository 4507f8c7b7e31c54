"""The transition matrix separates customers who moved from borders that moved."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from segmentation_pipeline.analysis.identity.transitions import count_moves, list_transitions
from segmentation_pipeline.model import Transition


def _transitions(before: NDArray[np.int64], now: NDArray[np.int64], by_parent: NDArray[np.int64] | None) -> Any:
    """The transitions where cluster i is segment i."""
    return list_transitions(count_moves(before, now, by_parent), {cluster: cluster for cluster in range(9)})


def test_a_move_that_the_parents_model_sees_too_is_the_customers() -> None:
    """Of three who changed segment, two are elsewhere by the old model too; the third changed with the border."""
    before = np.array([1, 1, 1, 1, 2])
    now = np.array([1, 2, 2, 2, 2])
    by_parent = np.array([1, 2, 2, 1, 2])

    assert _transitions(before, now, by_parent) == (
        Transition(1, 1, 1, 0),
        Transition(1, 2, 3, 2),
        Transition(2, 2, 1, 0),
    )


def test_newcomers_are_in_no_transition_and_the_unassigned_go_nowhere() -> None:
    """Customers who were in no segment do not count; those who are in none now have no target segment."""
    found = _transitions(np.array([-1, 4, 4]), np.array([2, -1, 4]), np.array([2, 4, 4]))

    assert found == (Transition(4, None, 1, 0), Transition(4, 4, 1, 0))


def test_without_a_parents_model_the_number_who_moved_is_unknown() -> None:
    """A parent whose features are gone leaves the reason open; the counts are there."""
    assert _transitions(np.array([1, 1]), np.array([2, 2]), None) == (Transition(1, 2, 2, None),)


def test_without_known_customers_there_is_no_transition() -> None:
    """A month of strangers has no transitions."""
    assert _transitions(np.array([-1, -1]), np.array([1, 2]), np.array([1, 2])) == ()
