"""SEGMENTATION_HOME: where the embedded database, the artifacts and Dagster keep their files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

HOME_VARIABLE: Final = "SEGMENTATION_HOME"

# Dagster's own settings, written once. Runs of a segmentation wait for each other in orchestration/runs/order.py,
# so more than one at a time would be right too. The code server ends runs of its own whose process was killed; of those
# of the command line orchestration/runs/liveness.py knows it, so that none waits for a ghost.
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
    """The absolute home folder, whether it is there or not."""
    return Path(os.environ.get(HOME_VARIABLE) or ".segmentation").expanduser().resolve()


def make_home() -> Path:
    """The absolute home folder; made, for the owner only, if it is not there."""
    folder = find_home()
    make_private(folder)
    return folder


def make_dagster_home(folder: Path) -> Path:
    """The Dagster home inside `folder`, with a `dagster.yaml` if it has none."""
    dagster = folder / "dagster"
    make_private(dagster)
    settings = dagster / "dagster.yaml"
    if not settings.exists():
        settings.write_text(DAGSTER_YAML)
    return dagster


def make_private(folder: Path) -> None:
    """Make `folder` and its parents; the folder itself is open to its owner only."""
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
