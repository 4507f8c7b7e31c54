"""The synthetic shop: reproducible, consistent, and with the personas that its tests rely on."""

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from segmentation_pipeline.demo.world import MONTHS, PERSONAS, ShopWorld, simulate

YEAR_ROUND_FROM_THE_START = {"loyal regulars", "bargain hunters", "big spenders"}


@pytest.fixture(scope="module")
def world() -> ShopWorld:
    """Simulate a small shop that the tests only read."""
    return simulate(seed=11, n_customers=1200)


def _buyers_in(world: ShopWorld, month: pd.Timestamp) -> pd.DataFrame:
    """Orders of a month with the buyer's persona in that month, missing where the truth knows none."""
    end = month + pd.DateOffset(months=1)
    bought = world.orders[world.orders["ordered_at"].between(month, end, inclusive="left")]
    truth = world.truth[world.truth["month"] == month.date()]
    return bought.merge(truth, on="customer_id", how="left")


def test_the_seed_decides_everything(world: ShopWorld) -> None:
    """The same seed gives the same shop, another seed another one."""
    again, other = simulate(seed=11, n_customers=1200), simulate(seed=12, n_customers=1200)

    assert_frame_equal(again.customers, world.customers)
    assert_frame_equal(again.orders, world.orders)
    assert_frame_equal(again.truth, world.truth)
    assert len(other.orders) != len(world.orders)


def test_keys_are_unique_and_known(world: ShopWorld) -> None:
    """Every order belongs to a customer, and each customer has one persona a month at most."""
    assert world.customers["customer_id"].is_unique
    assert len(world.customers) == 1200
    assert world.orders["purchase_id"].is_unique
    assert world.orders["customer_id"].isin(world.customers["customer_id"]).all()
    assert not world.truth.duplicated(["customer_id", "month"]).any()


def test_orders_are_possible(world: ShopWorld) -> None:
    """Orders lie in the eighteen months and after joining, cost something and save no less than nothing."""
    orders = world.orders.merge(world.customers, on="customer_id")

    assert orders["ordered_at"].min() >= pd.Timestamp("2024-07-01", tz="UTC")
    assert orders["ordered_at"].max() < pd.Timestamp("2026-01-01", tz="UTC")
    assert (orders["ordered_at"] >= orders["joined_at"]).all()
    assert (orders["amount"] > 0).all()
    assert (orders["discount"] >= 0).all()
    assert (orders["items"] >= 1).all()


@pytest.mark.parametrize("month", MONTHS, ids=lambda month: f"{month:%Y-%m}")
def test_each_persona_buys_in_its_time(world: ShopWorld, month: pd.Timestamp) -> None:
    """Newcomers are born in April 2025, christmas shoppers come in November and December, others always."""
    wanted = set(YEAR_ROUND_FROM_THE_START)
    if month >= pd.Timestamp("2025-04-01", tz="UTC"):
        wanted.add("newcomers by app")
    if month.month in {11, 12}:
        wanted.add("christmas shoppers")

    bought = _buyers_in(world, month)

    assert set(bought["persona"]) == wanted
    buyers = bought.groupby("persona")["customer_id"].nunique()
    assert (buyers / buyers.sum()).min() > 0.05


def test_customers_come_leave_and_change(world: ShopWorld) -> None:
    """Somebody joins late, somebody is gone before the end, somebody is two personas one after the other."""
    months = world.truth.groupby("customer_id")["month"].agg(["min", "max"])
    personas = world.truth.groupby("customer_id")["persona"].nunique()

    assert (months["min"] > MONTHS[6].date()).any()
    assert (months["max"] < MONTHS[6].date()).any()
    assert 0.02 < (personas > 1).mean() < 0.2


def test_christmas_shoppers_come_back(world: ShopWorld) -> None:
    """Most christmas shoppers of the first season shop in the second one too."""
    christmas = world.truth[world.truth["persona"] == "christmas shoppers"]
    first = set(christmas.loc[christmas["month"] < MONTHS[12].date(), "customer_id"])
    second = set(christmas.loc[christmas["month"] >= MONTHS[12].date(), "customer_id"])

    assert len(first & second) > 0.5 * len(first)


def test_personas_differ_in_what_they_buy(world: ShopWorld) -> None:
    """The persona shows in price, discount and basket of the orders, though the personas overlap."""
    bought = _buyers_in(world, MONTHS[-1])
    price = (bought["amount"] + bought["discount"]).groupby(bought["persona"]).median()
    saved = bought["discount"].groupby(bought["persona"]).sum() / (
        (bought["amount"] + bought["discount"]).groupby(bought["persona"]).sum()
    )

    assert price.idxmax() == "big spenders"
    assert price.idxmin() == "newcomers by app"
    assert saved.idxmax() == "bargain hunters"
    dearest_small_order = bought.loc[bought["persona"] == "newcomers by app", "amount"].max()
    assert dearest_small_order > bought.loc[bought["persona"] == "loyal regulars", "amount"].median()


def test_shares_add_up() -> None:
    """Every customer has a persona to begin with."""
    assert sum(persona.share for persona in PERSONAS) == pytest.approx(1.0)
