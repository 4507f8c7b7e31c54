"""A source, a folder of segmentations and a way to run months in this process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg
import psycopg
import pytest

from support.three_groups import make_source, write_defs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from segmentation_pipeline.orchestration.runs.execute import RunOutcome


@dataclass
class Chain:
    """Segmentations in a folder, a database, a Dagster instance."""

    url: str
    defs: Path
    instance: dg.DagsterInstance

    def run(self, partition: str, *, name: str = "shop") -> RunOutcome:
        """Run one month as the command line does."""
        from segmentation_pipeline.orchestration.discovery import load_definitions, segmentations
        from segmentation_pipeline.orchestration.runs.execute import run_partition

        job = load_definitions().resolve_job_def(name)
        return run_partition(segmentations()[name], job, partition, instance=self.instance)

    def materialize(self, stage: str, partition: str, *, name: str = "shop") -> dg.ExecuteInProcessResult:
        """Materialize one asset by hand, as the UI's button does."""
        from segmentation_pipeline.orchestration.discovery import load_definitions

        job = load_definitions().resolve_implicit_global_asset_job_def()
        return job.execute_in_process(
            partition_key=partition,
            asset_selection=[dg.AssetKey([name, stage])],
            instance=self.instance,
            raise_on_error=False,
        )

    def decide(self, action: str, **config: Any) -> dg.ExecuteInProcessResult:
        """Run the job of a decision with the form's values, as the launchpad does."""
        from segmentation_pipeline.orchestration.discovery import load_definitions

        job = load_definitions().resolve_job_def(f"shop_{action}")
        return job.execute_in_process(
            run_config={"ops": {f"{action}_shop": {"config": config}}}, instance=self.instance, raise_on_error=False
        )

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Ask the database."""
        with psycopg.connect(self.url) as connection:
            return connection.execute(query, parameters).fetchall()

    def execute(self, statement: str, *parameters: Any) -> None:
        """Change the database."""
        with psycopg.connect(self.url) as connection:
            connection.execute(statement, parameters)


@pytest.fixture
def chain(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Chain]:
    """The three-group source with one segmentation, `shop`."""
    make_source(database)
    defs = write_defs(tmp_path / "defs")
    monkeypatch.setenv("SEGMENTATION_DEFS", str(defs))
    with dg.DagsterInstance.ephemeral() as instance:
        yield Chain(database, defs, instance)
