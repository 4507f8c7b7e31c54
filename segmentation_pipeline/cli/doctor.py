"""The command that reports problems and how to fix them."""

import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from segmentation_pipeline.cli.checkout import ROOT
from segmentation_pipeline.cli.group import main, segmentation_named, segmentations
from segmentation_pipeline.demo import DEMO
from segmentation_pipeline.errors import SegmentationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from segmentation_pipeline.doctor.check import Check
    from segmentation_pipeline.orchestration.segmentation import SegmentationContext

PACKAGE: Final = "segmentation-pipeline"
PINS: Final = ROOT / "docker" / "requirements-dev.txt"


@main.command()
@click.argument("name", required=False)
def doctor(name: str | None) -> None:
    r"""Check machine, database and privileges, and print the fixes.

    It also checks the home folders and the defs.yaml files. Without NAME it checks all segmentations. Nothing is
    changed. The exit code is 1 if there is a problem.

    \b
    Example:
      segmentation doctor
    """
    from segmentation_pipeline.cli.views import show_checks

    if not show_checks(_examine(name)):
        sys.exit(1)


def _examine(only: str | None) -> "Iterator[tuple[str, Check]]":
    """Yield each check as it is made, with the segmentation that it belongs to."""
    from segmentation_pipeline.doctor.check import Check
    from segmentation_pipeline.doctor.database import check_server
    from segmentation_pipeline.model.commands import init_command
    from segmentation_pipeline.runtime.settings import DATABASE_VARIABLE

    for check in _check_machine():
        yield "machine", check
    try:
        found = segmentations() if only is None else {only: segmentation_named(only)}
    except SegmentationError as error:
        yield "defs", Check("defs.yaml", ok=False, found=str(error), fix="correct the lines above")
        found = {}
    else:
        empty = f"none yet: {init_command()}"
        yield "defs", Check("segmentations", ok=True, found=", ".join(sorted(found)) or empty)
    specs = [segmentation.spec for segmentation in found.values()]
    variables = [spec.source.url_env for spec in specs] + [spec.publish.url_env for spec in specs]
    reached = {}
    for variable in dict.fromkeys(variables or [DATABASE_VARIABLE]):
        check = check_server(variable)
        reached[variable] = check.ok
        yield "database", check
    for name, segmentation in sorted(found.items()):
        # a database that does not answer is reported once
        if reached[segmentation.spec.source.url_env] and reached[segmentation.spec.publish.url_env]:
            for check in _check_segmentation(segmentation):
                yield name, check


def _check_machine() -> "Iterator[Check]":
    from segmentation_pipeline.doctor import machine
    from segmentation_pipeline.runtime.home import find_home
    from segmentation_pipeline.runtime.settings import read_dagster_home

    yield machine.check_python()
    pins = PINS.read_text() if PINS.is_file() else ""
    yield machine.check_packages(metadata.requires(PACKAGE) or [], pins)
    yield machine.check_own_memory()
    home = find_home()
    yield from machine.check_home(home)
    yield machine.check_artifacts(home / "artifacts")
    named = read_dagster_home()
    yield from machine.check_dagster_home(Path(named) if named else home / "dagster", ours=not named)


def _check_segmentation(segmentation: "SegmentationContext") -> "Iterator[Check]":
    from datetime import UTC, datetime

    from segmentation_pipeline.doctor.check import Check
    from segmentation_pipeline.doctor.source import UNDEFINED_TABLE, check_source
    from segmentation_pipeline.doctor.target import check_target
    from segmentation_pipeline.model.commands import demo_command
    from segmentation_pipeline.orchestration.partitions import find_scoring_period
    from segmentation_pipeline.runtime.settings import read_defs_folder

    spec = segmentation.spec
    listed = [] if spec.features == "auto" else [feature.column for feature in spec.features]
    fresh = [spec.source.fresh.column] if spec.source.fresh else []
    period = find_scoring_period(spec.partitions, datetime.now(tz=UTC))
    source = check_source(spec.source, segmentation.query, [*listed, *spec.outcomes, *fresh], period=period)
    if spec.name == DEMO and read_defs_folder() is None and source.check.code == UNDEFINED_TABLE:
        yield Check("the demo", ok=True, found=f"is not seeded, which is not needed; `{demo_command()}` does it")
        return
    yield source.check
    yield from check_target(spec.publish, key_type=source.key_type)
