"""The `segmentation` command; each module holds the commands of one purpose."""

import os

# Dagster writes to its own telemetry file otherwise, before our dagster.yaml is read
os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")

from segmentation_pipeline.cli import decide, doctor, forget, init, run, status  # noqa: F401 importing adds the commands
from segmentation_pipeline.cli.group import main

__all__ = ["main"]
