"""Compare segments with the truth: how often a persona keeps its number from one month to the next."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from itertools import pairwise

import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Home:
    """Where most customers of a persona were in one month."""

    month: Hashable
    segment_id: int
    cluster: int
    n_customers: int
    """Customers of the persona in that month."""
    share: float
    """How many of them are in the home segment."""


@dataclass(frozen=True, kw_only=True)
class PersonaStability:
    """How well one persona kept its number."""

    persona: str
    steps: int
    same_segment: int
    """Steps in which the home segment stayed."""
    same_cluster: int
    """Steps in which the home cluster kept its raw index."""
    returns: int
    """Times the persona came back after at least one month without it."""
    returned_to_segment: int
    """Times it then had the segment it had when it was last seen."""
    homes: tuple[Home, ...]
    """One per month in which the persona is present, in order."""


@dataclass(frozen=True, kw_only=True)
class IdentityStability:
    """How well all personas kept their numbers; the shares are nan where there was no step."""

    steps: int
    kept_by_segment: float
    """Share of the steps in which the home segment stayed."""
    kept_by_cluster: float
    """Share of the steps in which the home cluster kept its raw index: what it would be without alignment."""
    personas: tuple[PersonaStability, ...]


def measure_stability(assigned: pd.DataFrame) -> IdentityStability:
    """Count the month-to-month steps in which a persona's home kept its number.

    `assigned` has the columns month, persona, segment_id and cluster, and a row per customer and month. Months are any
    values that can be sorted; two are consecutive if no other month of the frame lies between them. Rows without a
    segment are left out. The home of a persona in a month is the segment (for `kept_by_cluster`: the raw cluster) that
    holds most of its customers, and the smaller number if two hold equally many.
    """
    known = assigned.dropna(subset=["persona", "segment_id", "cluster"])
    position = {month: index for index, month in enumerate(sorted(assigned["month"].unique()))}
    personas = tuple(
        _follow_persona(str(persona), rows, position) for persona, rows in known.groupby("persona", sort=True)
    )
    steps = sum(persona.steps for persona in personas)
    return IdentityStability(
        steps=steps,
        kept_by_segment=_divide(sum(persona.same_segment for persona in personas), steps),
        kept_by_cluster=_divide(sum(persona.same_cluster for persona in personas), steps),
        personas=personas,
    )


def _follow_persona(persona: str, rows: pd.DataFrame, position: dict[Hashable, int]) -> PersonaStability:
    homes = tuple(_find_home(month, present) for month, present in rows.groupby("month", sort=True))
    steps = kept_segment = kept_cluster = returns = returned = 0
    for before, after in pairwise(homes):
        same_segment = before.segment_id == after.segment_id
        if position[after.month] - position[before.month] > 1:
            returns += 1
            returned += same_segment
            continue
        steps += 1
        kept_segment += same_segment
        kept_cluster += before.cluster == after.cluster
    return PersonaStability(
        persona=persona,
        steps=steps,
        same_segment=kept_segment,
        same_cluster=kept_cluster,
        returns=returns,
        returned_to_segment=returned,
        homes=homes,
    )


def _find_home(month: Hashable, present: pd.DataFrame) -> Home:
    # mode() sorts values that are equally frequent, so the first is the smallest
    segment_id = present["segment_id"].mode().iloc[0]
    return Home(
        month=month,
        segment_id=int(segment_id),
        cluster=int(present["cluster"].mode().iloc[0]),
        n_customers=len(present),
        share=float((present["segment_id"] == segment_id).mean()),
    )


def _divide(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
