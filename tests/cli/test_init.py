"""`segmentation init`: from somebody's table to segments, and what it refuses."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import psycopg
import pytest
from click.testing import CliRunner

from segmentation_pipeline.cli import init as starting
from segmentation_pipeline.cli import main
from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.orchestration.discovery import load_definitions, segmentations
from segmentation_pipeline.orchestration.partitions import find_latest_partition
from segmentation_pipeline.orchestration.runs.execute import run_partition
from segmentation_pipeline.runtime.home import make_dagster_home

if TYPE_CHECKING:
    from click.testing import Result

COMMAND = Path(sys.executable).with_name("segmentation")
ROOT = Path(__file__).parents[2]
MALL = ROOT.parent / "shared" / "data" / "mall_customers.csv"
TABLE = """CREATE TABLE mall ("CustomerID" int PRIMARY KEY, "Gender" text, "Age" int, "Annual Income (k$)" int,
           "Spending Score (1-100)" int)"""


@pytest.fixture
def place(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for segmentations that is not there yet, beside a database with a table of 120 customers."""
    monkeypatch.setenv("SEGMENTATION_DEFS", str(tmp_path / "segmentations"))
    monkeypatch.setenv("DAGSTER_HOME", str(make_dagster_home(tmp_path / "dagster")))
    monkeypatch.chdir(tmp_path)
    with psycopg.connect(database) as connection:
        connection.execute(
            "CREATE TABLE customers (id int PRIMARY KEY, visits int, plan text, churned bool, note text)"
        )
        connection.execute(
            "INSERT INTO customers SELECT g, (g % 3 + 1) * 20 + g % 5, (ARRAY['a','b'])[1 + g % 2], g % 7 = 0, 'note ' || g "
            "FROM generate_series(1, 120) g"
        )
    return tmp_path / "segmentations"


def _init(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["init", *arguments])


def test_init_writes_what_runs(place: Path) -> None:
    """A line per column with its reason, the next commands; the run that it names publishes every customer."""
    done = _init("shop", "--table", "public.customers", "--key", "id")
    assert done.exit_code == 0, done.stderr
    text = (place / "shop" / "defs.yaml").read_text()
    for line in (
        "- {column: visits, kind: numeric",
        "- {column: plan, kind: categorical}",
        "# - {column: note}",
        "outcomes: [churned]",
    ):
        assert line in text
    for expected in (
        "Written: segmentations/shop/defs.yaml",
        "segmentation run shop",
        "segmentation status shop",
        "segmentation doctor",
    ):
        assert expected in done.stdout

    segmentation = segmentations()["shop"]
    partition = segmentation.spec.partitions.start
    with dg.DagsterInstance.ephemeral() as instance:
        job = load_definitions().resolve_job_def("shop")
        outcome = run_partition(segmentation, job, partition, instance=instance)
    assert outcome.success, outcome.problems
    assert outcome.changed == 120
    assert find_latest_partition(segmentation.spec.partitions, datetime.now(tz=UTC)) == partition


def test_a_month_of_the_past_of_a_plain_table_comes_with_a_warning(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table has no past: a run of an older month warns before it begins, and a run of the latest one does not."""
    assert _init("shop", "--table", "public.customers", "--key", "id").exit_code == 0
    path = place / "shop" / "defs.yaml"
    latest = segmentations()["shop"].spec.partitions.start
    path.write_text(path.read_text().replace(f'start: "{latest}"', 'start: "2024-01-01"'))
    monkeypatch.setattr("segmentation_pipeline.orchestration.runs.execute.run_partition", _refused)

    shown = {
        month: CliRunner().invoke(main, ["run", "shop", "--partition", month]).stderr
        for month in ("2024-01-01", latest)
    }
    assert "warning: the source query uses neither :as_of nor :window_start, so 2024-01-01 shows" in shown["2024-01-01"]
    assert f"or run {latest} only" in shown["2024-01-01"]
    assert "warning" not in shown[latest]


def _refused(*_: object, **__: object) -> None:
    message = "nothing is run here"
    raise SourceError(message)


def test_init_does_not_overwrite(place: Path) -> None:
    """A folder that is there stays as it is."""
    (place / "shop").mkdir(parents=True)
    done = _init("shop", "--table", "public.customers", "--key", "id")

    assert done.exit_code == 2
    assert "segmentations/shop is there already and stays as it is" in done.stderr
    assert list((place / "shop").iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "shown"),
    [
        (("Shop", "--table", "customers", "--key", "id"), 2, "name 'Shop' must match [a-z][a-z0-9_]*"),
        (("shop", "--table", "customers", "--key", "segment_id"), 2, "the key is called 'segment_id'"),
        (("shop", "--table", "customers"), 2, "Missing option '--key'"),
        (("shop", "--table", "custmers", "--key", "id"), 1, "there is no table custmers; did you mean public.customers?"),
        (("shop", "--table", "a.b.c", "--key", "id"), 1, "'a.b.c' is not a table name; write schema.table"),
        (("shop", "--table", "customers", "--key", "plan"), 1, "2 of its 2 values occur more than once (first: a in 60 rows, b in 60 rows)"),
    ],
)  # fmt: skip
def test_init_refuses_before_it_writes(place: Path, arguments: tuple[str, ...], code: int, shown: str) -> None:
    """Wrong usage and tables that cannot be segmented leave no folder behind."""
    done = _init(*arguments)

    assert (done.exit_code, done.stdout) == (code, "")
    assert shown in done.stderr
    assert "Traceback" not in done.stderr
    assert not (place / "shop").exists()


def test_an_installed_package_asks_for_a_folder(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without SEGMENTATION_DEFS only a checkout has a place of its own."""
    monkeypatch.delenv("SEGMENTATION_DEFS")
    monkeypatch.setattr(starting, "ROOT", tmp_path)
    done = _init("shop", "--table", "customers", "--key", "id")

    assert done.exit_code == 2
    assert 'export SEGMENTATION_DEFS="$PWD/segmentations"' in done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not MALL.is_file(), reason="../shared/data/mall_customers.csv is not here")
def test_the_mall_customers_become_segments(place: Path, database: str) -> None:
    """Real customers, column names with brackets: init, run, and every customer has a segment that status shows."""
    with psycopg.connect(database) as connection:
        connection.execute(TABLE)
        with connection.cursor().copy("COPY mall FROM STDIN CSV HEADER") as copy:
            copy.write(MALL.read_bytes())
    for arguments in (
        ("init", "mall", "--table", "public.mall", "--key", "CustomerID"),
        ("run", "mall"),
        ("status", "mall"),
    ):
        done = subprocess.run([COMMAND, *arguments], capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert "│ current │" in done.stdout
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "SELECT count(*), count(segment_id), count(DISTINCT segment_id) FROM mall_segments"
        ).fetchone()
    assert rows is not None
    assert rows[:2] == (200, 200)
    assert rows[2] >= 4
