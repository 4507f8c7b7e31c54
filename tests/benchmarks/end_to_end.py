"""Two months from the command line at each size, stage by stage with peak memory, beside a script and the floors.

    python tests/benchmarks/end_to_end.py [--rows 100000 1000000 10000000] [--by-hand] [--quality]
        [--memory-limit 1.5GiB] [--json FILE] [--seed 42]

The first month writes a segment for every customer; in the second 5 % of the rows have changed. `--by-hand` runs the
hand-written script on both months as well (up to 1,000,000 rows), `--quality` checks inertia and K against fits on all
rows (up to 1,000,000 rows; minutes). With `--json` the results go to a file as they come, beside those that it already has.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from floors import make_floor_target, measure_extraction, measure_publication
from measuring import find_command, make_environment, measure
from quality import measure_quality
from report import Month, Result, print_ratios, print_stages
from server import serve, settle
from shop import MONTHS, TABLES, make_tables, make_target, write_defs

from segmentation_pipeline.model import Period

SIZES: Final = (100_000, 1_000_000, 10_000_000)
BY_HAND_ROWS: Final = 1_000_000
BY_HAND_TARGET: Final = "by_hand_analytics"
PERIODS: Final = {
    MONTHS[0]: Period(MONTHS[0], datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 2, 1, tzinfo=UTC)),
    MONTHS[1]: Period(MONTHS[1], datetime(2024, 2, 1, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC)),
}
STAGES: Final = """
import dagster as dg, json, sys
from segmentation_pipeline.orchestration.stages import CHAIN
with dg.DagsterInstance.get() as instance:
    seconds = {}
    for stage in (member.name for member in CHAIN):
        wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(["bench", stage]), asset_partitions=[sys.argv[1]])
        [record] = instance.fetch_materializations(wanted, limit=1).records
        seconds[stage] = record.asset_materialization.metadata["seconds"].value
print(json.dumps(seconds))
"""


def main() -> None:
    """Measure each size and print the results; end with 1 where a target at its own size was missed."""
    options = _parse_options()
    results = {}
    for n_rows in options.rows:
        results[n_rows] = run_size(n_rows, options)
        if options.json:
            _keep(options.json, results[n_rows])
    kept = print_ratios(results)
    sys.exit(0 if kept else 1)


def run_size(n_rows: int, options: argparse.Namespace) -> Result:
    """Make the tables, run both months, the script and the floors, and print the stages."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, serve(Path(folder)) as url:
        base = Path(folder)
        began = time.monotonic()
        make_tables(url, n_rows, seed=options.seed)
        make_floor_target(url)
        print(f"\n{n_rows:,} rows: tables made in {time.monotonic() - began:.1f} s", flush=True)
        by_hand = options.by_hand and n_rows <= BY_HAND_ROWS
        if by_hand:
            make_target(url, BY_HAND_TARGET)
        months = {}
        for month in MONTHS:
            months[month] = run_month(url, base, month, by_hand=by_hand, memory_limit=options.memory_limit)
        judged = None
        if options.quality and n_rows <= BY_HAND_ROWS:
            print("inertia and K against fits on all rows ...", flush=True)
            judged = measure_quality(base / "home", MONTHS[0])
        result = Result(n_rows, options.memory_limit, months, judged)
        print_stages(result)
        return result


def run_month(url: str, base: Path, month: str, *, by_hand: bool, memory_limit: str | None) -> Month:
    """Run a month through the pipeline, then the floors with the same data, then the script."""
    environment = make_environment(url, base, write_defs(base / "defs"), memory_limit=memory_limit)
    settle(url)
    ours = measure([find_command(), "run", "bench", "--partition", month], environment)
    home = environment | {"DAGSTER_HOME": str(base / "home" / "dagster")}
    stages = json.loads(subprocess.check_output([sys.executable, "-c", STAGES, month], env=home))
    extraction, publication = measure_extraction(url, PERIODS[month]), measure_publication(url, base)
    script = None
    if by_hand:
        settle(url)
        path = str(Path(__file__).with_name("by_hand.py"))
        script = measure([sys.executable, path, url, TABLES[month], BY_HAND_TARGET], environment)
    return Month(stages, ours, script, extraction, publication)


def _keep(path: Path, result: Result) -> None:
    kept = json.loads(path.read_text()) if path.exists() else {}
    name = f"{result.rows} rows" + (f", limit {result.memory_limit}" if result.memory_limit else "")
    kept[name] = asdict(result)
    path.write_text(json.dumps(kept, indent=1) + "\n")


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=list(SIZES), metavar="N")
    parser.add_argument("--by-hand", action="store_true", help="the hand-written script too")
    parser.add_argument("--quality", action="store_true", help="inertia and K against fits on all rows (slow)")
    parser.add_argument("--memory-limit", metavar="SIZE", help="the pipeline's memory budget, such as 1.5GiB")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the results are kept")
    parser.add_argument("--seed", type=int, default=42, help="of the generated customers")
    return parser.parse_args()


if __name__ == "__main__":
    main()
