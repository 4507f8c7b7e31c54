"""Commands that remove what is kept: one customer, and what is older than the retention settings allow."""

import click

from segmentation_pipeline.cli.group import main, segmentation_named


@main.command()
@click.argument("name")
@click.argument("key")
def forget(name: str, key: str) -> None:
    r"""Erase the customer KEY from everything that segmentation NAME keeps, and empty their segment in the target.

    That is the history, scored and rejected rows, and artifacts. The source is not changed: a customer who is still in
    it comes back with the next run.

    \b
    Example:
      segmentation forget shop 4711
    """
    from segmentation_pipeline.cli.views import show_forgotten
    from segmentation_pipeline.lifecycle.retention import forget
    from segmentation_pipeline.orchestration.runs.execute import open_dagster_instance

    segmentation = segmentation_named(name)
    with open_dagster_instance() as instance:
        forgotten = forget(segmentation, key, instance=instance)
    show_forgotten(segmentation, key, forgotten)


@main.command()
@click.argument("name")
def gc(name: str) -> None:
    r"""Apply the retention settings of segmentation NAME now, and list what was removed.

    \b
    Example:
      segmentation gc shop
    """
    from segmentation_pipeline.lifecycle.retention import collect_garbage
    from segmentation_pipeline.orchestration.runs.execute import open_dagster_instance

    segmentation = segmentation_named(name)
    with open_dagster_instance() as instance:
        removed = collect_garbage(segmentation, instance=instance)
    for line in removed or ["nothing is older than `retention` in its defs.yaml keeps"]:
        click.echo(f"{name}: {line}")
