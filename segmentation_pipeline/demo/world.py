"""Eighteen months of a shop with five true personas; one is born half way, one comes only before Christmas.

The data is like a real shop's: the number of orders is Poisson distributed and their value log-normal, every customer
has habits of their own, personas overlap, customers join, leave and change persona, and now and then a customer buys
for an office.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

CHANNELS: Final = ("app", "store", "web")
COUNTRIES: Final = ("AT", "CH", "DE", "FR", "NL")
MONTHS: Final = pd.date_range("2024-07-01", "2025-12-01", freq="MS", tz="UTC")
# the same months for numpy, in UTC without a time zone, and the end of the last one
EDGES: Final = np.arange("2024-07", "2026-02", dtype="datetime64[M]").astype("datetime64[s]")

AWAY: Final = -1
HABIT_SPREAD: Final = 0.22  # standard deviation between customers of one persona, in log units
BASKET_SPREAD: Final = 0.30  # between the orders of one customer, in log units
CHANGE_PER_MONTH: Final = 0.008
OFFICE_ORDER_SHARE: Final = 0.002
EVERY_MONTH: Final = tuple(range(1, 13))


@dataclass(frozen=True, kw_only=True)
class Persona:
    """How one kind of customer buys."""

    name: str
    share: float
    """Of all customers that ever come."""
    orders_per_month: float
    basket: float
    """Median price of an order before discount, in euro."""
    items: float
    """Mean number of items in an order."""
    discount: float
    """Mean share of the price that is saved."""
    channels: tuple[float, float, float]
    """Probabilities in the order of CHANNELS."""
    countries: tuple[float, float, float, float, float]
    """Probabilities in the order of COUNTRIES."""
    leave_per_month: float
    established: float
    """Share that is there from the start: before the first month, or in the month the persona is born."""
    months: tuple[int, ...] = EVERY_MONTH
    """Calendar months in which this persona buys, 1 to 12."""
    born: str | None = None
    """The first month in which a customer is like this; None: from the start."""


PERSONAS: Final = (
    Persona(
        name="loyal regulars", share=0.26, orders_per_month=7.0, basket=46.0, items=9.0, discount=0.06,
        channels=(0.10, 0.75, 0.15), countries=(0.10, 0.05, 0.70, 0.10, 0.05),
        leave_per_month=0.015, established=0.75,
    ),
    Persona(
        name="bargain hunters", share=0.25, orders_per_month=2.2, basket=22.0, items=2.8, discount=0.42,
        channels=(0.15, 0.05, 0.80), countries=(0.05, 0.05, 0.30, 0.50, 0.10),
        leave_per_month=0.03, established=0.6,
    ),
    Persona(
        name="big spenders", share=0.17, orders_per_month=1.9, basket=330.0, items=3.0, discount=0.03,
        channels=(0.10, 0.20, 0.70), countries=(0.10, 0.60, 0.20, 0.05, 0.05),
        leave_per_month=0.02, established=0.7,
    ),
    Persona(
        name="newcomers by app", share=0.17, orders_per_month=9.0, basket=11.0, items=1.6, discount=0.05,
        channels=(0.90, 0.02, 0.08), countries=(0.05, 0.05, 0.20, 0.10, 0.60),
        leave_per_month=0.03, established=0.6, born="2025-04-01",
    ),
    Persona(
        name="christmas shoppers", share=0.15, orders_per_month=1.4, basket=125.0, items=15.0, discount=0.26,
        channels=(0.05, 0.85, 0.10), countries=(0.60, 0.10, 0.20, 0.05, 0.05),
        leave_per_month=0.10, established=0.6, months=(11, 12),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class ShopWorld:
    """What happened in the shop, and which persona every customer really was.

    customers: customer_id, joined_at, country.
    orders: purchase_id, customer_id, ordered_at, amount (paid), discount (saved), items, channel; by time.
    truth: customer_id, month (a date, its first day), persona; the months in which a customer is live.
    """

    customers: pd.DataFrame
    orders: pd.DataFrame
    truth: pd.DataFrame


def simulate(*, seed: int, n_customers: int = 6000) -> ShopWorld:
    """Draw a shop; the same seed and size return the same world."""
    rng = np.random.default_rng(seed)
    home = rng.choice(len(PERSONAS), size=n_customers, p=[persona.share for persona in PERSONAS])
    joined = _draw_joining_months(rng, home)
    lives = _draw_lives(rng, home, joined)
    joined_at = _draw_joining_times(rng, joined)
    country = _pick(rng.random(n_customers), np.array([persona.countries for persona in PERSONAS])[home])
    customer_id = np.arange(1001, 1001 + n_customers)
    customers = pd.DataFrame(
        {"customer_id": customer_id, "joined_at": joined_at, "country": np.array(COUNTRIES)[country]}
    )
    who, month = np.nonzero(lives != AWAY)
    truth = pd.DataFrame(
        {
            "customer_id": customer_id[who],
            "month": MONTHS[month].date,
            "persona": np.array([persona.name for persona in PERSONAS])[lives[who, month]],
        }
    )
    return ShopWorld(customers=customers, orders=_draw_orders(rng, customers, lives), truth=truth)


def _draw_joining_months(rng: np.random.Generator, home: NDArray[np.int64]) -> NDArray[np.int64]:
    """Draw each customer's first month, as an index into MONTHS; negative for customers who were there before."""
    joined = np.empty(len(home), dtype=np.int64)
    for index, persona in enumerate(PERSONAS):
        mine = home == index
        born = _find_birth(persona)
        open_months = [m for m in range(born, len(MONTHS)) if MONTHS[m].month in persona.months]
        drawn = rng.choice(open_months, size=mine.sum())
        first = born if persona.born else -1
        joined[mine] = np.where(rng.random(mine.sum()) < persona.established, first, drawn)
    return joined


def _find_birth(persona: Persona) -> int:
    """Return the first month in which a customer is like this, as an index into MONTHS."""
    return 0 if persona.born is None else int((pd.Timestamp(persona.born, tz="UTC") > MONTHS).sum())


def _draw_joining_times(rng: np.random.Generator, joined: NDArray[np.int64]) -> pd.DatetimeIndex:
    """Draw a moment within the month of joining; for established customers, within the two years before."""
    month = EDGES[np.maximum(joined, 0)]
    length = EDGES[np.maximum(joined, 0) + 1] - month
    two_years = np.timedelta64(730, "D")
    part = _draw_parts(rng, np.where(joined < 0, two_years, length))
    start: NDArray[np.datetime64] = np.where(joined < 0, month - two_years, month)
    return _to_instants(start + part)


def _draw_lives(rng: np.random.Generator, home: NDArray[np.int64], joined: NDArray[np.int64]) -> NDArray[np.int64]:
    """Draw the persona of each customer (rows) in each month (columns); AWAY where the customer does not buy."""
    leave = np.array([persona.leave_per_month for persona in PERSONAS])
    lives = np.full((len(home), len(MONTHS)), AWAY, dtype=np.int64)
    now = home.copy()
    gone = np.zeros(len(home), dtype=bool)
    for column, month in enumerate(MONTHS):
        in_season = np.array([month.month in persona.months for persona in PERSONAS])
        # a customer who buys all year round may become any other such persona, once it exists
        choices = [
            index
            for index, persona in enumerate(PERSONAS)
            if persona.months == EVERY_MONTH and _find_birth(persona) <= column
        ]
        here = (joined <= column) & ~gone
        changes = here & np.isin(now, choices) & (rng.random(len(home)) < CHANGE_PER_MONTH)
        now[changes] = rng.choice(choices, size=changes.sum())
        live = here & in_season[now]
        lives[live, column] = now[live]
        gone |= live & (rng.random(len(home)) < leave[now])
    return lives


def _draw_orders(rng: np.random.Generator, customers: pd.DataFrame, lives: NDArray[np.int64]) -> pd.DataFrame:
    """Draw every order of the months in which the customers are live."""
    n_customers = len(customers)
    rate_habit, basket_habit = np.exp(rng.normal(0.0, HABIT_SPREAD, size=(2, n_customers)))
    channel_habit = rng.random(n_customers)
    who, month = np.nonzero(lives != AWAY)
    persona = lives[who, month]

    joined_at = customers["joined_at"].dt.tz_localize(None).to_numpy(dtype="datetime64[s]")
    begin = np.maximum(EDGES[month], joined_at[who])
    length = EDGES[month + 1] - begin
    per_month = np.array([p.orders_per_month for p in PERSONAS])[persona]
    count = rng.poisson(per_month * rate_habit[who] * (length / np.timedelta64(30, "D")))
    # a new customer has at least one order: the first order is what makes somebody a customer
    count += begin > EDGES[month]

    row = np.repeat(np.arange(len(who)), count)
    n_orders = len(row)
    who, persona = who[row], persona[row]
    price = np.array([p.basket for p in PERSONAS])[persona] * basket_habit[who]
    price *= np.exp(rng.normal(0.0, BASKET_SPREAD, size=n_orders))
    price *= np.where(rng.random(n_orders) < OFFICE_ORDER_SHARE, rng.uniform(5.0, 20.0, size=n_orders), 1.0)
    mean_discount = np.array([p.discount for p in PERSONAS])[persona]
    saved = price * rng.beta(mean_discount * 12, (1 - mean_discount) * 12)
    items = 1 + rng.poisson(np.array([p.items for p in PERSONAS])[persona] - 1)
    # most orders come by the customer's own channel, the rest by any channel of the persona
    habitual = np.where(rng.random(n_orders) < 0.8, channel_habit[who], rng.random(n_orders))
    channel = _pick(habitual, np.array([p.channels for p in PERSONAS])[persona])

    orders = pd.DataFrame(
        {
            "customer_id": customers["customer_id"].to_numpy()[who],
            "ordered_at": _to_instants(begin[row] + _draw_parts(rng, length[row])),
            "amount": np.maximum(np.round(price - saved, 2), 0.01),
            "discount": np.round(saved, 2),
            "items": items,
            "channel": np.array(CHANNELS)[channel],
        }
    ).sort_values(["ordered_at", "customer_id"], kind="stable", ignore_index=True)
    orders.insert(0, "purchase_id", np.arange(1, n_orders + 1))
    return orders


def _pick(uniform: NDArray[np.float64], probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
    """Draw an index per row by the inverse of its cumulative probabilities (rows, choices)."""
    cumulative = probabilities.cumsum(axis=1)
    cumulative[:, -1] = 1.0
    picked: NDArray[np.int64] = (uniform[:, None] >= cumulative).sum(axis=1)
    return picked


def _draw_parts(rng: np.random.Generator, duration: NDArray[np.timedelta64]) -> NDArray[np.timedelta64]:
    """Draw a part of each duration, in whole seconds."""
    return (rng.random(len(duration)) * duration.astype(np.int64)).astype("timedelta64[s]")


def _to_instants(moments: NDArray[np.datetime64]) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(moments.astype("datetime64[us]"), tz="UTC")
