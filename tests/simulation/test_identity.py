"""Segment ids keep their meaning over two years of a simulated shop, compared with plain methods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from support.simulation.baselines import nearest_centroid_ids
from support.simulation.months import assigned_rows, fit_month
from support.simulation.published import Published
from support.simulation.truth import score_run
from support.simulation.world import NUMBERS, simulate
from threadpoolctl import threadpool_limits

from segmentation_pipeline.runtime.settings import DATABASE_VARIABLE
from segmentation_pipeline.storage.registry import schema
from segmentation_pipeline.storage.warehouse.postgres.connection import get_engine

if TYPE_CHECKING:
    import sqlalchemy as sa
    from support.simulation.truth import Score

pytestmark = pytest.mark.slow
SEEDS = range(10)
# what makes a month hard
VARIANTS: dict[str, dict[str, Any]] = {
    "a December in which everybody spends three times as much": {"december": 3.0},
    "six of ten customers new each month": {"turnover": 0.6},
    "nine of ten customers new each month": {"turnover": 0.9},
    "spend in pence from the tenth month on": {"pence_from": 9},
    "a newborn nearest to the one that has retired": {"newborn_near_retired": True},
}


@dataclass(frozen=True)
class Life:
    """A world that was published month by month, and the score of its ids."""

    score: Score
    next_segment_id: int


def _live(engine: sa.Engine, name: str, seed: int, **world: Any) -> Life:
    """Publish every month of a world in order and compare it with the truth."""
    shop, books = simulate(seed, **world), Published(engine, name)
    fits, segments = [], []
    with threadpool_limits(1):  # hundreds of small fits: threads cost more than they bring
        for month, (start, frame) in enumerate(zip(shop.starts, shop.frames, strict=True)):
            fits.append(fit_month(frame, seed=1000 * seed + month, parent_k=books.parent_k(start)))
            segments.append(books.month(start, frame, fits[-1]).segments)
    nearest = nearest_centroid_ids(shop.frames, [fit.labels for fit in fits], columns=NUMBERS)
    rows = assigned_rows(shop, fits, {"segment_id": segments, "nearest": nearest})
    with engine.begin() as connection:
        ledger = connection.exec_driver_sql(
            "SELECT next_segment_id FROM segmentation.segmentation WHERE name = %s", (name,)
        )
        return Life(score_run(rows, shop.events, baselines=["nearest"]), int(ledger.scalar_one()))


@pytest.fixture
def engine(database: str) -> sa.Engine:
    """An empty database with the `segmentation` schema."""
    schema.migrate(DATABASE_VARIABLE)
    return get_engine()


def test_ids_keep_their_meaning_over_ten_worlds(engine: sa.Engine, capsys: pytest.CaptureFixture[str]) -> None:
    """In 99 of 100 steps a persona keeps its id, no two share one, a returning one has its old one, none is reused.

    The raw cluster index and the nearest centroid are measured beside it on the same fits.
    """
    scores = [_live(engine, f"world_{seed}", seed).score for seed in SEEDS]

    steps = sum(score.segments.steps for score in scores)
    kept = 1 - sum(len(score.segments.broken) for score in scores) / steps
    raw = 1 - sum(len(score.others["cluster"].broken) for score in scores) / steps
    nearest = 1 - sum(len(score.others["nearest"].broken) for score in scores) / steps
    returns = sum(score.returns for score in scores)
    with capsys.disabled():
        print(
            f"\n{steps} steps: {kept:.2%} kept; raw index {raw:.1%}, nearest centroid {nearest:.1%}; {returns} returns"
        )
    assert steps > 1000
    assert kept >= 0.99
    assert [score.shared for score in scores] == [()] * len(scores)
    assert returns >= len(scores)
    assert [score.returned_wrong for score in scores] == [()] * len(scores)
    assert [(score.reused, score.taken_over) for score in scores] == [((), ())] * len(scores)
    assert [score.split_wrong for score in scores] == [()] * len(scores)
    assert raw < 0.5
    assert nearest < kept


@pytest.mark.parametrize("world", VARIANTS.values(), ids=VARIANTS)
def test_hard_worlds_leave_the_ids_as_they_were(engine: sa.Engine, world: dict[str, Any]) -> None:
    """Shifts of everybody, strangers and a change of units move customers, not names."""
    for seed in range(3):
        life = _live(engine, f"hard_{seed}", seed, **world)
        score = life.score
        assert score.segments.share >= 0.99, score.segments.broken
        assert (score.shared, score.returned_wrong, score.reused, score.taken_over) == ((), (), (), ())
        # the five of the beginning, the season, the newborn, a child of the split: no id was minted in vain
        assert life.next_segment_id <= 10
