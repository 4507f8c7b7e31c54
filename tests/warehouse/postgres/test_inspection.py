"""A first look at a table: what is refused with which message, what is found, where segments could go."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.model import Period
from segmentation_pipeline.spec import SourceSpec
from segmentation_pipeline.storage.warehouse.base import InspectedTable, ProposedTarget
from segmentation_pipeline.storage.warehouse.postgres import inspection
from segmentation_pipeline.storage.warehouse.postgres.source import PostgresSource

if TYPE_CHECKING:
    from pathlib import Path

    import sqlalchemy as sa

PERIOD = Period("2026-10-01", datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC))


@pytest.fixture
def shop(engine: sa.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> sa.Engine:
    """Fifty customers and their orders, a table with a capital and a space in its name, a view."""
    monkeypatch.setenv("SEGMENTATION_HOME", str(tmp_path))
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE SCHEMA crm; CREATE TABLE crm.customers (id int PRIMARY KEY, spend numeric, joined date)"
        )
        connection.exec_driver_sql(
            "INSERT INTO crm.customers SELECT g, g * 1.5, date '2026-01-01' + g FROM generate_series(1, 50) g"
        )
        connection.exec_driver_sql(
            "CREATE TABLE crm.orders AS SELECT nullif(mod(g, 20), 0) AS customer_id, g AS order_id FROM generate_series(1, 60) g"
        )
        connection.exec_driver_sql('CREATE TABLE crm."My Customers" AS SELECT id AS "ID" FROM crm.customers')
        connection.exec_driver_sql("CREATE VIEW crm.active AS SELECT id, spend FROM crm.customers WHERE id > 10")
        connection.exec_driver_sql("CREATE TABLE crm.empty (id int)")
    return engine


def _source(table: str, key: str = "id") -> PostgresSource:
    return PostgresSource(SourceSpec(table=table, key=key), "UTC")


def _inspect(table: str, key: str = "id") -> InspectedTable:
    return _source(table, key).inspect(table, PERIOD)


def test_a_table_is_read_as_every_stage_reads_it(shop: sa.Engine) -> None:
    """The rows in the types of the chain, the types that the server has, the count."""
    found = _inspect("crm.customers")

    assert (found.table, found.key, found.n_rows, len(found.sample)) == ("crm.customers", "id", 50, 50)
    assert found.sample["spend"].sum() == 1.5 * 50 * 51 / 2
    assert found.column_types == {"id": "int4", "spend": "numeric", "joined": "date"}


def test_a_view_and_a_name_that_needs_quotes_are_tables_too(shop: sa.Engine) -> None:
    """A view is inspected like a table, and the name is returned as a defs.yaml takes it."""
    assert _inspect("crm.active").n_rows == 40
    assert _inspect('crm."My Customers"', "ID").table == 'crm."My Customers"'


def test_of_a_large_table_a_sample_is_read_that_stays_the_same(
    shop: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """About as many rows as wanted, chosen by the key; the server's estimates say the rest."""
    with shop.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE crm.large AS SELECT g AS id, mod(g, 400) AS city FROM generate_series(1, 5000) g; ANALYZE crm.large"
        )
    monkeypatch.setattr(inspection, "SAMPLE_ROWS", 500)
    first, second = _inspect("crm.large"), _inspect("crm.large")

    assert first.n_rows == 5000
    assert 350 < len(first.sample) < 650
    assert sorted(first.sample["id"]) == sorted(second.sample["id"])
    assert first.sample["city"].nunique() < 390 < first.n_distinct["city"] < 410
    assert first.n_distinct["id"] == 5000


@pytest.mark.parametrize(
    ("table", "key", "said"),
    [
        ("crm.custmers", "id", "there is no table crm.custmers; did you mean crm.customers"),
        ("public.orders", "id", "there is no table public.orders; did you mean crm.orders?"),
        ("zzz.qqqqqqq", "id", "there is no table zzz.qqqqqqq; there is crm.My Customers, crm.active, crm.customers"),
        ("crm.customers", "ID", "crm.customers has no column ID; did you mean id?"),
        ("crm.customers", "zzzzzz", "crm.customers has no column zzzzzz; it has id, spend, joined."),
        ("crm.empty", "id", "crm.empty has no rows; there is nothing to look at yet"),
        ("crm.customers", "joined", "the key joined is of type date; use an integer, uuid or text column"),
        (
            "crm.orders", "customer_id",
            "cannot be the key: 3 of 60 rows have no value; 19 of its 19 values occur more than once (first: 1 in 3 rows, 2 in",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_what_is_there(shop: sa.Engine, table: str, key: str, said: str) -> None:
    """Unknown tables and columns are refused with the nearest ones, impossible keys with counts and examples."""
    with pytest.raises(SourceError) as refused:
        _inspect(table, key)

    assert said in str(refused.value)


def test_looking_changes_nothing(shop: sa.Engine) -> None:
    """Neither the inspection nor the proposal of a target writes anything: the server would refuse it."""
    with shop.begin() as connection:
        before = connection.exec_driver_sql("SELECT count(*) FROM pg_class").scalar()
    _source("crm.customers").propose_target(_inspect("crm.customers"), "shop")
    with shop.begin() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM pg_class").scalar() == before


def _target(table: str = "crm.customers", wanted: str | None = None) -> ProposedTarget:
    return _source(table).propose_target(_inspect(table), "shop", wanted=wanted)


def test_segments_go_where_it_works_at_once(shop: sa.Engine) -> None:
    """A table of their own, with the statement for the table itself; the table itself where it has the column."""
    statement = 'ALTER TABLE "crm"."customers" ADD COLUMN "segment_id" integer;'
    assert _target() == ProposedTarget("public.shop_segments", "id", "create", statement)
    assert _target("crm.active") == ProposedTarget("public.shop_segments", "id", "create", None)
    with shop.begin() as connection:
        connection.exec_driver_sql(statement)
    assert _target() == ProposedTarget("crm.customers", "id", "update")


def test_a_wanted_target_is_taken_as_it_is(shop: sa.Engine) -> None:
    """A table that is there is updated, by its own key, after the statement that it needs; a new one is made."""
    with shop.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE crm.users (user_id int PRIMARY KEY, segment_id int); CREATE TABLE crm.bare (a int)"
        )

    assert _target(wanted="crm.users") == ProposedTarget("crm.users", "user_id", "update")
    assert _target(wanted="crm.made") == ProposedTarget("crm.made", "id", "create")
    assert _target(wanted="crm.customers").statement == 'ALTER TABLE "crm"."customers" ADD COLUMN "segment_id" integer;'
    with pytest.raises(
        SourceError, match=r"the target crm\.bare has no column id and no primary key of one column; it has a"
    ):
        _target(wanted="crm.bare")
