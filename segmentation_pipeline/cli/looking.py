"""Commands that show where things stand."""

import json

import click

from segmentation_pipeline.cli.group import main, pipeline_of, pipelines


@main.command()
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, or an array of them without NAME.")
def status(name: str | None, as_json: bool) -> None:
    r"""Show snapshots, segments and where things stand, of NAME or of all segmentations.

    \b
    Example:
      segmentation status shop --json
    """
    from segmentation_pipeline.storage import database, schema, snapshots
    from segmentation_pipeline.storage.status import decided
    from segmentation_pipeline.storage.status import status as read
    from segmentation_pipeline.terminal import show_status

    shown = [pipeline_of(name)] if name else list(pipelines().values())
    found, stale = [], []
    for pipeline in shown:
        schema.migrate(pipeline.spec.publish.url_env)
        with database.begin(pipeline.spec.publish.url_env) as connection:
            found.append((read(connection, pipeline.spec.name), decided(connection, pipeline.spec.name)))
            stale.append([each.partition for each in snapshots.built_on_older_parent(connection, pipeline.spec.name)])
    if as_json:
        objects = [each for each, _ in found]
        click.echo(json.dumps(objects[0] if name else objects, indent=1))
        return
    for (each, decisions), partitions in zip(found, stale, strict=True):
        show_status(each, decisions, partitions)
