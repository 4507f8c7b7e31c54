"""Model, history and place are combined by their weights, and none of them can invent a match."""

from typing import Any

import numpy as np
import pytest

from segmentation_pipeline.analysis.identity.evidence import (
    ELSEWHERE,
    MatchScores,
    Reference,
    score_pairing,
    weigh,
)
from segmentation_pipeline.analysis.identity.overlap import count_overlap
from segmentation_pipeline.model import UNASSIGNED

# two clusters of a hundred, and labels that agree with them under the segment ids 1 and 2
CLUSTERS = np.repeat([0, 1], 100)
SAME = CLUSTERS + 1
NOBODY = np.full(200, UNASSIGNED)


def _weigh(labels: Any = None, history: Any = None, likeness: Any = None) -> MatchScores:
    """The scores by the given witnesses, whose rows are those of CLUSTERS."""
    by_model, by_history = (
        count_overlap(CLUSTERS, named, (1, 2), k=2) if named is not None else None for named in (labels, history)
    )
    reference = Reference("parent", (1, 2), {1: 100, 2: 100}, by_model, by_history, likeness)
    return weigh(reference, np.array([100, 100]))


def test_a_single_witness_is_the_score() -> None:
    """With the model alone the score is the overlap with its labels."""
    labels = np.where(np.arange(200) < 90, 1, 2)

    np.testing.assert_allclose(_weigh(labels=labels).score, [[0.9, 10 / 200], [0, 100 / 110]])


def test_the_history_outweighs_a_model_that_sees_one_segment_only() -> None:
    """In a December the old model puts everybody into segment 2; the same customers identify the segments."""
    score = _weigh(labels=np.full(200, 2), history=SAME).score

    assert score[0, 0] > score[0, 1]
    assert score[1, 1] > score[1, 0]
    # one half of what the model sees pairs one to one, all of what the history sees
    assert score[0, 0] == pytest.approx(1.0 / 1.25)
    assert score[0, 1] == pytest.approx(0.25 * 0.5 / 1.25)


def test_the_model_outweighs_a_history_in_which_everybody_grew_older() -> None:
    """Where most of a segment's customers moved on together, the rows identify the segment."""
    # cluster 0: the fresh buyers, all new; cluster 1: the lapsed, most of whom were fresh buyers before
    history = np.concatenate([np.full(100, UNASSIGNED), np.repeat([1, 2], [70, 30])])

    score = _weigh(labels=SAME, history=history).score

    assert score[1, 1] > score[1, 0]
    assert score[0, 0] > 0.9


def test_new_customers_leave_the_history_without_a_voice() -> None:
    """A cluster of new customers is judged by the model alone."""
    score = _weigh(labels=SAME, history=NOBODY).score

    np.testing.assert_allclose(score, np.eye(2))


def test_a_cluster_elsewhere_is_no_match_however_the_nearest_prototype_votes() -> None:
    """The nearest prototype always finds a segment; the place can say that there is none."""
    likeness = np.array([[ELSEWHERE / 2, 0.0], [0.0, 0.8]])

    score = _weigh(labels=SAME, likeness=likeness).score

    assert score[0].tolist() == [0.0, 0.0]
    assert score[1, 1] > 0.9


def test_the_same_customers_elsewhere_are_the_same_segment() -> None:
    """Where the customers are the same, the place has no veto: all of them may have moved."""
    likeness = np.zeros((2, 2))

    score = _weigh(labels=SAME, history=SAME, likeness=likeness).score

    assert np.diag(score).tolist() == [1.0, 1.0]


def test_a_few_customers_of_old_do_not_vouch_for_a_cluster_of_strangers() -> None:
    """Three customers who were in the segment do not lift the veto against a hundred who were not."""
    history = np.where(np.arange(200) < 3, 1, UNASSIGNED)
    likeness = np.array([[0.0, 0.0], [0.0, 0.9]])

    assert _weigh(labels=SAME, history=history, likeness=likeness).score[0, 0] == 0.0


def test_the_best_witness_counts_splits_and_mergers() -> None:
    """The counts that the lineage reads come from the witness that pairs best."""
    confused = np.full(200, 2)

    assert _weigh(labels=confused, history=SAME).witness.counts.tolist() == [
        [100, 0],
        [0, 100],
    ]
    assert _weigh(labels=SAME, history=NOBODY).witness.counts.tolist() == [
        [100, 0],
        [0, 100],
    ]


def test_no_witness_at_all_scores_nothing() -> None:
    """A snapshot without a readable model, whose customers are gone, matches no cluster."""
    evidence = _weigh()

    assert not evidence.score.any()
    assert not evidence.witness.counts.any()


def test_one_to_one_counts_a_cluster_by_its_size() -> None:
    """The weight of a witness is the mean score of the best pairing, weighted by customers."""
    assert score_pairing(np.array([[1.0, 0.0], [0.5, 0.0]]), np.array([30, 10])) == 0.75
