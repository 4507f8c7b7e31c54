"""A table of customers to measure with: 8 numeric and 3 categorical columns (29 values), five groups, two months.

In the second month 5 % of the rows have other values. The table is made inside PostgreSQL, from a seeded generator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import psycopg

if TYPE_CHECKING:
    from pathlib import Path

MONTHS: Final = ("2024-01-01", "2024-02-01")
NUMERIC: Final = tuple(f"x{index}" for index in range(1, 9))
CATEGORICAL: Final = {"channel": 4, "plan": 5, "region": 20}
GROUPS: Final = 5
CHANGED: Final = 0.05

# a group's place in column i: -2 to 2 in an order of its own; a customer lies around it with a deviation of 0.6
_NUMBER = (
    "round((exp(1 + 0.5 * ((((g * {odd}) % 5) - 2) + 0.6 * (sqrt(-2 * ln(1 - random())) * cos(6.283185307 * random()))))"
    " * 10)::numeric, 2) AS {name}"
)
_CATEGORY = (
    "'{name}_' || (CASE WHEN random() < 0.7 THEN (g * {odd}) % {n} ELSE floor(random() * {n})::int END) AS {name}"
)

DEFS: Final = """\
type: segmentation_pipeline.Segmentation
attributes:
  name: bench
  source:
    query: "SELECT * FROM customers_1 WHERE :as_of <= '2024-02-01' UNION ALL SELECT * FROM customers_2 WHERE :as_of > '2024-02-01'"
    key: customer_id
  partitions: {{cadence: monthly, start: "2024-01-01", end: "2024-03-01"}}
  features:
{features}
  {extra}
  publish: {{table: public.user_analytics, key: user_id, column: segment_id, updated_column: last_updated}}
"""


def make_tables(url: str, n_rows: int, *, seed: float = 0.42) -> None:
    """Create `customers_1`, `customers_2` and the target `user_analytics` with a row for every customer."""
    columns = [_NUMBER.format(odd=2 * index + 1, name=name) for index, name in enumerate(NUMERIC)]
    columns += [
        _CATEGORY.format(odd=2 * index + 1, name=name, n=n) for index, (name, n) in enumerate(CATEGORICAL.items())
    ]
    drawn = f"SELECT i AS customer_id, {', '.join(columns)} FROM (SELECT i, i % {GROUPS} AS g FROM generate_series(1, {n_rows}) i) s"
    with psycopg.connect(url) as connection:
        connection.execute("DROP TABLE IF EXISTS customers_1, customers_2, user_analytics")
        connection.execute("SELECT setseed(%s)", [seed])
        connection.execute(f"CREATE TABLE customers_1 AS {drawn}")
        every = round(1 / CHANGED)
        other = ", ".join(
            f"CASE WHEN customer_id % {every} = 0 THEN round(({name} * 3)::numeric, 2) ELSE {name} END AS {name}"
            for name in NUMERIC[:4]
        )
        rest = ", ".join([*NUMERIC[4:], *CATEGORICAL])
        connection.execute(f"CREATE TABLE customers_2 AS SELECT customer_id, {other}, {rest} FROM customers_1")
        connection.execute(
            "CREATE TABLE user_analytics (user_id integer PRIMARY KEY, segment_id integer, last_updated timestamptz)"
        )
        connection.execute("INSERT INTO user_analytics (user_id) SELECT customer_id FROM customers_1")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def write_defs(folder: Path, *, extra: str = "") -> Path:
    """Write the segmentation `bench`; gives the defs folder."""
    features = [f"    - {{column: {name}, kind: numeric, transform: log1p, min: 0}}" for name in NUMERIC]
    features += [f"    - {{column: {name}, kind: categorical}}" for name in CATEGORICAL]
    (folder / "bench").mkdir(parents=True, exist_ok=True)
    (folder / "bench" / "defs.yaml").write_text(DEFS.format(features="\n".join(features), extra=extra))
    return folder
