"""A small version of the shop on the pages: the tables of `make demo`, customers in three groups, several months."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import psycopg

if TYPE_CHECKING:
    from pathlib import Path

MONTHS = ("2025-01-01", "2025-02-01", "2025-03-01", "2025-04-01", "2025-05-01", "2025-06-01")
N_CUSTOMERS = 240
FIRST = 1000
GROUPS = ((2.0, 10.0), (12.0, 80.0), (30.0, 400.0))
DEFS = """\
type: segmentation_pipeline.Segmentation
attributes:
  name: shop
  source:
    query: |
      SELECT customer_id, orders, spend, luck FROM shop.month WHERE month = :window_start::date
    key: customer_id
  partitions: {{cadence: monthly, start: "2025-01-01", end: "2025-07-01"}}
  features:
    - {{column: orders, kind: numeric, transform: log1p, min: 0}}
    - {{column: spend, kind: numeric, transform: log1p, min: 0}}
  outcomes: [luck]
  sweep: {{k_max: 4}}
  fit: {{k: 3}}
  publish: {{table: public.user_analytics, key: user_id, updated_column: last_updated, approval: {approval}}}
"""
_TABLES = """
CREATE SCHEMA shop;
CREATE TABLE shop.customer (customer_id bigint PRIMARY KEY, joined_at timestamptz, country text);
CREATE TABLE shop.purchase (customer_id bigint, ordered_at timestamptz, amount numeric(10, 2));
CREATE TABLE shop.month (customer_id bigint, month date, orders float8, spend float8, luck integer);
CREATE TABLE public.customers (customer_id bigint PRIMARY KEY, orders float8, spend float8);
CREATE TABLE public.user_analytics (user_id bigint PRIMARY KEY, segment_id integer, last_updated timestamptz);
"""


def make_shop(url: str) -> None:
    """Fill the tables.

    In March a few customers of each group behave like those of another, one is new, one has no spend. In every month some
    are on the border of two groups.
    """
    rng = np.random.default_rng(6)
    with psycopg.connect(url) as connection:
        connection.execute(_TABLES)
        everybody = range(FIRST, FIRST + N_CUSTOMERS)
        for customer in [*everybody, FIRST + N_CUSTOMERS]:
            connection.execute("INSERT INTO shop.customer VALUES (%s, '2024-01-01', 'NL')", [customer])
            connection.execute("INSERT INTO public.user_analytics VALUES (%s)", [customer])
        with connection.cursor().copy("COPY shop.month FROM STDIN") as copy:
            for month in MONTHS:
                for customer in everybody:
                    moved = customer < FIRST + 9 and month >= MONTHS[2]
                    orders, spend = GROUPS[(customer + moved) % 3]
                    noise = rng.lognormal(0, 0.15, 2)
                    if customer % 30 == 0:  # halfway between the first two groups, some a little nearer to one
                        way = 0.44 + 0.02 * ((customer - FIRST) // 30)
                        orders, spend, noise = 3 * (13 / 3) ** way - 1, 11 * (81 / 11) ** way - 1, np.ones(2)
                    copy.write_row((customer, month, orders * noise[0], spend * noise[1], int(rng.integers(0, 2))))
                if month >= MONTHS[2]:
                    copy.write_row((FIRST + N_CUSTOMERS, month, 12.0, 80.0, 1))
                    copy.write_row((4711, month, 3.0, None, 0))
        connection.execute(
            "INSERT INTO public.customers SELECT customer_id, orders, spend FROM shop.month WHERE month = %s",
            [MONTHS[0]],
        )


def write_shop(folder: Path, *, approval: str = "auto") -> Path:
    """Write the defs.yaml; return the folder of the segmentations."""
    (folder / "shop").mkdir(parents=True, exist_ok=True)
    (folder / "shop" / "defs.yaml").write_text(DEFS.format(approval=approval))
    return folder
