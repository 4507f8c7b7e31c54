"""The description of an asset in the UI: what it is, and what is shown with its materializations."""

from collections.abc import Mapping
from typing import Final

from segmentation_pipeline.orchestration.stages import Stage

EVERYWHERE: Final[Mapping[str, str]] = {
    "artifact": "the folder of the files that this run wrote, below `artifacts/` in the home folder",
    "bytes": "the size of these files",
    "seconds": "how long the step took",
}


def describe_asset(stage: Stage) -> str:
    """Return the description of an asset: what it is, and what each thing shown with it means."""
    lines = [f"- `{name}`: {meaning}" for name, meaning in {**stage.shows, **EVERYWHERE}.items()]
    return "\n".join([stage.description, "", "Each materialization shows:", "", *lines])
