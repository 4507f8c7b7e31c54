"""Online Retail in PostgreSQL, not cleaned, and its twelve months, run by the command line."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import psycopg
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    import pandas as pd

    from segmentation_pipeline.orchestration.runs.execute import RunOutcome
    from segmentation_pipeline.storage.artifacts.artifact import Artifact

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


DEFS = """\
type: segmentation_pipeline.Segmentation
attributes:
  name: {name}
  source: {{table: public.{name}, key: {key}}}
  partitions: {{cadence: monthly, start: "2024-01-01", end: "2024-02-01"}}
  publish: {{table: public.{name}_target, key: user_id, updated_column: last_updated}}
  {rest}
"""
PARTITION = "2024-01-01"


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
        """Return the folder that a stage wrote in a run."""
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
        command: list[str | Path] = [Path(sys.executable).with_name("segmentation"), "backfill", "online_retail"]
        environment = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"} | {
            "SEGMENTATION_DATABASE_URL": url,
            "SEGMENTATION_HOME": str(home),
            "SEGMENTATION_DEFS": str(ROOT / "tests" / "real" / "defs"),
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


@dataclass(frozen=True)
class OneMonth:
    """A table as it comes, and one month of a segmentation of it, run in this process."""

    url: str
    defs: Path
    instance: dg.DagsterInstance

    def load(self, name: str, frame: pd.DataFrame, key: str) -> None:
        """Make the table and an empty target with one row per customer; text stays text."""
        types = {"i": "bigint", "u": "bigint", "f": "float8"}
        columns = ", ".join(f'"{column}" {types.get(frame[column].dtype.kind, "text")}' for column in frame)
        with psycopg.connect(self.url) as connection:
            connection.execute(f"CREATE TABLE {name} ({columns})")
            with connection.cursor().copy(f"COPY {name} FROM STDIN") as copy:
                for row in frame.itertuples(index=False):
                    copy.write_row(row)
            connection.execute(
                f'CREATE TABLE {name}_target AS SELECT "{key}" AS user_id, NULL::integer AS segment_id, '
                f"NULL::timestamptz AS last_updated FROM {name}"
            )

    def run(self, name: str, key: str, rest: str) -> RunOutcome:
        """Write the defs.yaml with the rest of its attributes, and run the month as the command line does."""
        from segmentation_pipeline.orchestration.discovery import load_definitions, segmentations
        from segmentation_pipeline.orchestration.runs.execute import run_partition

        (self.defs / name).mkdir(parents=True, exist_ok=True)
        (self.defs / name / "defs.yaml").write_text(DEFS.format(name=name, key=key, rest=rest))
        job = load_definitions().resolve_job_def(name)
        return run_partition(segmentations()[name], job, PARTITION, instance=self.instance)

    def artifact(self, name: str, stage: str, outcome: RunOutcome) -> Artifact:
        """Open the artifact that a stage of a run wrote."""
        from segmentation_pipeline.orchestration.discovery import segmentations

        return segmentations()[name].store.open(stage, PARTITION, outcome.run_id)

    def metadata(self, name: str, stage: str) -> dict[str, dg.MetadataValue[Any]]:
        """Read what the UI shows of a stage's latest materialization."""
        event = self.instance.get_latest_materialization_event(dg.AssetKey([name, stage]))
        assert event is not None
        assert event.asset_materialization is not None
        return dict(event.asset_materialization.metadata)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the database."""
        with psycopg.connect(self.url) as connection:
            return connection.execute(query).fetchall()


@pytest.fixture
def one_month(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OneMonth]:
    """An empty database and an empty folder of segmentations."""
    (tmp_path / "defs").mkdir()
    monkeypatch.setenv("SEGMENTATION_DEFS", str(tmp_path / "defs"))
    with dg.DagsterInstance.ephemeral() as instance:
        yield OneMonth(database, tmp_path / "defs", instance)
