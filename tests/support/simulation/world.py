"""Customers of a shop over two years with the truth known: each one's persona, and the events of the personas.

Each customer has lasting habits, personas overlap, customers come, go and change persona, and each persona drifts.
`personas.py` draws the personas, and when one is born, splits, merges, or comes for a season.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from segmentation_pipeline.spec import FeatureSpec
from support.simulation.personas import CHANNELS, HABIT, NOISE, SEASON, Event, Plan, draw_plan

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEATURES: Final = (
    FeatureSpec(column="spend", kind="numeric", transform="log1p", min=0),
    FeatureSpec(column="visits", kind="numeric", transform="log1p", min=0),
    FeatureSpec(column="basket", kind="numeric", transform="log1p", min=0),
    FeatureSpec(column="recency_days", kind="numeric", transform="log1p", min=0),
    FeatureSpec(column="discount_share", kind="numeric", min=0, max=1),
    # how long a customer has been here says nothing about the persona: in the world as in life
    FeatureSpec(column="tenure_days", kind="numeric", transform="log1p", min=0, weight=0.3),
    FeatureSpec(column="channel", kind="categorical"),
)
NUMBERS: Final = tuple(feature.column for feature in FEATURES if feature.is_number)

LEAST_MONTHS: Final = 24
CHANGE: Final = 0.01
CONVERTS: Final = 0.2
COME_BACK: Final = 0.65
FAVOURITE: Final = 0.75
DAYS_A_MONTH: Final = 30
GONE: Final = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One frame a month, and the truth.

    frames: customer_id (int64, unique), and the columns of FEATURES. truth: month (index into `frames`), customer_id,
    persona; one row for each row of the frames. starts: the first day of each month, YYYY-MM-DD.
    """

    frames: list[pd.DataFrame]
    truth: pd.DataFrame
    events: tuple[Event, ...]
    starts: tuple[str, ...]
    december: float

    def live(self, month: int) -> tuple[str, ...]:
        """Return the personas that have customers in `month`."""
        return tuple(sorted(self.truth.loc[self.truth["month"] == month, "persona"].unique()))


@dataclass(slots=True)
class _Crowd:
    """All customers of all months; row i is customer 100,001 + i."""

    persona: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    active: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, dtype=np.bool_))
    tenure: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    habits: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, len(HABIT))))
    channel: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    split: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    def join(self, rng: np.random.Generator, persona: NDArray[np.int64]) -> None:
        """Add a new active customer for each of `persona`."""
        n = len(persona)
        self.persona = np.append(self.persona, persona)
        self.active = np.append(self.active, np.ones(n, dtype=np.bool_))
        self.tenure = np.append(self.tenure, np.exp(rng.normal(6.3, 0.5, n)).astype(np.int64))
        self.habits = np.concatenate([self.habits, rng.normal(size=(n, len(HABIT))) * HABIT])
        self.channel = np.append(self.channel, rng.random(n))
        self.split = np.append(self.split, rng.random(n))


def simulate(
    seed: int,
    *,
    n_customers: int = 1500,
    n_months: int = 24,
    turnover: float = 0.04,
    december: float | None = None,
    pence_from: int | None = None,
    newborn_near_retired: bool = False,
    apart: float = 4.0,
) -> World:
    """Draw a world; the same arguments give the same one.

    `n_customers` are there in the first month outside the season; the newborn persona and the season add theirs.
    `turnover` is the share of customers who leave each month and are replaced. `december` is the factor of visits and
    spend in that month (None: 1.4 to 1.8, by the seed). From month `pence_from` on spend is in pence.
    `newborn_near_retired`: while the seasonal persona is away, another one is born nearest to it.
    `apart` is the distance of the nearest two personas in deviations: K-Means mistakes some 3 % of the customers at 4,
    some 10 % at 3.
    """
    rng = np.random.default_rng(seed)
    plan = draw_plan(rng, n_months=max(n_months, LEAST_MONTHS), newborn_near_retired=newborn_near_retired, apart=apart)
    factor = plan.december if december is None else december
    decembers = {event.month for event in plan.events if event.kind == "december"}
    parts = rng.uniform(0.4, 0.6)
    crowd = _Crowd()
    frames, truths = [], []
    for month in range(n_months):
        if month == 0:
            at_first = np.flatnonzero(plan.live[:, 0])
            crowd.join(rng, rng.choice(at_first, n_customers, p=plan.share[at_first] / plan.share[at_first].sum()))
        else:
            _turn_over(rng, crowd, turnover)
            _change_personas(rng, crowd, plan, month)
            for event in plan.events:
                if event.month == month:
                    _apply(rng, crowd, plan, event, n_customers=n_customers, turnover=turnover, parts=parts)
        frames.append(_observe(rng, crowd, plan, month, factor if month in decembers else 1.0))
        if pence_from is not None and month >= pence_from:
            frames[-1]["spend"] = (frames[-1]["spend"] * 100).round()
        who = np.flatnonzero(crowd.active)
        personas = np.array(plan.names)[crowd.persona[who]]
        truths.append(pd.DataFrame({"month": month, "customer_id": 100_001 + who, "persona": personas}))
        crowd.tenure[who] += DAYS_A_MONTH
    return World(
        frames=frames,
        truth=pd.concat(truths, ignore_index=True),
        events=tuple(event for event in plan.events if event.month < n_months),
        starts=tuple(f"{2022 + month // 12}-{month % 12 + 1:02d}-01" for month in range(n_months)),
        december=factor,
    )


def _turn_over(rng: np.random.Generator, crowd: _Crowd, turnover: float) -> None:
    """Let some customers leave for good, and as many of the same personas come."""
    leaves = np.flatnonzero(crowd.active & (rng.random(len(crowd.active)) < turnover))
    crowd.active[leaves] = False
    crowd.join(rng, crowd.persona[leaves])
    crowd.persona[leaves] = GONE


def _change_personas(rng: np.random.Generator, crowd: _Crowd, plan: Plan, month: int) -> None:
    """Change the persona of some customers, to one that is live last month and now; the season keeps its own."""
    choices = np.flatnonzero(plan.live[:, month] & plan.live[:, month - 1])
    choices = choices[choices != SEASON]
    changes = crowd.active & np.isin(crowd.persona, choices) & (rng.random(len(crowd.active)) < CHANGE)
    step = rng.integers(1, len(choices), size=int(changes.sum()))
    position = np.searchsorted(choices, crowd.persona[changes])
    crowd.persona[changes] = choices[(position + step) % len(choices)]


def _apply(
    rng: np.random.Generator,
    crowd: _Crowd,
    plan: Plan,
    event: Event,
    *,
    n_customers: int,
    turnover: float,
    parts: float,
) -> None:
    """Apply an event of the plan to the customers."""
    if event.kind == "december":
        return
    me = plan.names.index(event.persona)
    others = [plan.names.index(name) for name in event.others]
    mine = crowd.persona == me
    wanted = round(plan.share[me] * n_customers)
    if event.kind == "split":
        crowd.persona[mine] = np.where(crowd.split[mine] < parts, *others)
    elif event.kind == "merge":
        crowd.persona[crowd.persona == others[0]] = me
    elif event.kind == "birth":
        lasting = np.flatnonzero(crowd.active & (crowd.persona != SEASON))
        crowd.persona[rng.choice(lasting, round(CONVERTS * wanted), replace=False)] = me
        crowd.join(rng, np.full(wanted - round(CONVERTS * wanted), me))
    elif event.kind == "season":
        again = np.flatnonzero(mine)[: int(min(COME_BACK, 1 - turnover) * wanted)]
        crowd.active[again] = True
        crowd.join(rng, np.full(wanted - len(again), me))
    else:
        crowd.active &= ~mine


def _observe(rng: np.random.Generator, crowd: _Crowd, plan: Plan, month: int, factor: float) -> pd.DataFrame:
    """Return the rows of the active customers in one month."""
    who = np.flatnonzero(crowd.active)
    persona = crowd.persona[who]
    latent = plan.path[persona, month] + crowd.habits[who] + rng.normal(size=(len(who), len(NOISE))) * NOISE
    visits = 1 + rng.poisson(np.maximum(np.exp(latent[:, 0]) * factor - 1, 0.0))
    basket = np.exp(latent[:, 1])
    # a customer's own channel lasts as long as the persona does
    own = crowd.channel[who]
    other = (own - FAVOURITE) / (1 - FAVOURITE) < 0.5
    shift = np.where(own < FAVOURITE, 0, np.where(other, 1, 2))
    return pd.DataFrame(
        {
            "customer_id": 100_001 + who,
            "spend": np.round(visits * basket * np.exp(rng.normal(0.0, 0.1, len(who))), 2),
            "visits": visits,
            "basket": np.round(basket, 2),
            "recency_days": np.round(np.exp(latent[:, 2])).astype(np.int64),
            "discount_share": np.round(1 / (1 + np.exp(-latent[:, 3])), 4),
            "tenure_days": crowd.tenure[who],
            "channel": np.array(CHANNELS)[(plan.channel[persona] + shift) % len(CHANNELS)],
        }
    )
