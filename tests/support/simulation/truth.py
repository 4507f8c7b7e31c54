"""Compares a run with the truth: whether segment ids kept their meaning, and where they did not.

The home of a persona in a month is the segment that holds most of its customers (`demo.truth` finds it).

- A *step* is a pair of consecutive months in which the truth knows a persona by the same name. It is kept if the home
  is the same. In the month of a merge the merged persona may have the home of either parent: both meanings go on in it.
- A split is right if the children have different homes, one of them that of the parent and the other an id that no
  other persona ever had for its home.
- A persona that comes back after at least a month of absence is right in the home it had when it was last seen.
- A month is *pure* if each of its segments holds mainly one persona (PURE). There two personas at one home are a fault
  of the ids; in other months the number of clusters may be the reason.
- An id is reused if it was without customers for a month or more and comes back with another persona, taken over if
  another persona has it from one month to the next. The parent of a split, or the two of a merge, count as kin.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Final, cast

from segmentation_pipeline.demo.truth import measure_stability

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

    from support.simulation.personas import Event

    Homes = dict[str, dict[int, int]]

PURE: Final = 0.9


@dataclass(frozen=True, slots=True)
class Offence:
    """A persona (or two of them), a month, and the ids in question: the wanted ones, then the one that was found."""

    month: int
    personas: tuple[str, ...]
    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How often a labelling kept a persona's home from one month to the next."""

    steps: int
    broken: tuple[Offence, ...]
    broken_in_pure: tuple[Offence, ...]
    """Those of `broken` between two pure months."""

    @property
    def share(self) -> float:
        """Of the steps; nan without any."""
        return 1 - len(self.broken) / self.steps if self.steps else float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The result for the segment ids of a run; every tuple is empty where nothing is wrong."""

    segments: Kept
    others: dict[str, Kept]
    """The same of the raw cluster index (`cluster`) and of each baseline."""
    n_months: int
    impure_months: tuple[int, ...]
    shared: tuple[Offence, ...]
    """Two personas at one home in a pure month."""
    shared_in_impure: tuple[Offence, ...]
    returns: int
    returned_wrong: tuple[Offence, ...]
    splits: int
    split_wrong: tuple[Offence, ...]
    reused: tuple[Offence, ...]
    taken_over: tuple[Offence, ...]


def score_run(assigned: pd.DataFrame, events: Sequence[Event] = (), *, baselines: Sequence[str] = ()) -> Score:
    """Score a run.

    assigned: month, persona, segment_id, cluster and a column for each of `baselines`; one row per customer and month,
    the segment null where a customer has none. Months are numbers, those of the world and of `events`.
    """
    months = sorted(assigned["month"].unique().tolist())
    pure = _pure_months(assigned)
    homes = _homes(assigned, "segment_id")
    sharing = _sharing(homes)
    returns, returned_wrong = _returns(homes, months)
    splits = [event for event in events if event.kind == "split" and event.month in months]
    reused, taken_over = _strangers(assigned, months, events, pure)
    return Score(
        segments=_kept(homes, months, events, pure),
        others={
            name: _kept(_homes(assigned, name), months, events, pure) for name in dict.fromkeys(("cluster", *baselines))
        },
        n_months=len(months),
        impure_months=tuple(month for month in months if month not in pure),
        shared=tuple(offence for offence in sharing if offence.month in pure),
        shared_in_impure=tuple(offence for offence in sharing if offence.month not in pure),
        returns=returns,
        returned_wrong=returned_wrong,
        splits=len(splits),
        split_wrong=tuple(_split_wrong(homes, months, splits)),
        reused=reused,
        taken_over=taken_over,
    )


def _homes(assigned: pd.DataFrame, column: str) -> Homes:
    frame = assigned.assign(segment_id=assigned[column], cluster=assigned[column])
    return {
        persona.persona: {int(cast("int", home.month)): home.segment_id for home in persona.homes}
        for persona in measure_stability(frame).personas
    }


def _pure_months(assigned: pd.DataFrame) -> set[int]:
    counts = assigned.groupby(["month", "cluster", "persona"]).size()
    clusters = counts.groupby(["month", "cluster"])
    pure = (clusters.max() / clusters.sum()).groupby("month").min() >= PURE
    return set(pure.index[pure].tolist())


def _kept(homes: Homes, months: Sequence[int], events: Iterable[Event], pure: set[int]) -> Kept:
    merged = {(event.persona, event.month): event.others for event in events if event.kind == "merge"}
    steps, broken, in_pure = 0, [], []
    for persona, at in homes.items():
        for before, after in pairwise(months):
            if before not in at or after not in at:
                continue
            steps += 1
            parents = [persona, *merged.get((persona, after), ())]
            wanted = [homes[parent][before] for parent in parents if before in homes.get(parent, {})]
            if at[after] in wanted:
                continue
            broken.append(Offence(after, (persona,), (*wanted, at[after])))
            if before in pure and after in pure:
                in_pure.append(broken[-1])
    return Kept(steps=steps, broken=tuple(broken), broken_in_pure=tuple(in_pure))


def _sharing(homes: Homes) -> list[Offence]:
    found = []
    for first, second in combinations(sorted(homes), 2):
        both = homes[first].keys() & homes[second].keys()
        found += [
            Offence(month, (first, second), (homes[first][month],))
            for month in both
            if homes[first][month] == homes[second][month]
        ]
    return sorted(found, key=lambda offence: (offence.month, offence.personas))


def _returns(homes: Homes, months: Sequence[int]) -> tuple[int, tuple[Offence, ...]]:
    position = {month: index for index, month in enumerate(months)}
    returns, wrong = 0, []
    for persona, at in homes.items():
        for before, after in pairwise(at):
            if position[after] - position[before] > 1:
                returns += 1
                if at[before] != at[after]:
                    wrong.append(Offence(after, (persona,), (at[before], at[after])))
    return returns, tuple(wrong)


def _split_wrong(homes: Homes, months: Sequence[int], splits: Iterable[Event]) -> Iterable[Offence]:
    for event in splits:
        month = event.month
        earlier = [before for before in months if before < month]
        if not earlier:
            continue
        children = [homes[child][month] for child in event.others]
        parent = homes[event.persona][earlier[-1]]
        used = {at[before] for at in homes.values() for before in earlier if before in at}
        new = [child for child in children if child not in used]
        if not (parent in children and len(new) == 1):
            yield Offence(month, event.others, (parent, *children))


def _strangers(
    assigned: pd.DataFrame, months: Sequence[int], events: Iterable[Event], pure: set[int]
) -> tuple[tuple[Offence, ...], tuple[Offence, ...]]:
    """Return the ids that go to a persona without kin among their earlier owners; only pure months count."""
    kin = defaultdict(set)
    for event in events:
        if event.kind in {"split", "merge"}:
            for other in event.others:
                kin[other].add(event.persona)
                kin[event.persona].add(other)
    known = assigned.dropna(subset=["segment_id"])
    present = {(month, int(segment)) for month, segment in set(zip(known["month"], known["segment_id"], strict=True))}
    counts = known[known["month"].isin(pure)].groupby(["month", "segment_id"])["persona"]
    main = counts.agg(lambda personas: personas.mode().iloc[0])
    owners: dict[int, set[str]] = defaultdict(set)
    last: dict[int, str] = {}
    reused, taken_over = [], []
    gone: set[int] = set()
    for month in months:
        gone |= {segment for segment in owners if (month, segment) not in present}
        for segment, persona in main.loc[month].items() if month in pure else ():
            mine = int(segment)
            stranger = owners[mine] and not ({persona} | kin[persona]) & owners[mine]
            if mine in gone and stranger:
                reused.append(Offence(month, (last[mine], persona), (mine,)))
            elif mine not in gone and mine in last and persona != last[mine] and persona not in kin[last[mine]]:
                taken_over.append(Offence(month, (last[mine], persona), (mine,)))
            owners[mine].add(persona)
            last[mine] = persona
            gone.discard(mine)
    return tuple(reused), tuple(taken_over)
