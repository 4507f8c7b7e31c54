"""Difficult input through the whole chain: nothing to split, names and keys of every kind, columns that change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg
import psycopg
import pytest
from psycopg import sql
from support.three_groups import MONTHS, write_source

from segmentation_pipeline.errors import SpecError

if TYPE_CHECKING:
    from support.chain import Chain

X = {"column": "x", "kind": "numeric"}
# three groups whose members differ a little, whatever the month
GROUPED = "{key} AS {name}, (g % 3) * 100 + (g % 17)::float8 / 10 AS x FROM generate_series(1, 300) g"


@pytest.mark.parametrize(
    ("rows", "fit", "said"),
    [
        (1, {}, "1 customers with 1 distinct rows cannot be split into 2 clusters"),
        (3, {"k": 5}, "3 distinct rows cannot be split into 5 clusters"),
    ],
)
def test_what_cannot_be_split_is_refused_before_a_fit(chain: Chain, rows: int, fit: dict[str, Any], said: str) -> None:
    """One row, or fewer distinct rows than K, ends the run with both numbers and leaves no snapshot."""
    query = f"SELECT g AS id, (g % {rows})::float8 AS x FROM generate_series(1, {max(rows, 40 if rows > 1 else 1)}) g"
    write_source(chain.defs, query, features=[X], fit=fit)
    outcome = chain.run(MONTHS[0])
    assert not outcome.success
    assert said in outcome.problems[0]
    assert "Error" not in outcome.problems[0]
    assert chain.rows("SELECT count(*) FROM segmentation.snapshot") == [(0,)]


def test_fewer_distinct_rows_than_k_max_are_swept_as_far_as_they_go(chain: Chain) -> None:
    """Four distinct rows are split into at most four clusters, without an error for the Ks above."""
    write_source(
        chain.defs, "SELECT g AS id, (g % 4)::float8 ^ 3 AS x FROM generate_series(1, 200) g", features=[X],
        gates={"structure": {"severity": "warn"}},
    )  # fmt: skip
    outcome = chain.run(MONTHS[0])
    assert outcome.success, outcome.problems
    assert chain.rows("SELECT k <= 4 FROM segmentation.snapshot") == [(True,)]
    assert chain.rows("SELECT count(*) FROM users WHERE segment_id IS NOT NULL") == [(200,)]


@pytest.mark.parametrize(
    ("key", "expression", "kind"),
    [
        ("key", "9007199254740992 + g", "bigint"),
        pytest.param('Kunden-Nr. "A" %s {} \'', "'Kunde ' || g || chr(10) || '🛒, \"'", "text", marks=pytest.mark.slow),
        pytest.param("features", "md5(g::text)::uuid", "uuid", marks=pytest.mark.slow),
        pytest.param("user", "g::int2", "smallint", marks=pytest.mark.slow),
    ],
)
def test_keys_and_names_of_every_kind_reach_the_target(chain: Chain, key: str, expression: str, kind: str) -> None:
    """Each customer has its own segment in the target and in the views, also months later, and none has another's."""
    name = sql.Identifier(key)
    chain.execute('CREATE SCHEMA "Mein.Shop"')
    write_source(
        chain.defs, "SELECT " + GROUPED.format(key=expression, name=name.as_string()), key=key, features=[X],
        publish={"table": '"Mein.Shop"."Kunden"', "key": key, "column": "Segment Nr.", "updated_column": "Wann", "mode": "create"},
    )  # fmt: skip
    for month in MONTHS[:2]:
        outcome = chain.run(month)
        assert outcome.success, outcome.problems
    assert outcome.changed == 0
    with psycopg.connect(chain.url) as connection:
        wanted = dict(connection.execute(sql.SQL(f"SELECT ({expression})::text, g % 3 FROM generate_series(1, 300) g")))
        target = sql.SQL('SELECT {}::text, "Segment Nr." FROM "Mein.Shop"."Kunden"').format(name)
        found = dict(connection.execute(target))
        current = sql.SQL("SELECT {}::text, segment_id FROM segmentation.shop_current").format(name)
        assert dict(connection.execute(current)) == found
        assert connection.execute("SELECT count(*) FROM segmentation.shop_movers").fetchone() == (0,)
    assert found.keys() == wanted.keys()
    assert len({(wanted[key], found[key]) for key in wanted}) == 3
    assert chain.rows("SELECT key_type FROM segmentation.segmentation") == [(kind,)]


@pytest.mark.parametrize("key", ["name", "since", "snapshot_id", "segment_id", "distance", "margin", "from", "ctid"])
def test_a_key_that_has_one_of_our_names_is_refused_at_load_time(chain: Chain, key: str) -> None:
    """A key with the name of a column of our tables and views is refused, with the query to write."""
    from segmentation_pipeline.orchestration.discovery import segmentations

    write_source(chain.defs, "SELECT 1", key=key, features=[X])
    with pytest.raises(SpecError, match=f"the key is called '{key}'.*SELECT \"{key}\" AS customer_id"):
        segmentations()


SOUND = "SELECT g AS id, (g % 3) * 100 + (g % 17)::float8 / 10 AS x, (g % 2)::text AS c FROM generate_series(1, 300) g"
C = {"column": "c", "kind": "categorical"}


CHANGES = {
    "SELECT id, c FROM (%s) s": "the source has no column x; it has id, c",
    "SELECT id, 'n' || x AS x, c FROM (%s) s": "all 300 rows were rejected",
    "SELECT id, now() AS x, c FROM (%s) s": "x is a date, and a date is not a number",
    "SELECT id::text AS id, x, c FROM (%s) s": "users.user is integer, and the source's key is text",
    "SELECT id::int8 AS id, x, c FROM (%s) s": "shop has the key id (integer), and the source now returns id (bigint)",
    "SELECT id::float8 AS id, x, c FROM (%s) s": "the key id is of type float8; use an integer, uuid or text",
    "SELECT id AS nr, x, c FROM (%s) s": "no key column 'id'; it has nr, x, c",
}


def test_a_column_that_went_or_changed_is_named_and_nothing_is_written(chain: Chain) -> None:
    """A column that is missing or has another kind since last month ends the run; target and snapshots stay as they were."""
    state = "SELECT snapshot_id, status FROM segmentation.snapshot", "SELECT * FROM users ORDER BY 1"
    write_source(chain.defs, SOUND, features=[X, C])
    assert chain.run(MONTHS[0]).success
    before = [chain.rows(query) for query in state]
    for then, said in CHANGES.items():
        write_source(chain.defs, then % SOUND, features=[X, C])
        outcome = chain.run(MONTHS[1])
        assert not outcome.success
        assert said in outcome.problems[0]
        assert "the UI shows where" not in outcome.problems[0]
        assert [chain.rows(query) for query in state] == before


def test_a_column_that_changes_its_type_and_keeps_its_meaning_moves_no_customer(chain: Chain) -> None:
    """With numbers that arrive as numeric and categories that arrive as numbers every customer keeps last month's segment."""
    write_source(chain.defs, SOUND, features="auto")
    assert chain.run(MONTHS[0]).success
    before = chain.rows("SELECT * FROM users ORDER BY 1")
    write_source(chain.defs, f"SELECT id, x::numeric(9, 3) AS x, c::int AS c FROM ({SOUND}) s", features="auto")
    outcome = chain.run(MONTHS[1])
    assert outcome.success, outcome.problems
    assert chain.rows("SELECT * FROM users ORDER BY 1") == before


def test_a_period_whose_data_has_not_arrived_is_refused(chain: Chain) -> None:
    """`source.fresh` ends the run before anything is stored, and names both dates; `auto` leaves its column out."""
    query = f"SELECT *, timestamptz '2024-01-30 12:00+00' - id * interval '1 hour' AS updated_at FROM ({SOUND}) s"
    source = {"query": query, "key": "id", "fresh": {"column": "updated_at", "within": "24h"}}
    write_source(chain.defs, query, features="auto", source=source)
    outcome = chain.run(MONTHS[0])
    assert not outcome.success
    assert "has not arrived: the newest updated_at is 2024-01-30 11:00" in outcome.problems[0]
    assert "2024-01-31 00:00 or later (24h before as_of, 2024-02-01 00:00)" in outcome.problems[0]
    assert chain.instance.get_latest_materialization_event(dg.AssetKey(["shop", "raw_extract"])) is None

    source["fresh"] = {"column": "updated_at", "within": "2d"}
    write_source(chain.defs, query, features="auto", source=source)
    for stage in ("raw_extract", "validated_rows"):
        assert chain.materialize(stage, MONTHS[0]).success
    event = chain.instance.get_latest_materialization_event(dg.AssetKey(["shop", "validated_rows"]))
    assert event is not None
    assert event.asset_materialization is not None
    assert event.asset_materialization.metadata["left_out"].value == {
        "updated_at": "named in outcomes, exclude or source.fresh"
    }
