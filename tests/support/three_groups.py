"""A small source whose months can be spoilt one by one: customers in three clear groups, one row per month."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import psycopg
import yaml

if TYPE_CHECKING:
    from pathlib import Path

MONTHS = ("2024-01-01", "2024-02-01", "2024-03-01", "2024-04-01", "2024-05-01", "2024-06-01")
N_CUSTOMERS = 300
GROUPS = ((2.0, 10.0, "basic"), (12.0, 80.0, "basic"), (30.0, 400.0, "gold"))

DEFS = """\
type: segmentation_pipeline.Segmentation
attributes:
  name: {name}
  source:
    query: |
      SELECT customer_id, visits, spend, plan FROM facts WHERE month = :window_start::date
    key: customer_id
  partitions: {{cadence: monthly, start: "2024-01-01", end: "2024-07-01"}}
  features: {features}
  sweep: {{k_max: 6}}
  {extra}
  publish: {{table: public.target, key: user_id, column: {column}, updated_column: last_updated, approval: {approval}}}
"""
FEATURES = """
    - {column: visits, kind: numeric, transform: log1p, min: 0}
    - {column: spend, kind: numeric, transform: log1p, min: 0}
    - {column: plan, kind: categorical}"""


def make_source(url: str, *, seed: int = 1) -> None:
    """Create and fill the facts of all months, and a target with a row for every customer."""
    rng = np.random.default_rng(seed)
    with psycopg.connect(url) as connection:
        connection.execute(
            "CREATE TABLE facts (customer_id integer, month date, visits numeric(9,2), spend numeric(9,2), plan text)"
        )
        connection.execute(
            "CREATE TABLE target (user_id integer PRIMARY KEY, segment_id integer, other_id integer, last_updated timestamptz)"
        )
        connection.execute("INSERT INTO target SELECT generate_series(1, %s)", [N_CUSTOMERS])
        with connection.cursor().copy("COPY facts FROM STDIN") as copy:
            for month in MONTHS:
                for customer in range(1, N_CUSTOMERS + 1):
                    visits, spend, plan = GROUPS[customer % 3]
                    noise = rng.lognormal(0, 0.15, 2)
                    copy.write_row((customer, month, round(visits * noise[0], 2), round(spend * noise[1], 2), plan))


def write_defs(
    folder: Path,
    name: str = "shop",
    *,
    features: str = FEATURES,
    extra: str = "",
    column: str = "segment_id",
    approval: str = "auto",
) -> Path:
    """Write a defs.yaml for the facts; return the defs folder."""
    (folder / name).mkdir(parents=True, exist_ok=True)
    text = DEFS.format(name=name, features=features, extra=extra, column=column, approval=approval)
    (folder / name / "defs.yaml").write_text(text)
    return folder


def write_source(folder: Path, query: str, *, features: Any, key: str = "id", **changes: Any) -> None:
    """Write the defs.yaml of a segmentation `shop` whose customers come from `query`; it creates its own target."""
    attributes = {
        "name": "shop",
        "source": {"query": query, "key": key},
        "partitions": {"cadence": "monthly", "start": "2024-01-01", "end": "2024-07-01"},
        "features": features if isinstance(features, str) else list(features),
        "publish": {"table": "public.users", "key": "user", "mode": "create"},
        **changes,
    }
    said = {"type": "segmentation_pipeline.Segmentation", "attributes": attributes}
    (folder / "shop" / "defs.yaml").write_text(yaml.safe_dump(said, allow_unicode=True, sort_keys=False))


def drop_most_rows(url: str, month: str) -> None:
    """Spoil a month: 80 % of its rows never arrived."""
    with psycopg.connect(url) as connection:
        connection.execute("DELETE FROM facts WHERE month = %s AND customer_id > %s", [month, N_CUSTOMERS // 5])


def find_group(customer: int) -> int:
    """Return the true group of a customer."""
    return customer % 3


def add_group(url: str, months: tuple[str, ...]) -> None:
    """Change every sixth customer in these months: a fourth group is born, from half of the first."""
    with psycopg.connect(url) as connection:
        connection.execute(
            "UPDATE facts SET visits = visits * 40, spend = spend * 0.2 WHERE month = ANY(%s::date[]) AND customer_id %% 6 = 0",
            [list(months)],
        )
