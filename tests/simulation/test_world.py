"""The simulated world: the truth adds up, announced events happen, and the variants do what they say."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from pandas.testing import assert_frame_equal
from sklearn.cluster import KMeans
from support.simulation.personas import Event
from support.simulation.world import FEATURES, NUMBERS, World, simulate

from segmentation_pipeline.analysis.features.encoding import fit_encoding, transform

SEEDS = (0, 1, 2, 3)


@pytest.fixture(scope="module", params=SEEDS)
def world(request: pytest.FixtureRequest) -> World:
    """A world of some seed that the tests only read."""
    return simulate(request.param)


def _truth(world: World, month: int) -> pd.Series:
    """The persona of each customer of a month."""
    rows = world.truth[world.truth["month"] == month]
    return rows.set_index("customer_id")["persona"]


def _event(world: World, kind: str) -> Event:
    return next(event for event in world.events if event.kind == kind)


def _new_share(world: World, month: int) -> float:
    """Of the customers of a month, those that were not there the month before."""
    now, before = _truth(world, month), _truth(world, month - 1)
    return float((~now.index.isin(before.index)).mean())


def _matrix(world: World, month: int) -> NDArray[np.float32]:
    frame = world.frames[month]
    return transform(frame, fit_encoding(frame, FEATURES)).matrix


def _logs(numbers: pd.DataFrame) -> pd.DataFrame:
    return numbers.assign(discount_share=np.expm1(numbers["discount_share"])).apply(np.log1p)


def _means(world: World, month: int) -> pd.DataFrame:
    """The mean of the logarithms (the plain mean of the discount) of each persona in a month."""
    numbers = world.frames[month][[*NUMBERS]].drop(columns="tenure_days")
    return _logs(numbers).groupby(_truth(world, month).to_numpy()).mean()


def test_the_arguments_decide_everything() -> None:
    """The same seed leads to the same world, another seed to another one."""
    one, again, other = simulate(5), simulate(5), simulate(6)

    for left, right in zip(one.frames, again.frames, strict=True):
        assert_frame_equal(left, right)
    assert_frame_equal(one.truth, again.truth)
    assert one.events == again.events
    assert one.events != other.events
    assert not one.frames[0].equals(other.frames[0])


def test_the_truth_has_a_row_for_each_row(world: World) -> None:
    """In each of 24 months the frame's customers are unique and those of the truth, in the same order."""
    assert len(world.frames) == len(world.starts) == 24
    for month, frame in enumerate(world.frames):
        assert frame["customer_id"].dtype == np.int64
        assert frame["customer_id"].is_unique
        assert frame["customer_id"].tolist() == _truth(world, month).index.tolist()
        assert list(frame.columns) == ["customer_id", *(feature.column for feature in FEATURES)]
        assert not frame.isna().to_numpy().any()


def test_values_are_possible(world: World) -> None:
    """Nothing is negative, a share is a share, everybody visits, and units differ by orders of magnitude."""
    everything = pd.concat(world.frames)

    assert (everything[[*NUMBERS]] >= 0).to_numpy().all()
    assert everything["discount_share"].between(0, 1).all()
    assert (everything["visits"] >= 1).all()
    assert everything["spend"].median() > 100 * everything["discount_share"].median()
    assert set(everything["channel"]) == {"app", "store", "web"}


def test_a_birth_is_of_new_customers_and_a_few_converts(world: World) -> None:
    """The newborn persona is there from its month on, at full size, one in five of them from other personas."""
    event = _event(world, "birth")
    now, before = _truth(world, event.month), _truth(world, event.month - 1)
    newborn = now[now == event.persona].index

    assert event.persona not in set(world.truth.loc[world.truth["month"] < event.month, "persona"])
    assert all(event.persona in world.live(month) for month in range(event.month, 24))
    assert len(newborn) >= 0.07 * len(now)
    assert newborn.isin(before.index).mean() == pytest.approx(0.2, abs=0.04)


def test_a_split_leaves_two_and_no_parent(world: World) -> None:
    """The parent's customers are in one of two children from that month on, neither of them small."""
    event = _event(world, "split")
    before, now = _truth(world, event.month - 1), _truth(world, event.month)
    stayed = before[before == event.persona].index.intersection(now.index)

    assert all(event.persona in world.live(month) for month in range(event.month))
    assert all(event.persona not in world.live(month) for month in range(event.month, 24))
    assert all(set(event.others) <= set(world.live(month)) for month in range(event.month, 24))
    # one in a hundred changes persona by itself in that month
    assert now[stayed].isin(event.others).mean() > 0.95
    assert now[stayed].value_counts(normalize=True)[list(event.others)].min() > 0.3


def test_a_merge_leaves_one_name(world: World) -> None:
    """Customers of either persona are of the named one from that month on."""
    event = _event(world, "merge")
    (gone,) = event.others
    before, now = _truth(world, event.month - 1), _truth(world, event.month)
    stayed = before[before == gone].index.intersection(now.index)

    assert {gone, event.persona} <= set(world.live(event.month - 1))
    assert all(gone not in world.live(month) for month in range(event.month, 24))
    assert (now[stayed] == event.persona).mean() > 0.95


def test_the_season_returns_a_year_later_with_some_of_its_people(world: World) -> None:
    """The seasonal persona is there in two months of each year, and more than half of it are the same customers."""
    months = [month for month in range(24) if "season" in world.live(month)]
    first = [event.month for event in world.events if event.kind == "season"]
    went = [event.month for event in world.events if event.kind == "season_end"]

    assert months == [first[0], first[0] + 1, first[0] + 12, first[0] + 13]
    assert first == [months[0], months[2]]
    assert went == [months[1] + 1, months[3] + 1]
    before, now = _truth(world, months[1]), _truth(world, months[2])
    assert 0.5 < now[now == "season"].index.isin(before[before == "season"].index).mean() < 0.8


def test_no_two_events_meet(world: World) -> None:
    """Birth, split and merge are two months or more apart, and in no step of the season or of a December."""
    great = sorted(event.month for event in world.events if event.kind in {"birth", "split", "merge"})
    others = {event.month + after for event in world.events if event.kind == "december" for after in (0, 1)}
    others |= {event.month for event in world.events if event.kind in {"season", "season_end"}}

    assert len(great) == 3
    assert all(after - before >= 2 for before, after in pairwise(great))
    assert not set(great) & others
    assert [event.month for event in world.events if event.kind == "december"] == [11, 23]


def test_customers_come_go_and_change(world: World) -> None:
    """In months without an event some 4 % are new and some 1 % of the others have changed persona."""
    busy = {event.month for event in world.events}
    quiet = [month for month in range(1, 24) if month not in busy]
    changed = []
    for month in quiet:
        before, now = _truth(world, month - 1).align(_truth(world, month), join="inner")
        changed.append((before != now).mean())

    assert np.mean([_new_share(world, month) for month in quiet]) == pytest.approx(0.04, abs=0.006)
    assert np.mean(changed) == pytest.approx(0.01, abs=0.003)


def test_personas_drift_visibly(world: World) -> None:
    """Over 22 months the personas that are there throughout move by some tenths of the logarithm."""
    first, last = _means(world, 0), _means(world, 22)
    lasting = [name for name in first.index.intersection(last.index) if name != _event(world, "merge").persona]
    moved = (last.loc[lasting, "basket"] - first.loc[lasting, "basket"]).abs()

    assert lasting
    assert moved.between(0.05, 0.45).all()


def test_habits_last(world: World) -> None:
    """Customers with larger baskets than others of their persona have larger ones in the next month too."""
    rows = [world.frames[month].assign(persona=_truth(world, month).to_numpy()) for month in (0, 1)]
    both = rows[0].merge(rows[1], on=["customer_id", "persona"])
    logs = both[["basket_x", "basket_y"]].apply(np.log)
    own = logs - logs.groupby(both["persona"]).transform("mean")

    assert 0.3 < own.corr().iloc[0, 1] < 0.8


def test_kmeans_finds_the_personas_with_a_handful_of_errors(world: World) -> None:
    """At the true K each cluster is at least 90 % one persona in nearly all months, but not all is right."""
    least, right = [], []
    for month in range(24):
        truth = _truth(world, month).to_numpy()
        labels = KMeans(len(set(truth)), n_init=5, random_state=0).fit_predict(_matrix(world, month))
        counts = pd.crosstab(labels, truth)
        least.append((counts.max(axis=1) / counts.sum(axis=1)).min())
        right.append(counts.max(axis=1).sum() / len(truth))

    assert np.mean(np.array(least) >= 0.9) >= 0.9
    assert 0.95 < np.median(right) < 0.999


def test_nearer_personas_overlap_more() -> None:
    """With personas 3 apart K-Means mistakes more customers than with 4.6."""
    wrong = {3.0: 0.0, 4.6: 0.0}
    for apart in wrong:
        for seed in SEEDS:
            world = simulate(seed, apart=apart)
            truth = _truth(world, 0).to_numpy()
            counts = pd.crosstab(KMeans(5, n_init=5, random_state=0).fit_predict(_matrix(world, 0)), truth)
            wrong[apart] += (1 - counts.max(axis=1).sum() / len(truth)) / len(SEEDS)

    assert 1.5 * wrong[4.6] < wrong[3.0] < 0.1


@pytest.mark.parametrize(("december", "factor"), [(1.0, 1.0), (3.0, 3.0), (None, None)])
def test_in_december_everybody_buys_more(december: float | None, factor: float | None) -> None:
    """Each persona visits and spends more in December by the factor, and in January as before."""
    world = simulate(2, december=december)
    wanted = world.december if factor is None else factor
    november, in_december, january = (_means(world, month) for month in (10, 11, 12))
    everybody = november.index.intersection(january.index)

    assert wanted == world.december
    assert factor is not None or 1.4 <= wanted <= 1.8
    for column in ("visits", "spend"):
        rise = np.exp((in_december - november).loc[everybody, column])
        assert np.allclose(rise, wanted, rtol=0.25 if wanted > 1 else 0.12)
        assert np.allclose((january - november).loc[everybody, column], 0, atol=0.12)
    assert np.allclose((in_december - november).loc[everybody, "basket"], 0, atol=0.12)


@pytest.mark.parametrize("turnover", [0.0, 0.3, 0.9])
def test_turnover_is_the_share_of_new_customers(turnover: float) -> None:
    """That share of the customers is new in a month in which nothing else happens, and the personas keep their sizes."""
    world = simulate(3, turnover=turnover)
    busy = {event.month for event in world.events}
    month = next(number for number in range(1, 24) if number not in busy)

    assert _new_share(world, month) == pytest.approx(turnover, abs=0.03)
    sizes = [_truth(world, number).value_counts(normalize=True) for number in (month - 1, month)]
    assert (sizes[0] - sizes[1]).abs().max() < 0.03


def test_pence_change_nothing_but_the_unit_of_spend() -> None:
    """From that month on spend is a hundred times the number; all else is the same world."""
    pounds, pence = simulate(4), simulate(4, pence_from=9)

    for month, (before, after) in enumerate(zip(pounds.frames, pence.frames, strict=True)):
        assert_frame_equal(before.drop(columns="spend"), after.drop(columns="spend"))
        factor = 100 if month >= 9 else 1
        assert np.allclose(after["spend"], before["spend"] * factor)
    assert_frame_equal(pounds.truth, pence.truth)


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 4, 5])
def test_a_newborn_near_the_retired_is_another(seed: int) -> None:
    """It is born while the season is away, nearest to its place, and its customers are clearly others."""
    world = simulate(seed, newborn_near_retired=True)
    birth, gone = _event(world, "birth").month, _event(world, "season_end").month
    # what the encoding would see: logarithms over the spread of all customers
    numbers = world.frames[birth - 1][[*NUMBERS]].drop(columns="tenure_days")
    spread = _logs(numbers).std()
    known = pd.concat([_means(world, birth - 1), _means(world, gone - 1).loc[["season"]]])
    away = np.square((known - _means(world, birth).loc["newborn"]) / spread).sum(axis=1)

    assert gone + 3 <= birth < gone + 10
    assert away.idxmin() == "season"
    # both of them live a year after the first season: K-Means at the true K tells one from the other
    month = gone + 10
    truth = _truth(world, month).to_numpy()
    labels = KMeans(len(set(truth)), n_init=10, random_state=0).fit_predict(_matrix(world, month))
    homes = pd.crosstab(labels, truth).idxmax()
    assert homes["newborn"] != homes["season"]


def test_a_shorter_world_is_the_beginning_of_a_longer_one() -> None:
    """The number of months cuts the world off and changes nothing in it."""
    short, whole = simulate(8, n_months=6), simulate(8)

    assert len(short.frames) == 6
    for left, right in zip(short.frames, whole.frames[:6], strict=True):
        assert_frame_equal(left, right)
    assert short.events == tuple(event for event in whole.events if event.month < 6)
