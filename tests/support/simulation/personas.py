"""The plan of a world: its personas, their place in each month, and the events of their lives.

A persona is a point in four latent coordinates: log visits, log basket, log recency, logit of the discount share. A plan
is drawn again until its personas are as far apart as wanted in every month, not farther and not nearer, measured as
K-Means will see them: on standardised features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Points = NDArray[np.float64]

LOW: Final = np.array([np.log(4.0), np.log(12.0), np.log(3.0), -2.6])
HIGH: Final = np.array([np.log(30.0), np.log(150.0), np.log(45.0), 0.6])
# standard deviations between customers of one persona, and between the months of one customer (visits are Poisson)
HABIT: Final = np.array([0.15, 0.20, 0.25, 0.25])
NOISE: Final = np.array([0.0, 0.20, 0.35, 0.30])
# the approximate width of a persona
WIDTH: Final = np.array([0.33, 0.28, 0.43, 0.39])
DRIFT: Final = (0.005, 0.015)
# The nearest two personas of a world are at least as far apart as wanted, and at most this much farther.
SLACK: Final = 2.0
CHANNELS: Final = ("app", "store", "web")
YEAR: Final = 12
DECEMBER: Final = 11
FIRST_PERSONAS: Final = ("a", "b", "c", "d", "e")
SEASON, NEWBORN, LEFT, RIGHT = range(5, 9)
# most plans that are this far apart in single features are far enough apart on all together
CLEARANCE: Final = 1.2
DRAWS: Final = 100
ATTEMPTS: Final = 20_000

Kind = Literal["birth", "split", "merge", "season", "season_end", "december"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What happens between the month before `month` and `month`.

    birth, season, season_end: `persona` comes or goes. split: `persona` becomes the two `others`. merge: `persona` and
    the one of `others` are alike from now on, and the truth calls both `persona`. december: everybody buys more.
    """

    kind: Kind
    month: int
    persona: str = ""
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Personas (P) over months (T): `live` (P, T), `path` (P, T, 4), the favourite `channel` and the `share` of each.

    The shares of the first add up to 1; those of the season and the newborn are of the same customers, beside them.
    """

    names: tuple[str, ...]
    live: NDArray[np.bool_]
    path: Points
    channel: NDArray[np.int64]
    share: Points
    events: tuple[Event, ...]
    december: float


def draw_plan(rng: np.random.Generator, *, n_months: int, newborn_near_retired: bool, apart: float) -> Plan:
    """Draw the months of the events, then personas until the nearest two of all months are `apart` and no more.

    That is the distance between them over the deviation along the line between them: nearest-centre labels are wrong
    for 2.3 % of the customers of a pair that is 4 apart, for 6.7 % at 3, for 0.1 % at 6.
    """
    names = [*FIRST_PERSONAS, "season", "newborn", "", ""]
    season, birth, split, merge = _schedule(rng, newborn_near_retired=newborn_near_retired)
    parent, kept, gone = (int(persona) for persona in rng.permutation(len(FIRST_PERSONAS))[:3])
    names[LEFT], names[RIGHT] = f"{names[parent]}1", f"{names[parent]}2"

    months = np.arange(n_months)
    in_season = (months % YEAR == season) | (months % YEAR == season + 1)
    live = np.ones((len(names), n_months), dtype=np.bool_)
    live[SEASON] = in_season
    live[NEWBORN] = months >= birth
    live[[LEFT, RIGHT]] = months >= split
    live[parent] = months < split
    live[gone] = months < merge
    kin = {frozenset(pair) for pair in ((parent, LEFT), (parent, RIGHT), (kept, gone))}
    for _ in range(ATTEMPTS):
        path = _draw_path(
            rng, n_months, (parent, kept, gone), merge=merge, apart=apart, near_season=newborn_near_retired
        )
        if not _in_bounds(path, live) or not _apart(path, live, kin, least=apart):
            continue
        if not all(_nearest(path, live, child, split) == parent for child in (LEFT, RIGHT)):
            continue
        if _nearest(path, live, kept, merge) not in {kept, gone}:
            continue
        if newborn_near_retired and _nearest(path, live, NEWBORN, birth) != SEASON:
            continue
        break
    else:
        message = f"no plan in {ATTEMPTS:,} attempts with personas {apart} apart; ask for less"
        raise RuntimeError(message)
    events = [
        Event(kind="birth", month=birth, persona=names[NEWBORN]),
        Event(kind="split", month=split, persona=names[parent], others=(names[LEFT], names[RIGHT])),
        Event(kind="merge", month=merge, persona=names[kept], others=(names[gone],)),
        *(Event(kind="december", month=int(month)) for month in months if month % YEAR == DECEMBER),
    ]
    for month in range(1, n_months):
        if in_season[month] != in_season[month - 1]:
            kind: Kind = "season" if in_season[month] else "season_end"
            events.append(Event(kind=kind, month=month, persona=names[SEASON]))
    share = rng.uniform(0.8, 1.5, len(names))
    share[: len(FIRST_PERSONAS)] /= share[: len(FIRST_PERSONAS)].sum()
    share[SEASON:] = rng.uniform(0.10, 0.24, size=len(names) - SEASON)
    return Plan(
        names=tuple(names),
        live=live,
        path=path,
        channel=rng.integers(len(CHANNELS), size=len(names)),
        share=share,
        events=tuple(sorted(events, key=lambda event: event.month)),
        december=float(rng.uniform(1.4, 1.8)),
    )


def _schedule(rng: np.random.Generator, *, newborn_near_retired: bool) -> tuple[int, int, int, int]:
    """Draw the first month of the season, and the months of birth, split and merge, no two in one step."""
    season = int(rng.integers(2, 9))
    edges = (season, season + 2, season + YEAR, season + YEAR + 2, DECEMBER, DECEMBER + 1)
    free = [month for month in range(3, 22) if month not in edges]
    while True:
        birth, split, merge = (int(month) for month in rng.choice(free, size=3, replace=False))
        gaps = np.diff(sorted((birth, split, merge)))
        if gaps.min() >= 2 and (not newborn_near_retired or season + 5 <= birth < season + YEAR):
            return season, birth, split, merge


def _draw_path(
    rng: np.random.Generator, n_months: int, fates: tuple[int, int, int], *, merge: int, apart: float, near_season: bool
) -> Points:
    """Draw the place of each persona in each month, live or not.

    `fates` are the persona that splits, the one that lives on after the merge, and the one that ends in it.
    """
    parent, kept, gone = fates
    base = np.full((RIGHT + 1, len(LOW)), np.nan)
    base[parent] = rng.uniform(LOW, HIGH)
    half = _directions(rng, 1)[0] * rng.uniform(0.55, 0.75) * apart
    base[LEFT], base[RIGHT] = base[parent] + half, base[parent] - half
    _place(base, SEASON, rng.uniform(LOW, HIGH, size=(DRAWS, len(LOW))), clear=apart)
    if near_season:
        _place(base, NEWBORN, base[SEASON] + _directions(rng, DRAWS) * rng.uniform(1.2, 1.5) * apart, clear=apart)
    for persona in np.flatnonzero(np.isnan(base[:, 0])):
        _place(base, int(persona), rng.uniform(LOW, HIGH, size=(DRAWS, len(LOW))), clear=apart)
    velocity = rng.choice([-1.0, 1.0], size=base.shape) * rng.uniform(*DRIFT, size=base.shape)
    velocity[[LEFT, RIGHT]] = velocity[parent]
    path: Points = base[:, None, :] + velocity[:, None, :] * np.arange(n_months)[:, None]
    meeting = rng.uniform(0.0, 0.5) * (path[gone, merge] - path[kept, merge])
    path[kept, merge:] += meeting
    return path


def _place(base: Points, persona: int, draws: Points, *, clear: float) -> None:
    """Put `persona` at the first of `draws` (n, 4) that is apart from all that have a place, else at the last."""
    taken = base[~np.isnan(base[:, 0])]
    nearest = np.linalg.norm((draws[:, None] - taken[None]) / WIDTH, axis=-1).min(axis=1)
    good = (nearest > CLEARANCE * clear) & (draws >= LOW).all(axis=1) & (draws <= HIGH).all(axis=1)
    base[persona] = draws[good.argmax() if good.any() else -1]


def _directions(rng: np.random.Generator, n: int) -> Points:
    """Draw random directions (n, 4), each as long as one deviation between customers."""
    directions = rng.normal(size=(n, len(LOW)))
    directions *= WIDTH / np.linalg.norm(directions, axis=1, keepdims=True)
    return directions


def _features(latent: Points) -> tuple[Points, Points]:
    """Return means (..., 5) of log visits, spend, basket, recency and the discount, and their slopes by latent."""
    visits, basket, recency, discount = np.moveaxis(latent, -1, 0)
    share = 1 / (1 + np.exp(-discount))
    means = np.stack([visits, visits + basket, basket, recency, share], axis=-1)
    moves = np.zeros((*latent.shape[:-1], 5, 4))
    for feature, coordinate in ((0, 0), (1, 0), (1, 1), (2, 1), (3, 2)):
        moves[..., feature, coordinate] = 1.0
    moves[..., 4, 3] = share * (1 - share)
    return means, moves


def separations(latent: Points, live: NDArray[np.bool_]) -> tuple[Points, Points]:
    """Return the distances of personas (P, 4) on features standardised over the live ones, in deviations and plain."""
    means, moves = _features(latent)
    spread = np.tile(HABIT**2 + NOISE**2, (len(latent), 1))
    spread[:, 0] += np.exp(-latent[:, 0])
    within = np.einsum("pfl,pl->pf", moves**2, spread)
    scale = np.sqrt(means[live].var(axis=0) + within[live].mean(axis=0))
    means, moves = means / scale, moves / scale[:, None]
    line = means[:, None, :] - means[None, :, :]
    distance = np.linalg.norm(line, axis=-1)
    unit = line / np.maximum(distance, 1e-9)[..., None]
    along = np.einsum("pqf,pfl->pql", unit, moves) ** 2
    variance = np.einsum("pql,pl->pq", along, spread)
    variance = np.maximum((variance + variance.T) / 2, 1e-9)
    return distance / np.sqrt(variance), distance


def _in_bounds(path: Points, live: NDArray[np.bool_]) -> bool:
    slack = 0.15 * (HIGH - LOW)
    inside = (path >= LOW - slack) & (path <= HIGH + slack)
    return bool(inside.all(axis=-1)[live].all())


def _apart(path: Points, live: NDArray[np.bool_], kin: set[frozenset[int]], *, least: float) -> bool:
    """Check that in every month each live persona is apart from all that ever lived, and the nearest pair is near."""
    nearest = float("inf")
    for month in range(path.shape[1]):
        now = live[:, month]
        known = live[:, : month + 1].any(axis=1)
        apart, _ = separations(_last_seen(path, live, month), now)
        pairs = np.outer(now, known)
        np.fill_diagonal(pairs, val=False)
        for first, second in (tuple(pair) for pair in kin):
            pairs[first, second] = pairs[second, first] = now[first] and now[second]
        nearest = min(nearest, float(apart[pairs].min()))
        if nearest < least:
            return False
    return nearest <= least + SLACK


def _last_seen(path: Points, live: NDArray[np.bool_], month: int) -> Points:
    """Return the place of each persona in `month`, or in the last month in which it lived."""
    last = np.where(live[:, : month + 1], np.arange(month + 1), -1).max(axis=1)
    seen: Points = path[np.arange(len(path)), last]
    return seen


def _nearest(path: Points, live: NDArray[np.bool_], persona: int, month: int) -> int:
    """Return the persona, known before `month`, that is nearest to the place of `persona` in it."""
    known = np.flatnonzero(live[:, :month].any(axis=1))
    places = np.concatenate([_last_seen(path, live, month - 1), path[persona, month][None, :]])
    _, distance = separations(places, np.append(live[:, month - 1], False))
    return int(known[distance[-1, known].argmin()])
