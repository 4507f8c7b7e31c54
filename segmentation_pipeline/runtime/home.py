"""SEGMENTATION_HOME: where the embedded database, the artifacts and Dagster keep their files."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from segmentation_pipeline.runtime.settings import read_home

# Dagster's own settings, written once. Runs of a segmentation wait for each other in orchestration/runs/order.py,
# so more than one at a time would be right too. The code server ends its own runs whose process was killed; for runs of
# the command line orchestration/runs/liveness.py finds that out, so that no run waits for a process that is gone.
DAGSTER_YAML: Final = """\
telemetry:
  enabled: false
nux:
  enabled: false
concurrency:
  runs:
    max_concurrent_runs: 1
run_monitoring:
  enabled: true
  poll_interval_seconds: 20
"""


def find_home() -> Path:
    """Return the absolute path of the home folder, which need not exist."""
    return Path(read_home() or ".segmentation").expanduser().resolve()


def make_home() -> Path:
    """Return the absolute path of the home folder; make it, for the owner only, if it does not exist."""
    folder = find_home()
    make_private(folder)
    return folder


def make_dagster_home(folder: Path) -> Path:
    """Return the Dagster home inside `folder`; make it and its `dagster.yaml` where they do not exist."""
    dagster = folder / "dagster"
    make_private(dagster)
    dagster_yaml = dagster / "dagster.yaml"
    if not dagster_yaml.exists():
        dagster_yaml.write_text(DAGSTER_YAML)
    return dagster


def make_private(folder: Path) -> None:
    """Make `folder` and its parents; the folder itself is open to its owner only."""
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
