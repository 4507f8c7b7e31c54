"""Four months in any order, twice, or with one missing: a persona has one id, and old months change no new one."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
import pytest
from support.simulation.months import MonthFit, fit_month
from support.simulation.published import Published
from support.simulation.world import simulate

from segmentation_pipeline.lifecycle.precedence import list_built_on_older_parent
from segmentation_pipeline.lifecycle.rollback import rollback
from segmentation_pipeline.runtime.settings import DATABASE_VARIABLE
from segmentation_pipeline.storage.registry import schema, snapshots
from segmentation_pipeline.storage.warehouse.postgres.connection import get_engine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# worlds in which the birth falls between two seasons, and the split and the merger fall elsewhere
SEEDS: Final = (9, 23)
ORDERS: Final = tuple(permutations(range(4)))


@dataclass(frozen=True)
class Months:
    """Four months of a world: the season, none, a newborn persona and no season, both; each fitted twice.

    `personas` holds the true persona of each row of a month's frame.
    """

    starts: list[str]
    frames: list[pd.DataFrame]
    personas: list[NDArray[np.str_]]
    fits: list[MonthFit]
    refits: list[MonthFit]


@pytest.fixture(scope="module", params=SEEDS)
def months(request: pytest.FixtureRequest) -> Months:
    """Months of a year in which four customers in ten have come and gone."""
    world = simulate(request.param, n_customers=500)
    first = next(event.month for event in world.events if event.kind == "season")
    birth = next(event.month for event in world.events if event.kind == "birth")
    chosen = [first + 1, first + 2, birth, first + 12]
    frames = [world.frames[month] for month in chosen]
    truth = [world.truth.loc[world.truth["month"] == month, "persona"].to_numpy(dtype=str) for month in chosen]
    assert ["season" in personas for personas in truth] == [True, False, False, True]
    assert ["newborn" in personas for personas in truth] == [False, False, True, True]
    return Months(
        starts=[world.starts[month] for month in chosen],
        frames=frames,
        personas=truth,
        fits=[fit_month(frame, seed=7) for frame in frames],
        refits=[fit_month(frame, seed=8) for frame in frames],
    )


@pytest.fixture
def published(database: str) -> Published:
    """A segmentation that never ran."""
    schema.migrate(DATABASE_VARIABLE)
    return Published(get_engine())


class Ledger:
    """The observations while months ran: the ids of each persona, and the counter of ids."""

    def __init__(self, published: Published, months: Months) -> None:
        """Begin with nothing published."""
        self.published, self.months = published, months
        self.ids: dict[str, set[int]] = {}
        self.done: set[int] = set()
        self.next_id = 1

    def run(self, month: int, fit: MonthFit) -> None:
        """Run one month, and assert that every invariant still holds."""
        pointer, target = self._target() if self.done else (None, {})
        found = self.published.month(self.months.starts[month], self.months.frames[month], fit)
        fresh = [match.segment_id for match in found.alignment.matches if match.through == "new"]
        assert all(segment >= self.next_id for segment in fresh)
        assert found.alignment.next_segment_id >= self.next_id
        self.next_id = found.alignment.next_segment_id
        homes = pd.crosstab(self.months.personas[month], found.segments).idxmax(axis=1)
        for persona, segment in homes.items():
            self.ids.setdefault(str(persona), set()).add(int(segment))
        is_old = any(done > month for done in self.done)
        self.done.add(month)
        assert {persona: len(ids) for persona, ids in self.ids.items()} == dict.fromkeys(self.ids, 1)
        assert len(set.union(*self.ids.values())) == len(self.ids), "two personas had the same id"
        self._assert_books()
        if is_old:
            assert (pointer, target) == self._target()

    def _assert_books(self) -> None:
        """Parents are earlier, the newest month is current, the target equals it, older parents are reported."""
        name = self.published.name
        with self.published.engine.begin() as connection:
            all_of_them = {snapshot.snapshot_id: snapshot for snapshot in snapshots.list_snapshots(connection, name)}
            stale = {snapshot.partition for snapshot in list_built_on_older_parent(connection, name)}
        now = [snapshot for snapshot in all_of_them.values() if snapshot.status == "published"]
        assert [snapshot.partition for snapshot in now] == [self.months.starts[month] for month in sorted(self.done)]
        for snapshot in all_of_them.values():
            if snapshot.parent_snapshot_id is not None:
                assert all_of_them[snapshot.parent_snapshot_id].as_of < snapshot.as_of
        ids = [snapshot.snapshot_id for snapshot in now]
        wanted = dict(zip(ids, [None, *ids], strict=False))
        assert stale == {
            snapshot.partition for snapshot in now if snapshot.parent_snapshot_id != wanted[snapshot.snapshot_id]
        }
        pointer, target = self._target()
        assert pointer == now[-1].snapshot_id
        newest = set(self.months.frames[max(self.done)]["customer_id"])
        with self.published.engine.begin() as connection:
            query = f"SELECT customer_id, segment_id FROM segmentation.{name}_assignment WHERE snapshot_id = {pointer}"
            kept = {int(key): segment for key, segment in connection.exec_driver_sql(query)}
        assert kept.keys() == newest
        assert {key: target[key] for key in newest} == kept

    def _target(self) -> tuple[int, dict[int, int]]:
        name = self.published.name
        with self.published.engine.begin() as connection:
            rows = connection.exec_driver_sql(f"SELECT customer_id, segment_id FROM {self.published.target.table}")
            target = {int(key): segment for key, segment in rows}
            ledger = snapshots.lock(connection, name)
        assert ledger is not None
        assert ledger.current_snapshot_id is not None
        return ledger.current_snapshot_id, target


@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_months_in_any_order_and_with_any_missing(published: Published, months: Months, order: Sequence[int]) -> None:
    """After each run of each order, so with any month missing too: one id a persona, earlier parents, a new target."""
    ledger = Ledger(published, months)
    for month in order:
        ledger.run(month, months.fits[month])
    assert len(ledger.ids) == 7


@pytest.mark.slow
@pytest.mark.parametrize("order", ORDERS, ids=str)
def test_months_twice_in_any_order(published: Published, months: Months, order: Sequence[int]) -> None:
    """Each month runs twice in a row, the second time from another seed: no persona gets a second id."""
    ledger = Ledger(published, months)
    for month in order:
        ledger.run(month, months.fits[month])
        ledger.run(month, months.refits[month])
    assert len(ledger.ids) == 7


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_months_over_and_over(published: Published, months: Months, seed: int) -> None:
    """Twelve runs of random months, and then the rebuild that the warning names: no persona gets a second id."""
    ledger = Ledger(published, months)
    rng = np.random.default_rng(seed)
    for number, month in enumerate(rng.integers(0, 4, size=12)):
        ledger.run(int(month), (months.fits, months.refits)[number % 2][int(month)])
    for month in sorted(ledger.done):
        ledger.run(month, months.fits[month])
    with published.engine.begin() as connection:
        assert list_built_on_older_parent(connection, published.name) == []


@pytest.mark.parametrize("order", [(0, 2, 3), (1, 2, 3), (3, 0, 2), (2, 3, 0)], ids=str)
@pytest.mark.parametrize("status", ["rejected", "declined"])
def test_a_version_that_was_never_published_gives_no_second_id(
    published: Published, months: Months, order: Sequence[int], status: str
) -> None:
    """A month is aligned first and refused; its rerun gives its personas the ids that later months gave them."""
    refused, *others = order
    ledger = Ledger(published, months)
    aligned = published.align(months.starts[refused], months.frames[refused], months.fits[refused])
    with published.engine.begin() as connection:
        snapshots.set_status(connection, aligned.snapshot_id, status)  # type: ignore[arg-type]  # of Status
    ledger.next_id = aligned.identity.alignment.next_segment_id
    for month in others:
        ledger.run(month, months.fits[month])
    ledger.run(refused, months.refits[refused])


@pytest.mark.parametrize("order", [(2, 3), (3, 2), (3,)], ids=str)
def test_a_persona_of_a_month_that_was_rolled_back_has_its_id_again(
    published: Published, months: Months, order: Sequence[int]
) -> None:
    """The newborn of a month that was rolled back is the same segment in any month that sees it next."""
    ledger = Ledger(published, months)
    for month in (0, 2):
        ledger.run(month, months.fits[month])
    with published.engine.begin() as connection:
        first = snapshots.list_snapshots(connection, published.name)[0]
        rollback(connection, published.target, published.name, first.snapshot_id, who="anna", reason=None)
    ledger.done = {0}
    for month in order:
        ledger.run(month, months.refits[month])
    assert len(ledger.ids) == 7
