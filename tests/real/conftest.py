"""Online Retail in PostgreSQL as it comes, and its twelve months run by the command line."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

ROOT = Path(__file__).parents[2]
SOURCE = ROOT.parent / "shared" / "data" / "online_retail.parquet"
FIRST, LAST = "2010-12-01", "2011-11-01"
# prices as money is kept, exactly; everything else as the file has it
TABLES = """
CREATE TABLE online_retail ("InvoiceNo" text, "StockCode" text, "Description" text, "Quantity" bigint,
    "InvoiceDate" timestamp, "UnitPrice" numeric, "CustomerID" bigint, "Country" text);
CREATE TABLE user_analytics (user_id bigint PRIMARY KEY, segment_id integer, last_updated timestamptz);
"""
TARGET = """INSERT INTO user_analytics (user_id)
            SELECT DISTINCT "CustomerID" FROM online_retail WHERE "CustomerID" IS NOT NULL"""


@dataclass(frozen=True)
class Backfilled:
    """The database and the home after the twelve months, and what the command printed."""

    url: str
    home: Path
    output: str
    exit_code: int

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Ask the database."""
        with psycopg.connect(self.url) as connection:
            return connection.execute(query, parameters).fetchall()

    def artifact(self, stage: str, run_id: str, partition: str = LAST) -> Path:
        """The folder a stage wrote in a run."""
        return self.home / "artifacts" / "online_retail" / stage / partition / run_id


@pytest.fixture(scope="session")
def online_retail(
    new_database: Callable[[], AbstractContextManager[str]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Backfilled]:
    """Twelve months of Online Retail, run in one process by `segmentation backfill`."""
    if not SOURCE.exists():
        pytest.skip(f"{SOURCE} is not there: the real orders do not ship with the project")
    home = tmp_path_factory.mktemp("online_retail") / "home"
    with new_database() as url:
        _load(url)
        command = [Path(sys.executable).with_name("segmentation"), "backfill", "online_retail"]
        environment = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"} | {
            "SEGMENTATION_DATABASE_URL": url,
            "SEGMENTATION_HOME": str(home),
            "SEGMENTATION_DEFS": str(Path(__file__).parent / "defs"),
            "OMP_NUM_THREADS": "1",
        }
        done = subprocess.run(
            [*command, "--from", FIRST, "--to", LAST],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )
        yield Backfilled(url, home, done.stdout + done.stderr, done.returncode)


def _load(url: str) -> None:
    lines = pq.read_table(SOURCE)
    lines = lines.set_column(4, "InvoiceDate", lines["InvoiceDate"].cast(pa.timestamp("s"), safe=False))
    with psycopg.connect(url) as connection:
        connection.execute(TABLES)
        with connection.cursor().copy("COPY online_retail FROM STDIN (FORMAT csv)") as copy:
            for batch in lines.to_batches(max_chunksize=50_000):
                text = io.BytesIO()
                pacsv.write_csv(batch, text, pacsv.WriteOptions(include_header=False))
                copy.write(text.getvalue())
        connection.execute(TARGET)
        connection.execute("ANALYZE")
