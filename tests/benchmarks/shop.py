"""A table of customers to measure with: 8 numeric and 3 categorical columns (29 values), five groups, two months.

In the second month 5 % of the rows are drawn again, from the next group. The rows come from a seeded generator, a
block at a time, and go in by COPY, so that ten million are there within two minutes.
"""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.csv as pacsv

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MONTHS: Final = ("2024-01-01", "2024-02-01")
TABLES: Final = dict(zip(MONTHS, ("customers_1", "customers_2"), strict=True))
TARGET: Final = "user_analytics"
NUMERIC: Final = tuple(f"x{index}" for index in range(1, 9))
CATEGORICAL: Final = {"channel": 4, "plan": 5, "region": 20}
GROUPS: Final = 5
CHANGED: Final = 0.05
BLOCK_ROWS: Final = 250_000
# how far a customer lies from the group's place, and how often it has the group's own category
SPREAD, LOYAL = 0.6, 0.7

QUERY: Final = (
    "SELECT * FROM customers_1 WHERE :as_of <= '2024-02-01' UNION ALL "
    "SELECT * FROM customers_2 WHERE :as_of > '2024-02-01'"
)
DEFS: Final = """\
type: segmentation_pipeline.Segmentation
attributes:
  name: bench
  source:
    query: "{query}"
    key: customer_id
  partitions: {{cadence: monthly, start: "2024-01-01", end: "2024-03-01"}}
  features:
{features}
  publish: {{table: public.user_analytics, key: user_id, column: segment_id, updated_column: last_updated}}
"""


def make_tables(url: str, n_rows: int, *, seed: int = 42) -> None:
    """Create `customers_1`, `customers_2` and the target `user_analytics` with a row for every customer."""
    with ThreadPoolExecutor(len(TABLES)) as pool:  # numpy, Arrow and the server work at the same time
        list(pool.map(lambda month: _make_month(url, month, n_rows, seed=seed), MONTHS))
    make_target(url, TARGET)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def make_target(url: str, name: str) -> None:
    """Create a table of all customers, without segments."""
    with psycopg.connect(url) as connection:
        connection.execute(f"DROP TABLE IF EXISTS {name}")
        connection.execute(f"CREATE TABLE {name} (user_id integer, segment_id integer, last_updated timestamptz)")
        connection.execute(f"INSERT INTO {name} (user_id) SELECT customer_id FROM customers_1")
        connection.execute(f"ALTER TABLE {name} ADD PRIMARY KEY (user_id)")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"VACUUM ANALYZE {name}")


def write_defs(folder: Path) -> Path:
    """Write the segmentation `bench` and return the defs folder."""
    features = [f"    - {{column: {name}, kind: numeric, transform: log1p, min: 0}}" for name in NUMERIC]
    features += [f"    - {{column: {name}, kind: categorical}}" for name in CATEGORICAL]
    (folder / "bench").mkdir(parents=True, exist_ok=True)
    (folder / "bench" / "defs.yaml").write_text(DEFS.format(query=QUERY, features="\n".join(features)))
    return folder


def _make_month(url: str, month: str, n_rows: int, *, seed: int) -> None:
    table = TABLES[month]
    columns = [f"{name} numeric(12, 2)" for name in NUMERIC] + [f"{name} text" for name in CATEGORICAL]
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {table}")
        cursor.execute(f"CREATE TABLE {table} (customer_id integer, {', '.join(columns)})")
        with cursor.copy(f"COPY {table} FROM STDIN (FORMAT csv)") as copy:
            for first in range(1, n_rows + 1, BLOCK_ROWS):
                ids = np.arange(first, min(first + BLOCK_ROWS, n_rows + 1))
                sink = io.BytesIO()
                block = _make_customers(ids, month, seed=seed)
                pacsv.write_csv(block, sink, pacsv.WriteOptions(include_header=False))
                copy.write(sink.getbuffer())


def _make_customers(ids: NDArray[np.int64], month: str, *, seed: int) -> pa.Table:
    """Return the customers of a block in a month; those who stay have the same values in both."""
    groups = ids % GROUPS
    columns = _draw_values(groups, np.random.default_rng([seed, int(ids[0])]))
    if month != MONTHS[0]:
        moved = (ids // GROUPS) % round(1 / CHANGED) == 0  # as many out of each group
        others = _draw_values((groups + 1) % GROUPS, np.random.default_rng([seed + 1, int(ids[0])]))
        columns = {name: np.where(moved, others[name], values) for name, values in columns.items()}
    arrays = {name: pa.array(columns[name]) for name in NUMERIC}
    for name, n_values in CATEGORICAL.items():
        words = pa.array([f"{name}_{value}" for value in range(n_values)])
        arrays[name] = words.take(pa.array(columns[name]))
    return pa.table({"customer_id": ids, **arrays})


def _draw_values(
    groups: NDArray[np.int64], rng: np.random.Generator
) -> dict[str, NDArray[np.float64] | NDArray[np.int64]]:
    """Draw a row for each of `groups`: its numeric columns lie around a place of the group, its categories prefer one.

    A place is one of -2 to 2, in an order of the column's own.
    """
    drawn: dict[str, NDArray[np.float64] | NDArray[np.int64]] = {}
    for index, name in enumerate(NUMERIC):
        place = (groups * (2 * index + 1)) % GROUPS - 2
        drawn[name] = np.round(np.exp(1 + 0.5 * (place + SPREAD * rng.standard_normal(len(groups)))) * 10, 2)
    for index, (name, n_values) in enumerate(CATEGORICAL.items()):
        own = (groups * (2 * index + 1)) % n_values
        drawn[name] = np.where(rng.random(len(groups)) < LOYAL, own, rng.integers(n_values, size=len(groups)))
    return drawn
