"""Cluster numbers, seeds and the unit of a feature do not change the customers, so they change no id."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from support.simulation.months import MonthFit, fit_month
from support.simulation.published import Published
from support.simulation.world import simulate

from segmentation_pipeline.runtime.settings import DATABASE_VARIABLE
from segmentation_pipeline.storage.registry import schema
from segmentation_pipeline.storage.warehouse.postgres.connection import get_engine

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from support.simulation.world import World

    from segmentation_pipeline.analysis.identity.identify import Identity

SEEDS = (0, 9)


@pytest.fixture(scope="module", params=SEEDS)
def pounds(request: pytest.FixtureRequest) -> World:
    """Three months of a world in which nothing is born."""
    return simulate(request.param, n_customers=500, n_months=3)


@pytest.fixture
def published(database: str) -> Published:
    """A segmentation that never ran."""
    schema.migrate(DATABASE_VARIABLE)
    return Published(get_engine())


def _homes(world: World, month: int, found: Identity) -> dict[str, int]:
    """The segment of each persona."""
    personas = world.truth.loc[world.truth["month"] == month, "persona"].to_numpy()
    return {str(who): int(segment) for who, segment in pd.crosstab(personas, found.segments).idxmax(axis=1).items()}


def _permute(fit: MonthFit, order: NDArray[np.int64]) -> MonthFit:
    """The same fit under other cluster numbers: cluster i is `order[i]` now."""
    place = np.argsort(order)
    model = replace(fit.model, centers=fit.model.centers[place], labels=tuple(range(fit.model.k)))
    assert fit.model.labels == model.labels
    return replace(fit, model=model, assigned=replace(fit.assigned, labels=order[fit.labels]))


def test_permuted_cluster_numbers_change_no_segment(published: Published, pounds: World) -> None:
    """Under ten other numberings of its clusters each customer of the month has the segment as before."""
    first = fit_month(pounds.frames[0], seed=1)
    published.month(pounds.starts[0], pounds.frames[0], first)
    fit = fit_month(pounds.frames[1], seed=1)
    expected = published.align(pounds.starts[1], pounds.frames[1], fit).identity
    rng = np.random.default_rng(3)
    for _ in range(10):
        order = rng.permutation(fit.model.k)
        found = published.align(pounds.starts[1], pounds.frames[1], _permute(fit, order)).identity
        assert np.array_equal(found.segments, expected.segments)
        assert found.alignment.next_segment_id == expected.alignment.next_segment_id


def test_twenty_other_seeds_change_no_id(published: Published, pounds: World) -> None:
    """Refitted from twenty other seeds and published each time, the month's personas keep their ids."""
    found = published.month(pounds.starts[0], pounds.frames[0], fit_month(pounds.frames[0], seed=1))
    before = _homes(pounds, 0, found)
    assert len(set(before.values())) == len(before) == found.model.k
    for seed in range(100, 120):
        again = published.month(pounds.starts[1], pounds.frames[1], fit_month(pounds.frames[1], seed=seed))
        assert _homes(pounds, 1, again) == before
        assert again.alignment.next_segment_id == found.alignment.next_segment_id


@pytest.mark.parametrize("seed", SEEDS)
def test_spend_in_pence_from_the_next_month_on_changes_no_id(published: Published, seed: int) -> None:
    """The source has pence instead of pounds: every persona keeps its id, in that month and in the one after it."""
    world = simulate(seed, n_customers=500, n_months=3, pence_from=1)
    homes = []
    for month, frame in enumerate(world.frames):
        found = published.month(world.starts[month], frame, fit_month(frame, seed=month))
        # a season may begin in the third month: it is another persona
        homes.append({who: segment for who, segment in _homes(world, month, found).items() if who != "season"})
    assert homes[0] == homes[1] == homes[2]
    assert len(set(homes[0].values())) == 5
