"""A seed replays a month; without one each run draws and records its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from support.three_groups import MONTHS, write_defs

if TYPE_CHECKING:
    from support.chain import Chain

FITS = "SELECT seed, model, metrics->>'inertia' FROM segmentation.snapshot WHERE partition = %s ORDER BY version"


def test_a_seed_reproduces_the_centroids(chain: Chain) -> None:
    """With `fit.seed` a month without and a month with a parent are reproduced to the last bit of their JSON."""
    write_defs(chain.defs, extra="fit: {k: 5, seed: 7}\n  gates: {structure: {severity: warn}}")
    for month in (*MONTHS[:2], MONTHS[1], MONTHS[0]):
        outcome = chain.run(month)
        assert outcome.success, outcome.problems
    for month in MONTHS[:2]:
        first, again = chain.rows(FITS, month)
        assert first[0] == 7
        assert first == again
        centers = "SELECT segment_id, ordinal, center FROM segmentation.centroid JOIN segmentation.snapshot USING (snapshot_id) WHERE partition = %s AND version = %s ORDER BY 1, 2"
        assert chain.rows(centers, month, 1) == chain.rows(centers, month, 2)


def test_without_a_seed_each_run_records_its_own(chain: Chain) -> None:
    """Two runs of one month, and of the next, draw three different seeds, and each can be replayed by its record."""
    for month in (MONTHS[0], MONTHS[0], MONTHS[1]):
        assert chain.run(month).success
    seeds = [row[0] for row in chain.rows("SELECT seed FROM segmentation.snapshot ORDER BY snapshot_id")]
    assert len(set(seeds)) == 3
    (_, drawn) = chain.rows(FITS, MONTHS[0])
    write_defs(chain.defs, extra=f"fit: {{seed: {seeds[1]}}}")
    assert chain.run(MONTHS[0]).success
    assert chain.rows(FITS, MONTHS[0])[2] == drawn
