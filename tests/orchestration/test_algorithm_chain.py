"""Months clustered by other algorithms than K-Means, from the query to the target."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from support.three_groups import MONTHS, N_CUSTOMERS, find_group, write_defs

if TYPE_CHECKING:
    from support.chain import Chain

FAR = 5
COUNTS = (
    "SELECT algorithm, k, n_rows, n_assigned, n_unassigned, n_rejected FROM segmentation.snapshot ORDER BY 1, version"
)
NUMBERS = """
    - {column: visits, kind: numeric, transform: log1p, min: 0}
    - {column: spend, kind: numeric, transform: log1p, min: 0}"""


def _group_segments(chain: Chain, *, without: tuple[int, ...] = ()) -> dict[int, set[int | None]]:
    found: dict[int, set[int | None]] = {}
    for user, segment in chain.rows("SELECT user_id, segment_id FROM target"):
        if user not in without:
            found.setdefault(find_group(user), set()).add(segment)
    return found


def test_a_density_model_leaves_far_customers_unassigned(chain: Chain) -> None:
    """The far customer is NULL everywhere and is counted, the counts add up, and a rerun keeps every id."""
    write_defs(chain.defs, features=NUMBERS, extra="fit: {algorithm: hdbscan, k: 5}")
    chain.execute("UPDATE facts SET visits = 5000, spend = 0 WHERE customer_id = %s", FAR)
    chain.execute("UPDATE facts SET spend = -5 WHERE customer_id = 7")
    first = chain.run(MONTHS[0])
    assert first.success, first.problems

    (counted,) = chain.rows(COUNTS)
    n_unassigned = counted[4]
    assert counted[:3] == ("hdbscan", 3, N_CUSTOMERS)
    assert counted[3] + n_unassigned + counted[5] == N_CUSTOMERS
    assert 1 <= n_unassigned <= 9
    assert chain.rows("SELECT count(*) FROM segmentation.shop_assignment WHERE segment_id IS NULL") == [(n_unassigned,)]
    assert chain.rows("SELECT segment_id FROM segmentation.shop_assignment WHERE customer_id = %s", FAR) == [(None,)]
    assert chain.rows("SELECT segment_id FROM segmentation.shop_current WHERE customer_id = %s", FAR) == [(None,)]
    assert chain.rows("SELECT segment_id FROM target WHERE user_id = %s", FAR) == [(None,)]
    groups = _group_segments(chain)
    assert sorted(len(ids - {None}) for ids in groups.values()) == [1, 1, 1]

    # several prototypes a segment, which share out its customers
    shown = chain.rows(
        "SELECT segment_id, count(*), sum(n_customers), sum(share) FROM segmentation.centroid GROUP BY 1"
    )
    assert all(1 < n_prototypes <= 24 for _, n_prototypes, _, _ in shown)
    assert sum(n_customers for _, _, n_customers, _ in shown) == counted[3]
    assert sum(share for *_, share in shown) == pytest.approx(1)
    ((notes, message),) = chain.rows(
        "SELECT s.metrics->'notes', g.message FROM segmentation.snapshot s JOIN segmentation.gate g USING (snapshot_id) "
        "WHERE g.name = 'counts_add_up'"
    )
    assert "fit.k = 5 is not used" in notes[0]
    assert f"unassigned {n_unassigned:,}" in message

    before = chain.rows("SELECT user_id, segment_id, last_updated FROM target ORDER BY 1")
    again = chain.run(MONTHS[0])
    assert (again.success, again.changed) == (True, 0)
    assert chain.rows("SELECT user_id, segment_id, last_updated FROM target ORDER BY 1") == before
    assert chain.run(MONTHS[1]).success
    assert {group: ids - {None} for group, ids in _group_segments(chain, without=(7, FAR)).items()} == {
        group: ids - {None} for group, ids in groups.items()
    }
    assert chain.rows("SELECT next_segment_id FROM segmentation.segmentation") == [(4,)]


def test_prototypes_of_numbers_and_categories(chain: Chain) -> None:
    """K-Prototypes records gamma with its model, every customer has a segment, and a rerun keeps every id."""
    write_defs(chain.defs, extra="fit: {algorithm: kprototypes, k: 3}")
    first = chain.run(MONTHS[0])
    assert first.success, first.problems

    assert chain.rows(COUNTS) == [("kprototypes", 3, N_CUSTOMERS, N_CUSTOMERS, 0, 0)]
    groups = _group_segments(chain)
    assert sorted(len(ids) for ids in groups.values()) == [1, 1, 1]
    ((model,),) = chain.rows("SELECT model FROM segmentation.snapshot")
    assert model["gamma"] == {"plan": 0.5}
    assert sorted(model["labels"]) == sorted(segment for ids in groups.values() for segment in ids)
    before = chain.rows("SELECT user_id, segment_id, last_updated FROM target ORDER BY 1")
    assert chain.run(MONTHS[0]).changed == 0
    assert chain.rows("SELECT user_id, segment_id, last_updated FROM target ORDER BY 1") == before


def test_quantiles_of_several_features_are_refused(chain: Chain) -> None:
    """The run fails, names the features, and leaves no snapshot."""
    write_defs(chain.defs, extra="fit: {algorithm: quantile, k: 3}")

    outcome = chain.run(MONTHS[0])

    assert not outcome.success
    assert "quantile cuts exactly one numeric feature; features has 3: visits (numeric)" in json.dumps(outcome.problems)
    assert chain.rows("SELECT count(*) FROM segmentation.snapshot") == [(0,)]


@pytest.mark.slow
@pytest.mark.parametrize(
    "fit",
    [
        "kmeans, k: 3",
        "minibatch_kmeans, k: 3",
        "kmedoids, k: 3",
        "gaussian_mixture, k: 3",
        "spectral, k: 3",
        "quantile, k: 3",
    ],
)
def test_every_algorithm_goes_through_the_chain(chain: Chain, fit: str) -> None:
    """Each algorithm finds the three groups, and keeps their ids in the next month."""
    features = "[{column: spend, kind: numeric, transform: log1p}]" if "quantile" in fit else NUMBERS
    write_defs(chain.defs, features=features, extra=f"fit: {{algorithm: {fit}}}")

    for month in MONTHS[:2]:
        outcome = chain.run(month)
        assert outcome.success, outcome.problems

    ((segments,),) = chain.rows("SELECT array_agg(DISTINCT segment_id) FROM target WHERE segment_id IS NOT NULL")
    assert sorted(segments) == [1, 2, 3]
    assert sorted(len(ids - {None}) for ids in _group_segments(chain).values()) == [1, 1, 1]
