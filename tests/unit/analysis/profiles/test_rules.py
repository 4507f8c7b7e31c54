"""The segmentation as rules: what they say is what they do."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from segmentation_pipeline.analysis.profiles import rules
from segmentation_pipeline.analysis.profiles.conditions import Cut, Question, describe_cuts, shorten_limit
from segmentation_pipeline.analysis.profiles.rules import Imitation, imitate
from segmentation_pipeline.spec import FeatureSpec

SPEND = FeatureSpec(column="spend", kind="numeric", missing="median")
VISITS = FeatureSpec(column="visits", kind="numeric")
CHANNEL = FeatureSpec(column="channel", kind="categorical", missing="category")


def _imitate(columns: dict[str, Any], segments: Any, *features: FeatureSpec, **options: Any) -> Imitation:
    return imitate(pd.DataFrame(columns), np.asarray(segments), features=features, **({"seed": 0} | options))


def test_a_rule_is_in_original_units_and_as_short_as_it_may_be() -> None:
    """A limit between two values is the shortest number that divides them, and the rule counts its customers."""
    found = _imitate({"spend": [10.0, 98.7, 131.4, 4000.0]}, [3, 3, 1, 1], SPEND)

    assert [rule.text for rule in found.rules] == [
        "spend > 100 → segment 1 (100% of 2)",
        "spend <= 100 → segment 3 (100% of 2)",
    ]
    assert found.fidelity == 1.0
    assert found.by_segment == {1: 1.0, 3: 1.0}


def test_categories_are_asked_by_value_in_the_shortest_way() -> None:
    """A rule names the value where it is asked for, the excluded values where not, and of two values the other one."""
    channels = ["web", "shop", "app"] * 20
    three = _imitate({"channel": channels}, [{"web": 1}.get(channel, 2) for channel in channels], CHANNEL)
    assert {rule.condition: rule.segment_id for rule in three.rules} == {"channel is web": 1, "channel is not web": 2}

    sides = ["left", "right"] * 20
    two = _imitate({"channel": sides}, [1, 2] * 20, CHANNEL)
    assert {rule.condition: rule.segment_id for rule in two.rules} == {"channel is left": 1, "channel is right": 2}

    active = FeatureSpec(column="active", kind="boolean")
    truth = _imitate({"active": [False, False, True] * 20}, [1, 1, 2] * 20, active)
    assert {rule.condition: rule.segment_id for rule in truth.rules} == {"active is false": 1, "active is true": 2}


def test_several_features_make_one_sentence() -> None:
    """Conditions of one column are joined into a range, those of several with `and`."""
    rng = np.random.default_rng(1)
    spend, web = rng.uniform(0, 300, 900).round(2), rng.random(900) < 0.5
    segments = np.where((spend > 100) & (spend <= 200), np.where(web, 1, 2), 3)

    found = _imitate({"spend": spend, "channel": np.where(web, "web", "shop")}, segments, SPEND, CHANNEL)

    channel, spent = next(rule for rule in found.rules if rule.segment_id == 1).condition.split(" and ")
    assert channel == "channel is web"
    # not exactly 100 and 200: the shortest number between the two spends on either side
    low, high = map(float, spent.split(" < spend <= "))
    assert (low, high) == (pytest.approx(100, abs=1), pytest.approx(200, abs=1))
    assert found.fidelity == 1.0
    assert {rule.segment_id for rule in found.rules} == {1, 2, 3}


def test_what_the_rules_say_is_what_is_counted() -> None:
    """Rules applied by hand to the frame have the same counts, shares and fidelity, also above the sample's size."""
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"spend": rng.lognormal(4, 1, 3000), "visits": rng.poisson(4, 3000).astype(float)})
    segments = 1 + (frame["spend"] > 60).to_numpy().astype(int) + 2 * (frame["visits"] + rng.normal(0, 1, 3000) > 4)

    found = imitate(frame, segments, features=[SPEND, VISITS], seed=3, fit_rows=500)

    assert (found.n_rows, found.n_fitted) == (3000, 500)
    hits = 0
    for rule in found.rules:
        inside = np.ones(3000, dtype=bool)
        for part in rule.condition.split(" and "):
            inside &= frame.eval(part.replace(",", "")).to_numpy()
        assert inside.sum() == rule.n_customers
        assert (segments[inside] == rule.segment_id).mean() == pytest.approx(rule.right)
        hits += int((segments[inside] == rule.segment_id).sum())
    assert sum(rule.n_customers for rule in found.rules) == 3000
    assert found.fidelity == pytest.approx(hits / 3000)
    sizes = {segment: int((segments == segment).sum()) for segment in found.by_segment}
    assert sum(share * sizes[segment] for segment, share in found.by_segment.items()) == pytest.approx(hits)
    assert found.fidelity > 0.8


def test_nulls_are_answered_in_words() -> None:
    """A null goes where its customers are, and the rule says so; a segment of nulls is asked for as such."""
    found = _imitate({"spend": [1.0, 2.0, None, 90.0, 95.0, 99.0] * 10}, [1, 1, 1, 2, 2, 2] * 10, SPEND)
    assert {rule.condition: rule.segment_id for rule in found.rules} == {
        "(spend <= 50 or missing)": 1,
        "spend > 50": 2,
    }

    blank = _imitate({"spend": [1.0, 95.0, None] * 10}, [1, 1, 2] * 10, SPEND)
    assert {rule.condition: rule.segment_id for rule in blank.rules} == {"spend is known": 1, "spend is missing": 2}

    absent = _imitate({"channel": ["web", None, "shop"] * 10}, [1, 2, 1] * 10, CHANNEL)
    assert "channel is (missing)" in [rule.condition for rule in absent.rules if rule.segment_id == 2]


def test_dates_are_days_ago() -> None:
    """A date, which validation turned into days before as_of, is written as days ago."""
    joined = FeatureSpec(column="joined", kind="date")
    found = _imitate({"joined": [1.0, 5.0, 200.0, 300.0]}, [1, 1, 2, 2], joined)
    assert [rule.condition for rule in found.rules] == ["joined <= 100 days ago", "joined > 100 days ago"]


def test_unassigned_customers_are_left_out() -> None:
    """Customers without a segment are neither fitted on nor counted."""
    found = _imitate({"spend": [1.0, 2.0, 90.0, 91.0, 5e6, -5e6]}, [1, 1, 2, 2, -1, -1], SPEND)
    assert (found.n_rows, found.fidelity, set(found.by_segment)) == (4, 1.0, {1, 2})


def test_a_segment_without_a_rule_is_named() -> None:
    """Eight leaves cannot separate ten segments: the others have fidelity 0 and are listed."""
    spend = np.repeat(np.arange(10.0), 30)
    found = _imitate({"spend": spend}, spend.astype(int) + 1, SPEND)
    assert len(found.rules) == 8
    assert len(found.without_rule) == 2
    assert [found.by_segment[segment] for segment in found.without_rule] == [0.0, 0.0]
    assert found.fidelity == pytest.approx(0.8)


def test_one_segment_no_customers_and_no_feature() -> None:
    """One segment is everybody, no customers are no rules, and without features the guess is the largest segment."""
    (one,) = _imitate({"spend": [1.0, 2.0]}, [4, 4], SPEND).rules
    assert one.text == "everybody → segment 4 (100% of 2)"
    assert _imitate({"spend": [1.0]}, [-1], SPEND) == Imitation((), 0.0, {}, 0, 0)
    (guess,) = _imitate({"spend": [1.0, 2.0, 3.0]}, [1, 2, 2]).rules
    assert (guess.condition, guess.segment_id, guess.right) == ("everybody", 2, pytest.approx(2 / 3))


def test_the_same_seed_gives_the_same_rules_in_any_order_of_rows() -> None:
    """The result is a function of frame and seed, and without a sample the order of rows does not matter."""
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"spend": rng.lognormal(4, 1, 800), "channel": rng.choice(["web", "shop", "app"], 800)})
    segments = 1 + (frame["spend"] > 50).to_numpy() + (frame["channel"] == "web").to_numpy()
    order = rng.permutation(800)

    found = imitate(frame, segments, features=[SPEND, CHANNEL], seed=9, fit_rows=400)
    assert found == imitate(frame, segments, features=[SPEND, CHANNEL], seed=9, fit_rows=400)
    whole = imitate(frame, segments, features=[SPEND, CHANNEL], seed=9)
    assert whole == imitate(frame.iloc[order], segments[order], features=[SPEND, CHANNEL], seed=9)


@pytest.mark.parametrize("size", [1, 7, 100])
def test_rules_are_counted_the_same_in_blocks_of_any_size(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Counted in small blocks, every rule has the customers that it has on all rows at once."""
    rng = np.random.default_rng(7)
    frame = pd.DataFrame({"spend": rng.lognormal(4, 1, 300), "channel": rng.choice(["web", "shop", "app"], 300)})
    segments = 1 + (frame["spend"] > 50).to_numpy() + (frame["channel"] == "web").to_numpy()
    segments[::9] = -1
    whole = imitate(frame, segments, features=[SPEND, CHANNEL], seed=9)
    original = rules.iter_placed_blocks

    monkeypatch.setattr(rules, "iter_placed_blocks", lambda rows: original(rows, size=size))

    assert imitate(frame, segments, features=[SPEND, CHANNEL], seed=9) == whole


def test_it_is_plain_json() -> None:
    """The result goes through JSON, and each rule has its text."""
    found = _imitate({"spend": [10.0, 90.0]}, [1, 2], SPEND).to_json()
    assert json.loads(json.dumps(found)) == json.loads(json.dumps(found, allow_nan=False))
    assert found["rules"][0]["text"] == "spend <= 50 → segment 1 (100% of 1)"
    assert found["by_segment"] == {"1": 1.0, "2": 1.0}


@pytest.mark.parametrize(
    ("threshold", "values", "short"),
    [
        (115.05, [98.7, 131.4], 100.0),
        (3.5, [3.0, 4.0], 3.0),
        (0.00123, [0.001, 0.0014], 0.001),
        (-7.2, [-9.0, -5.4], -7.0),
        (16777217.0, [16777216.0, 16777218.0], 16777217.0),
        (123456.789, [123456.78, 123456.80], 123456.79),
        (2.5, [1.0, 2.0], 2.5),
    ],
)
def test_a_limit_is_shortened_without_moving_a_customer(threshold: float, values: list[float], short: float) -> None:
    """The short limit lies between its neighbours, so that it divides the customers as before."""
    assert shorten_limit(threshold, np.array(values)) == short


def test_large_numbers_are_written_for_people() -> None:
    """Thousands are separated, cents have two digits, and several excluded values are listed."""
    spend, country = Question("spend", "number"), [Question("country", "value", name) for name in ("DE", "UK")]
    cuts = [
        Cut(spend, 1234567.5, above=True, nulls=False),
        *(Cut(question, 0.5, above=False, nulls=False) for question in country),
    ]
    assert describe_cuts(cuts) == "spend > 1,234,567.50 and country is not DE or UK"
