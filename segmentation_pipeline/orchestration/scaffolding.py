"""What `dg scaffold defs segmentation_pipeline.Segmentation NAME` writes: a commented defs.yaml to fill in."""

import re
from datetime import UTC, datetime
from typing import Final

import dagster as dg
from pydantic import BaseModel, Field

from segmentation_pipeline.drafting.defs_yaml import Draft, write_defs_yaml
from segmentation_pipeline.errors import SpecError
from segmentation_pipeline.model.commands import init_command
from segmentation_pipeline.orchestration.partitions import find_latest_partition
from segmentation_pipeline.spec import PartitionsSpec

SINCE: Final = PartitionsSpec(start="2000-01-01")


class SegmentationParams(BaseModel):
    """The options of the command; `segmentation init` looks at the table and writes more."""

    table: str = Field("public.customers", description="schema.table with a row per customer.")
    key: str = Field("customer_id", description="The column that identifies a customer.")


class SegmentationScaffolder(dg.Scaffolder[SegmentationParams]):
    """A writer of a defs.yaml that loads as it is and says in comments what to change."""

    @classmethod
    def get_scaffold_params(cls) -> type[SegmentationParams]:
        """Return the class of the options: table and key."""
        return SegmentationParams

    def scaffold(self, request: dg.ScaffoldRequest[SegmentationParams]) -> None:
        """Write the defs.yaml.

        Raises:
            SpecError: the format is to be Python; a segmentation is written in YAML.
        """
        if request.scaffold_format != "yaml":
            message = "a segmentation is written in YAML: leave out --format python"
            raise SpecError(message)
        file = request.target_path if request.append else request.target_path / "defs.yaml"
        text = _write_text(request.target_path.name, request.params)
        file.write_text(f"{file.read_text()}---\n{text}" if request.append else text, encoding="utf-8")


def _write_text(folder: str, params: SegmentationParams) -> str:
    # a folder may have a name that a segmentation cannot have
    name = re.sub(r"[^a-z0-9_]+", "_", folder.lower())[:40]
    name = name if re.match(r"[a-z]", name) else f"s_{name}"[:40]
    return write_defs_yaml(
        Draft(
            name=name,
            table=params.table,
            key=params.key,
            start=find_latest_partition(SINCE, datetime.now(tz=UTC)) or SINCE.start,
            target=f"public.{name}_segments",
            target_key=params.key,
            mode="create",
            remarks=(
                "Name your table and key below. Or remove this folder and run this, which lists the table's columns:",
                f"  {init_command(name)}",
                "SEGMENTATION_DATABASE_URL names the database (postgresql://...).",
            ),
        )
    )
