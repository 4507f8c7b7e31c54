"""Write the synthetic shop to PostgreSQL: the source, the truth beside it, and the target table."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Final

import pandas as pd
import psycopg
import pyarrow as pa
import pyarrow.csv as pacsv
from psycopg import sql

from segmentation_pipeline.demo.world import simulate
from segmentation_pipeline.errors import ConfigurationError, TargetError

# any number will do, as long as every seeding takes the same one
_LOCK: Final = 7_213_004

_TABLES: Final = """
CREATE SCHEMA IF NOT EXISTS shop;
CREATE TABLE shop.seeded (seed bigint NOT NULL, n_customers bigint NOT NULL);
CREATE TABLE shop.customer (
    customer_id bigint NOT NULL,
    joined_at timestamptz NOT NULL,
    country text NOT NULL
);
CREATE TABLE shop.purchase (
    purchase_id bigint NOT NULL,
    customer_id bigint NOT NULL,
    ordered_at timestamptz NOT NULL,
    amount numeric(10, 2) NOT NULL,
    discount numeric(10, 2) NOT NULL,
    items integer NOT NULL,
    channel text NOT NULL
);
CREATE TABLE shop.true_persona (
    customer_id bigint NOT NULL,
    month date NOT NULL,
    persona text NOT NULL
);
COMMENT ON COLUMN shop.purchase.amount IS 'What was paid, in euro.';
COMMENT ON COLUMN shop.purchase.discount IS 'What was saved, in euro.';
COMMENT ON TABLE shop.true_persona IS 'Who each customer really was in a month; no segmentation reads it.';
"""

# after the rows: one sort instead of 300,000 insertions
_KEYS: Final = """
ALTER TABLE shop.customer ADD PRIMARY KEY (customer_id);
ALTER TABLE shop.purchase ADD PRIMARY KEY (purchase_id);
ALTER TABLE shop.purchase ADD FOREIGN KEY (customer_id) REFERENCES shop.customer;
ALTER TABLE shop.true_persona ADD PRIMARY KEY (customer_id, month);
CREATE INDEX ON shop.purchase (ordered_at);
CREATE INDEX ON shop.purchase (customer_id, ordered_at);
ANALYZE shop.customer, shop.purchase, shop.true_persona;
"""

_TARGET: Final = """
CREATE TABLE IF NOT EXISTS public.user_analytics (
    user_id bigint PRIMARY KEY,
    segment_id integer,
    last_updated timestamptz
);
INSERT INTO public.user_analytics (user_id)
SELECT customer_id FROM shop.customer
ON CONFLICT (user_id) DO NOTHING;
"""

_COUNTS: Final = """
SELECT (SELECT count(*) FROM shop.customer),
       (SELECT count(*) FROM shop.purchase)
"""


@dataclass(frozen=True, kw_only=True)
class ShopCounts:
    """The rows of the shop, and whether this call wrote them."""

    customers: int
    purchases: int
    created: bool


def seed_shop(conninfo: str, *, seed: int = 2024, n_customers: int = 6000) -> ShopCounts:
    """Write the shop into the database in one transaction; a shop that is there already stays as it is.

    The target `public.user_analytics` is created where it is missing and gets the customers it lacks; what it holds is
    not changed.

    Raises:
        ConfigurationError: the schema `shop` holds another shop, or tables that are not the demo's.
        TargetError: `public.user_analytics` exists and cannot take the customers.
    """
    with psycopg.connect(conninfo) as connection:
        connection.execute("SET LOCAL client_min_messages = warning")  # no notice for what exists already
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        created = not _is_there(connection, seed=seed, n_customers=n_customers)
        if created:
            _write(connection, seed=seed, n_customers=n_customers)
        try:
            connection.execute(_TARGET)
        except (psycopg.ProgrammingError, psycopg.IntegrityError) as error:
            message = (
                f"public.user_analytics cannot take the shop's customers: {error.diag.message_primary}."
                " Nothing was written. The demo needs user_id bigint PRIMARY KEY, segment_id integer,"
                " last_updated timestamptz; use another database for it."
            )
            raise TargetError(message) from error
        counts = connection.execute(_COUNTS).fetchone()
    if counts is None:  # a SELECT without FROM returns one row; this is for the type checker
        raise AssertionError
    customers, purchases = counts
    return ShopCounts(customers=customers, purchases=purchases, created=created)


def _is_there(connection: psycopg.Connection, *, seed: int, n_customers: int) -> bool:
    """Return whether the shop of this seed and size was written before."""
    marker = connection.execute("SELECT to_regclass('shop.seeded')").fetchone()
    if marker is None or marker[0] is None:
        return False
    found = connection.execute("SELECT seed, n_customers FROM shop.seeded").fetchone()
    if found != (seed, n_customers):
        holds = "an unfinished shop"
        if found is not None:
            holds = f"the shop of seed {found[0]} with {found[1]:,} customers"
        message = (
            f"the database holds {holds}, wanted seed {seed} with {n_customers:,} customers."
            " Use another database, or DROP SCHEMA shop CASCADE first."
        )
        raise ConfigurationError(message)
    return True


def _write(connection: psycopg.Connection, *, seed: int, n_customers: int) -> None:
    try:
        connection.execute(_TABLES)
    except psycopg.errors.DuplicateTable as error:
        message = (
            f"the schema shop exists and is not the demo's: {error.diag.message_primary}."
            " Nothing was written; use another database for the demo."
        )
        raise ConfigurationError(message) from error
    world = simulate(seed=seed, n_customers=n_customers)
    _copy(connection, "customer", world.customers)
    _copy(connection, "purchase", world.orders)
    _copy(connection, "true_persona", world.truth)
    connection.execute(_KEYS)
    connection.execute("INSERT INTO shop.seeded VALUES (%s, %s)", [seed, n_customers])


def _copy(connection: psycopg.Connection, table: str, rows: pd.DataFrame) -> None:
    """Load a frame into the table of the schema `shop` that has its columns."""
    buffer = BytesIO()
    options = pacsv.WriteOptions(include_header=False)
    pacsv.write_csv(pa.Table.from_pandas(rows, preserve_index=False), buffer, options)
    statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(
        sql.Identifier("shop", table), sql.SQL(", ").join(map(sql.Identifier, rows.columns))
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(buffer.getbuffer())
