"""The `segmentation` command; each module holds the commands of one purpose."""

from segmentation_pipeline.runtime.settings import disable_dagster_telemetry

# otherwise Dagster writes to its telemetry file before it reads our dagster.yaml
disable_dagster_telemetry()

# importing a module adds its commands
from segmentation_pipeline.cli import decide, doctor, forget, init, run, status  # noqa: E402, F401
from segmentation_pipeline.cli.group import main  # noqa: E402

__all__ = ["main"]
