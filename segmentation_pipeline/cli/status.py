"""Commands that show where things stand."""

import json
from pathlib import Path

import click

from segmentation_pipeline.cli.group import fail, main, segmentation_named, segmentations


@main.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, or an array of them without NAME.")
def status(name: str | None, as_json: bool) -> None:
    r"""Show snapshots, segments and what waits for a person.

    Of segmentation NAME, or of all segmentations.

    \b
    Example:
      segmentation status shop --json
    """
    from segmentation_pipeline.cli.views import show_status
    from segmentation_pipeline.lifecycle.precedence import list_built_on_older_parent
    from segmentation_pipeline.storage.registry import schema
    from segmentation_pipeline.storage.registry.status import read_decision_log, read_status
    from segmentation_pipeline.storage.warehouse.postgres.connection import transaction

    states, logs, stale = [], [], []
    for segmentation in [segmentation_named(name)] if name else segmentations().values():
        spec = segmentation.spec
        schema.migrate(spec.publish.url_env)
        with transaction(spec.publish.url_env) as connection:
            states.append(read_status(connection, spec.name))
            logs.append(read_decision_log(connection, spec.name))
            stale.append([old.partition for old in list_built_on_older_parent(connection, spec.name)])
    if as_json:
        click.echo(json.dumps(states[0] if name else states, indent=1))
        return
    for shown in zip(states, logs, stale, strict=True):
        show_status(*shown)


@main.command()
@click.argument("name")
@click.option("--partition", metavar="P", help="The period's start, YYYY-MM-DD. Default: the latest that was run.")
@click.option(
    "-o",
    "--output",
    "file",
    metavar="FILE",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The HTML file to write.",
)
def report(name: str, partition: str | None, file: Path) -> None:
    r"""Write the report of segmentation NAME into an HTML file.

    It is for the people who know the customers, and works offline. Of several versions of a period it shows the newest
    one that is published or waits for approval, or else the newest.

    \b
    Example:
      segmentation report shop --partition 2025-03-01 -o shop-2025-03.html
    """
    from segmentation_pipeline.orchestration.reports import render_latest

    made = render_latest(segmentation_named(name), partition)
    try:
        file.write_bytes(made.html)
    except OSError as error:
        fail(f"the report could not be written to {file}: {error.strerror}. Name another file with -o.")
    shown = made.snapshot
    click.echo(f"{name} {shown.partition}: {file} shows snapshot {shown.snapshot_id} ({shown.status})")
    if made.missing:
        click.echo(
            f"Not in it, because the artifacts of {shown.partition} are no longer kept: {', '.join(made.missing)}"
        )
