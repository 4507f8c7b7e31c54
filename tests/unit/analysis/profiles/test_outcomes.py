"""Do the segments differ in what matters: effects, their intervals, and what cannot be compared."""

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from segmentation_pipeline.analysis.profiles.outcomes import correct_p_values, measure_outcome_effects
from segmentation_pipeline.model import OutcomeEffect


def _effect(values: Any, segments: Any, seed: int = 0) -> OutcomeEffect:
    frame = pd.DataFrame({"converted": values})
    return measure_outcome_effects(frame, segments, ["converted"], rng=np.random.default_rng(seed), n_resamples=200)[0]


def test_a_conversion_that_differs_is_reported_with_its_interval() -> None:
    """Segments that convert at 10, 20 and 40 % differ; the sentence has the effect, and an interval surrounds it."""
    rng = np.random.default_rng(0)
    segments = rng.integers(1, 4, 3000)
    found = _effect(rng.random(3000) < np.array([0, 0.1, 0.2, 0.4])[segments], segments)
    assert found.differ
    assert found.measure == "V"
    assert found.sentence.startswith("segments differ in converted: V = 0.2")
    assert found.low < 0.29 < found.high
    assert found.high - found.low < 0.1


def test_five_labels_for_the_same_customers_are_indistinguishable() -> None:
    """A conversion that has nothing to do with the segments has an effect of about 0, and an interval that starts there."""
    rng = np.random.default_rng(1)
    found = _effect(rng.random(3000) < 0.2, rng.integers(1, 6, 3000))
    assert not found.differ
    assert found.sentence.startswith("segments are statistically indistinguishable in converted: V = 0")
    assert found.low == 0
    assert found.high < 0.1


def test_a_number_is_reported_as_the_share_of_variance() -> None:
    """Group means of 0, 0.5 and 1 at a deviation of 1 explain 14 % of the variance; the interval holds it."""
    rng = np.random.default_rng(1)
    segments = rng.integers(0, 3, 2000)
    found = _effect(rng.normal(size=2000) + 0.5 * segments, segments)
    assert found.measure == "omega squared"
    assert found.low < 0.143 < found.high
    assert found.differ


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_the_effect_does_not_depend_on_the_currency(scale: float) -> None:
    """Spend in cents and in millions has the same effect."""
    rng = np.random.default_rng(3)
    segments = rng.integers(0, 3, 500)
    spend = rng.normal(size=500) + segments
    assert _effect(spend * scale, segments).effect == pytest.approx(_effect(spend, segments).effect)


def test_chance_alone_is_called_a_difference_in_one_case_of_twenty() -> None:
    """Over many draws without an effect, the p-value is below 0.05 about as often as it says."""
    rng = np.random.default_rng(4)
    found = [
        measure_outcome_effects(
            pd.DataFrame({"bought": rng.random(300) < 0.2, "spend": np.exp(rng.normal(size=300))}),
            rng.integers(0, 4, 300),
            ["bought", "spend"],
            rng=rng,
            n_resamples=2,
        )
        for _ in range(150)
    ]
    for position in range(2):
        assert np.mean([effects[position].p_value < 0.05 for effects in found]) < 0.11


def test_many_outcomes_are_corrected_for_their_number() -> None:
    """Of twenty outcomes of pure chance, no one differs after Holm's correction."""
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({f"o{i}": rng.random(400) < 0.3 for i in range(20)})
    found = measure_outcome_effects(frame, rng.integers(0, 4, 400), list(frame), rng=rng, n_resamples=2)
    assert [effect.outcome for effect in found] == list(frame)
    assert not any(effect.differ for effect in found)
    assert all(effect.p_adjusted >= effect.p_value for effect in found)


def test_holm_multiplies_the_smallest_most_and_never_reorders() -> None:
    """The example of the textbook, with an outcome that could not be compared."""
    assert correct_p_values([0.01, None, 0.04, 0.03]) == pytest.approx([0.03, None, 0.06, 0.06])
    assert correct_p_values([0.9, 0.8]) == [1.0, 1.0]
    assert correct_p_values([]) == []


def test_nulls_and_unassigned_customers_are_left_out_and_counted() -> None:
    """An unassigned customer is in no segment, an outcome that is not known yet says nothing."""
    rng = np.random.default_rng(6)
    segments = np.repeat([1, 2, -1], 200)
    values = pd.Series(np.where(segments == 1, 5.0, 1.0) + rng.normal(size=600))
    values[:50] = np.nan
    found = _effect(values, segments)
    assert (found.n_rows, found.n_null) == (350, 50)
    assert found.differ
    as_nulls = pd.Series(segments).astype("Int64").mask(segments < 0)
    assert _effect(values, as_nulls).effect == found.effect


@pytest.mark.parametrize(
    ("values", "segments", "why"),
    [
        ([None, None, None, None], [1, 1, 2, 2], "no customer has both a segment and a value"),
        ([np.nan] * 4, [1, 1, 2, 2], "no customer has both a segment and a value"),
        ([1.0, 2.0, 3.0, 4.0], [-1, -1, -1, -1], "no customer has both a segment and a value"),
        ([1.0, 2.0, 3.0, 4.0], [1, 1, 1, -1], "there is only one segment"),
        ([True] * 4, [1, 1, 2, 2], "every customer has the same value"),
        ([7.5] * 4, [1, 1, 2, 2], "every customer has the same value"),
        ([1.0, 2.0, 3.0, 4.0], [1, 2, 3, 4], "there are only 4 customers for 4 segments"),
        ([], [], "no customer has both a segment and a value"),
    ],
)
def test_what_cannot_be_compared_says_why(values: list[Any], segments: list[int], why: str) -> None:
    """Nothing to compare is not an error and not a difference; a sentence says why."""
    found = _effect(values, np.array(segments, dtype=np.int64))
    assert not found.differ
    assert found.effect is found.p_value is found.p_adjusted is None
    assert found.sentence == f"segments were not compared in converted: {why}"


@pytest.mark.parametrize(
    ("values", "measure"),
    [
        (pd.Series([True, False, None] * 100, dtype="boolean"), "V"),
        (pd.Series([0, 1, 1] * 100), "V"),
        (pd.Series(["a", "b", None] * 100), "V"),
        (pd.Series(["a", "b", "c"] * 100, dtype="category"), "V"),
        (pd.Series([True, False, None] * 100, dtype="object"), "V"),
        (pd.Series([Decimal("1.5"), Decimal(2), Decimal(9)] * 100), "omega squared"),
        (pd.Series([1, 2, None] * 100, dtype="Int64"), "V"),
        (pd.Series(pd.date_range("2024-01-01", periods=300)), "omega squared"),
        (pd.Series([1.0, 2.0, np.inf, 3.0] * 75), "omega squared"),
    ],
)
def test_each_kind_of_column_has_its_measure(values: pd.Series, measure: str) -> None:
    """Booleans, flags and text are categories, money and dates are numbers."""
    found = _effect(values, np.arange(300) // 50 % 3)
    assert found.measure == measure
    assert found.effect is not None


def test_a_perfect_association_is_one() -> None:
    """Where the segment determines the outcome, V is 1 and stays within its scale."""
    segments = np.arange(300) % 3
    found = _effect(pd.Series(segments).map({0: "a", 1: "b", 2: "c"}), segments)
    assert found.effect == pytest.approx(1.0)
    assert found.high <= 1.0


def test_a_rare_outcome_is_judged_by_dealing_the_segments_again() -> None:
    """Three buyers of two hundred, all in one small segment: too few for chi squared, and not by chance."""
    segments = np.repeat([1, 2], [190, 10])
    bought = np.zeros(200, dtype=bool)
    bought[-3:] = True
    assert _effect(bought, segments).p_value == pytest.approx(0.001, abs=0.002)


def test_a_column_with_a_thousand_texts_is_pooled() -> None:
    """Free text makes no table of a thousand columns, and no effect where none exists."""
    rng = np.random.default_rng(8)
    texts = pd.Series(rng.integers(0, 1000, 3000)).map(lambda number: f"text {number}")
    assert not _effect(texts, rng.integers(0, 4, 3000)).differ


def test_what_does_not_fit_together_is_refused() -> None:
    """A wrong length and an unknown column are errors that name both sides."""
    frame = pd.DataFrame({"a": [1, 2, 3]})
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="2 segments for 3 rows"):
        measure_outcome_effects(frame, np.array([1, 2]), ["a"], rng=rng)
    with pytest.raises(ValueError, match="outcomes b are not among the columns"):
        measure_outcome_effects(frame, np.array([1, 2, 3]), ["b"], rng=rng)
