"""Commands that run something: the demo, one period, several, the scores between two fits."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from segmentation_pipeline.cli.group import fail, main, segmentation_named
from segmentation_pipeline.demo import DEMO

if TYPE_CHECKING:
    from segmentation_pipeline.orchestration.runs.execute import RunOutcome
    from segmentation_pipeline.orchestration.segmentation import SegmentationContext


@main.command()
def demo() -> None:
    r"""Make the synthetic shop and run its months.

    A shop that is there already stays as it is, and only the months that are not up to date are run.

    \b
    Example:
      segmentation demo
    """
    from segmentation_pipeline.cli.console import make_console
    from segmentation_pipeline.cli.views import show_demo
    from segmentation_pipeline.demo.seeding import seed_shop
    from segmentation_pipeline.demo.showing import read_demo
    from segmentation_pipeline.orchestration.partitions import list_ended_partitions
    from segmentation_pipeline.storage.registry import schema, snapshots
    from segmentation_pipeline.storage.warehouse.postgres.connection import resolve_url, transaction

    segmentation = segmentation_named(DEMO)
    schema.migrate(segmentation.spec.publish.url_env)
    counts = seed_shop(resolve_url(segmentation.spec.source.url_env))
    done = "made" if counts.created else "found"
    make_console().print(f"Synthetic shop {done}: {counts.customers:,} customers, {counts.purchases:,} purchases.")
    with transaction(segmentation.spec.publish.url_env) as connection:
        current = {
            snapshot.partition
            for snapshot in snapshots.list_snapshots(connection, DEMO)
            if snapshot.status == "published" and snapshot.code_version == segmentation.chain_version
        }
    months = list_ended_partitions(segmentation.spec.partitions, datetime.now(tz=UTC))
    outcomes = _run(segmentation, [month for month in months if month not in current])
    with transaction(segmentation.spec.publish.url_env) as connection:
        result = read_demo(connection, DEMO, segmentation.store)
    changed = sum(outcome.changed for outcome in outcomes)
    show_demo(result, table_name=segmentation.spec.publish.table, n_up_to_date=len(current), changed=changed)
    _end(outcomes)


@main.command()
@click.argument("name")
@click.option("--partition", metavar="P", help="The period's start, YYYY-MM-DD. Default: the latest complete one.")
def run(name: str, partition: str | None) -> None:
    r"""Run one period of segmentation NAME through the whole chain.

    \b
    Example:
      segmentation run shop --partition 2025-03-01
    """
    from segmentation_pipeline.orchestration.partitions import find_latest_partition

    segmentation = segmentation_named(name)
    if partition is None:
        partition = find_latest_partition(segmentation.spec.partitions, datetime.now(tz=UTC))
        if partition is None:
            fail(f"no period of {name} has ended yet; the first starts on {segmentation.spec.partitions.start}")
    _require_partitions(segmentation, [partition])
    _end(_run(segmentation, [partition]))


@main.command()
@click.argument("name")
@click.option("--from", "first", metavar="P", required=True, help="The first period's start, YYYY-MM-DD.")
@click.option("--to", "last", metavar="P", required=True, help="The last period's start, inclusive.")
def backfill(name: str, first: str, last: str) -> None:
    r"""Run several periods of segmentation NAME, in order.

    A period that fails does not stop the later ones.

    \b
    Example:
      segmentation backfill shop --from 2025-01-01 --to 2025-06-01
    """
    from segmentation_pipeline.orchestration.partitions import list_ended_partitions

    segmentation = segmentation_named(name)
    _require_partitions(segmentation, [first, last])
    if first > last:
        message = f"--from {first} is after --to {last}"
        raise click.UsageError(message)
    ended = list_ended_partitions(segmentation.spec.partitions, datetime.now(tz=UTC))
    _end(_run(segmentation, [partition for partition in ended if first <= partition <= last]))


@main.command()
@click.argument("name")
def score(name: str) -> None:
    r"""Assign today's customers of NAME to the published segments.

    New and changed customers get a segment between two periods, without a new fit.

    \b
    Example:
      segmentation score shop
    """
    from segmentation_pipeline.cli.views import show_scoring
    from segmentation_pipeline.orchestration.jobs import build_definitions, score_job_name
    from segmentation_pipeline.orchestration.runs.execute import open_dagster_instance, run_scoring

    segmentation = segmentation_named(name)
    job = build_definitions(segmentation).resolve_job_def(score_job_name(name))
    with open_dagster_instance() as instance:
        outcome = run_scoring(segmentation, job, instance=instance)
    show_scoring(segmentation, outcome)
    if not outcome.success:
        sys.exit(1)


def _require_partitions(segmentation: "SegmentationContext", partitions: Sequence[str]) -> None:
    from segmentation_pipeline.orchestration.partitions import list_ended_partitions

    known = list_ended_partitions(segmentation.spec.partitions, datetime.now(tz=UTC))
    for partition in partitions:
        if partition not in known:
            there = f"finished are {known[0]} to {known[-1]}" if known else "none has ended yet"
            cadence = segmentation.spec.partitions.cadence
            message = f"{partition} is not a finished {cadence} period of {segmentation.spec.name}; {there}"
            raise click.UsageError(message)


def _run(segmentation: "SegmentationContext", partitions: Sequence[str]) -> "list[RunOutcome]":
    from segmentation_pipeline.cli.progress import show_progress
    from segmentation_pipeline.orchestration.assets.raw_extract import warn_undated
    from segmentation_pipeline.orchestration.jobs import build_definitions
    from segmentation_pipeline.orchestration.runs.execute import open_dagster_instance, run_partition

    if not partitions:
        return []
    if warning := warn_undated(segmentation, partitions[0]):  # once, for it is the same for all of them
        click.echo(f"{segmentation.spec.name}: warning: {warning}", err=True)
    outcomes = []
    job = build_definitions(segmentation).resolve_job_def(segmentation.spec.name)
    with open_dagster_instance() as instance, show_progress(segmentation.spec.name, len(partitions)) as report:
        for partition in partitions:
            report.start(partition)
            outcomes.append(run_partition(segmentation, job, partition, instance=instance))
            report.end(outcomes[-1])
    return outcomes


def _end(outcomes: "Sequence[RunOutcome]") -> None:
    if any(not outcome.success for outcome in outcomes):
        sys.exit(1)
