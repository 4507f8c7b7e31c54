"""The `segmentation` command; each module holds the commands of one purpose."""

import os

# Dagster writes to its own telemetry file otherwise, before our dagster.yaml is read
os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")

from segmentation_pipeline.cli import (  # noqa: F401 importing adds the commands
    deciding,
    examining,
    keeping,
    looking,
    running,
    starting,
)
from segmentation_pipeline.cli.group import main

__all__ = ["main"]
