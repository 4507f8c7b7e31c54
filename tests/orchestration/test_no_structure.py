"""Customers without groups: nothing is published, but the best K is reported."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import psycopg
import pytest
from support.three_groups import MONTHS

if TYPE_CHECKING:
    from support.chain import Chain

N_ROWS = 800
DEFS = """\
type: segmentation_pipeline.Segmentation
attributes:
  name: noise
  source: {{table: public.noise, key: customer_id}}
  partitions: {{cadence: monthly, start: "2024-01-01", end: "2024-07-01"}}
  features: [{features}]
  publish: {{table: public.target, key: user_id, updated_column: last_updated}}
"""


def _make(chain: Chain, points: np.ndarray) -> None:
    """Make a table of the points, and a segmentation of it with the default settings."""
    columns = [f"x{index}" for index in range(points.shape[1])]
    with psycopg.connect(chain.url) as connection:
        connection.execute(f"CREATE TABLE noise (customer_id integer, {' float8, '.join(columns)} float8)")
        with connection.cursor().copy("COPY noise FROM STDIN") as copy:
            for row, values in enumerate(points.tolist()):
                copy.write_row((row + 1, *values))
        connection.execute("INSERT INTO target SELECT generate_series(301, %s)", [len(points)])
    (chain.defs / "noise").mkdir()
    features = ", ".join(f"{{column: {column}, kind: numeric}}" for column in columns)
    (chain.defs / "noise" / "defs.yaml").write_text(DEFS.format(features=features))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["uniform", "gaussian"])
@pytest.mark.parametrize("d", [2, 5, 20])
def test_noise_is_not_published(chain: Chain, kind: str, d: int) -> None:
    """The gate `structure` fails with its sentence, the target stays empty, and the snapshot has the best K."""
    rng = np.random.default_rng(d)
    points = rng.uniform(size=(N_ROWS, d)) if kind == "uniform" else rng.normal(size=(N_ROWS, d))
    _make(chain, points)

    outcome = chain.run(MONTHS[0], name="noise")

    assert not outcome.success
    (problem,) = [problem for problem in outcome.problems if "no cluster structure" in problem]
    assert problem.startswith("gate structure: no cluster structure: ")
    assert outcome.receipt is None
    ((status, k, reason),) = chain.rows("SELECT status, k, metrics->>'reason' FROM segmentation.snapshot")
    assert status == "rejected"
    assert 2 <= k <= 10
    assert f"K = {k}" in reason
    assert chain.rows("SELECT count(*) FROM target WHERE segment_id IS NOT NULL") == [(0,)]
    assert chain.rows("SELECT count(*) FROM segmentation.noise_assignment") == [(0,)]
    gates = dict(chain.rows("SELECT name, passed FROM segmentation.gate"))
    assert gates["structure"] is False
