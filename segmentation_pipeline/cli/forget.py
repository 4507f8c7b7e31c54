"""Commands that remove what is kept: one customer, and what is older than the retention settings allow."""

from typing import TYPE_CHECKING

import click

from segmentation_pipeline.cli.group import main, segmentation_named

if TYPE_CHECKING:
    import dagster as dg


@main.command()
@click.argument("name")
@click.argument("key")
def forget(name: str, key: str) -> None:
    r"""Erase the customer KEY from all that segmentation NAME keeps.

    That is the history, scored and rejected rows, and artifacts. In the target, the customer's segment is emptied. The
    source is not changed: a customer who is still in
    it comes back with the next run.

    \b
    Example:
      segmentation forget shop 4711
    """
    from segmentation_pipeline.cli.views import show_forgotten
    from segmentation_pipeline.lifecycle.forget import forget_customer
    from segmentation_pipeline.orchestration.runs.execute import open_dagster_instance

    segmentation = segmentation_named(name)
    with open_dagster_instance() as instance:
        running = _find_running(instance, name)
    forgotten = forget_customer(segmentation.spec, segmentation.store, key, running=running)
    show_forgotten(segmentation, key, forgotten)


@main.command()
@click.argument("name")
def gc(name: str) -> None:
    r"""Remove what is older than the retention settings of NAME.

    It lists what was removed.

    \b
    Example:
      segmentation gc shop
    """
    from segmentation_pipeline.lifecycle.retention import collect_garbage
    from segmentation_pipeline.orchestration.runs.execute import open_dagster_instance

    segmentation = segmentation_named(name)
    with open_dagster_instance() as instance:
        running = _find_running(instance, name)
    removed = collect_garbage(segmentation.spec, segmentation.store, running=running)
    for line in removed.lines or ["nothing is older than `retention` in its defs.yaml keeps"]:
        click.echo(f"{name}: {line}")


def _find_running(instance: "dg.DagsterInstance", name: str) -> list[str]:
    """Return the ids of the segmentation's runs that are in progress."""
    from segmentation_pipeline.orchestration.jobs import score_job_name
    from segmentation_pipeline.orchestration.runs.order import find_unfinished_runs

    return [run.run_id for run in find_unfinished_runs(instance, name, jobs={name, score_job_name(name)})]
