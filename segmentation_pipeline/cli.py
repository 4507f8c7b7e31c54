"""The `segmentation` command."""

import getpass
import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

import click

from segmentation_pipeline.errors import SegmentationError

if TYPE_CHECKING:
    from segmentation_pipeline.assets.pipeline import Pipeline
    from segmentation_pipeline.assets.runs import RunOutcome

DEMO = "shop"
UNSET_PARTITION = "the latest complete one"


class Command(click.Command):
    """A command whose example keeps its lines: click wants a backspace there, a raw docstring holds two characters."""

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help with the marker that click knows."""
        self.help = (self.help or "").replace("\\b", "\b")
        super().format_help_text(ctx, formatter)


class Commands(click.Group):
    """A group whose commands end with a message and exit code 1, not with a traceback, on an error of this package."""

    command_class = Command

    def invoke(self, ctx: click.Context) -> Any:  # click's own signature
        """Run the command."""
        try:
            return super().invoke(ctx)
        except SegmentationError as error:
            _fail(str(error))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="segmentation-pipeline")
def main() -> None:
    """Customer segments that keep their meaning."""


@main.command()
def demo() -> None:
    r"""Seed the synthetic shop and run the months that are not up to date.

    \b
    Example:
      segmentation demo
    """
    from segmentation_pipeline.assets.partitions import ended_partitions
    from segmentation_pipeline.demo.seeding import seed_shop
    from segmentation_pipeline.storage import database, schema, snapshots
    from segmentation_pipeline.terminal import console, show_demo

    pipeline = _pipeline(DEMO)
    schema.migrate(pipeline.spec.publish.url_env)
    counts = seed_shop(database.database_url(pipeline.spec.source.url_env))
    done = "made" if counts.created else "found"
    console().print(f"Synthetic shop {done}: {counts.customers:,} customers, {counts.purchases:,} purchases.")
    with database.begin(pipeline.spec.publish.url_env) as connection:
        current = {
            each.partition
            for each in snapshots.snapshots(connection, DEMO)
            if each.status == "published" and each.code_version == pipeline.chain_version
        }
    months = ended_partitions(pipeline.spec.partitions, datetime.now(tz=UTC))
    outcomes = _run(pipeline, [month for month in months if month not in current])
    show_demo(pipeline, n_up_to_date=len(current), changed=sum(each.changed for each in outcomes))
    _end(outcomes)


@main.command()
@click.argument("name")
@click.option("--partition", metavar="P", help=f"The period's start, YYYY-MM-DD. Default: {UNSET_PARTITION}.")
def run(name: str, partition: str | None) -> None:
    r"""Run one period of segmentation NAME through the whole chain.

    \b
    Example:
      segmentation run shop --partition 2025-03-01
    """
    from segmentation_pipeline.assets.partitions import latest_partition

    pipeline = _pipeline(name)
    if partition is None:
        partition = latest_partition(pipeline.spec.partitions, datetime.now(tz=UTC))
        if partition is None:
            _fail(f"no period of {name} has ended yet; the first starts on {pipeline.spec.partitions.start}")
    _require_partitions(pipeline, [partition])
    _end(_run(pipeline, [partition]))


@main.command()
@click.argument("name")
@click.option("--from", "first", metavar="P", required=True, help="The first period's start, YYYY-MM-DD.")
@click.option("--to", "last", metavar="P", required=True, help="The last period's start, inclusive.")
def backfill(name: str, first: str, last: str) -> None:
    r"""Run several periods of segmentation NAME, in order. A failed one does not stop the later ones.

    \b
    Example:
      segmentation backfill shop --from 2025-01-01 --to 2025-06-01
    """
    from segmentation_pipeline.assets.partitions import ended_partitions

    pipeline = _pipeline(name)
    _require_partitions(pipeline, [first, last])
    if first > last:
        message = f"--from {first} is after --to {last}"
        raise click.UsageError(message)
    months = ended_partitions(pipeline.spec.partitions, datetime.now(tz=UTC))
    _end(_run(pipeline, [month for month in months if first <= month <= last]))


@main.command()
@click.argument("name")
def score(name: str) -> None:
    r"""Give new and changed customers of NAME their segment by what is published, without a fit.

    \b
    Example:
      segmentation score shop
    """
    from segmentation_pipeline.assets.runs import dagster_instance, run_scoring
    from segmentation_pipeline.component import load_definitions, score_job
    from segmentation_pipeline.terminal import show_scoring

    pipeline = _pipeline(name)
    job = load_definitions().resolve_job_def(score_job(name))
    with dagster_instance() as instance:
        outcome = run_scoring(pipeline, job, instance=instance)
    show_scoring(pipeline, outcome)
    if not outcome.success:
        sys.exit(1)


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

    pipelines = [_pipeline(name)] if name else list(_pipelines().values())
    found, stale = [], []
    for pipeline in pipelines:
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


@main.command()
@click.argument("name")
@click.argument("segment_id", type=click.IntRange(min=1))
@click.argument("text")
@click.option("--description", help="What the segment is, in a sentence.")
def name(name: str, segment_id: int, text: str, description: str | None) -> None:
    r"""Name the persona behind a segment. The name stays with the id for ever.

    \b
    Example:
      segmentation name shop 3 "Lapsing big spenders"
    """
    from segmentation_pipeline.assets.decisions import rename

    if not text.strip():
        message = "TEXT is empty; give the segment a name"
        raise click.UsageError(message)
    rename(_pipeline(name), segment_id, text=text, description=description)
    click.echo(f"{name}: segment {segment_id} is now called {text.strip()!r}")


@main.command()
@click.argument("name")
@click.argument("snapshot_id", type=click.IntRange(min=1))
@click.option("--reason", metavar="TEXT", help="Why; kept with the decision.")
def approve(name: str, snapshot_id: int, reason: str | None) -> None:
    r"""Publish a snapshot of segmentation NAME that waits for a person.

    \b
    Example:
      segmentation approve shop 7 --reason "the new segment is the spring campaign's"
    """
    from segmentation_pipeline.assets.decisions import approve, told
    from segmentation_pipeline.assets.runs import dagster_instance
    from segmentation_pipeline.storage.decisions import label
    from segmentation_pipeline.terminal import published

    pipeline = _pipeline(name)
    with dagster_instance() as instance:
        approved, outcome = approve(pipeline, snapshot_id, who=_who(), reason=reason, instance=instance)
    click.echo(f"{name}: {label(approved.snapshot)} {told(approved)}")
    if not outcome.success:
        _fail("\n".join(outcome.problems))
    click.echo(f"{name} {outcome.partition}: {published(outcome)}")


@main.command()
@click.argument("name")
@click.argument("snapshot_id", type=click.IntRange(min=1))
@click.option("--reason", metavar="TEXT", help="Why; kept with the decision.")
def decline(name: str, snapshot_id: int, reason: str | None) -> None:
    r"""Do not publish a snapshot of segmentation NAME that waits for a person; later periods may go on.

    \b
    Example:
      segmentation decline shop 7 --reason "the import was wrong"
    """
    from segmentation_pipeline.assets.decisions import decline
    from segmentation_pipeline.assets.runs import dagster_instance
    from segmentation_pipeline.storage.decisions import label

    pipeline = _pipeline(name)
    with dagster_instance() as instance:
        declined = decline(pipeline, snapshot_id, who=_who(), reason=reason, instance=instance)
    click.echo(
        f"{name}: {label(declined)} is declined. For a new version:  "
        f"segmentation run {name} --partition {declined.partition}"
    )


@main.command()
@click.argument("name")
@click.argument("snapshot_id", type=click.IntRange(min=1))
@click.option("--reason", metavar="TEXT", help="Why; kept with the decision.")
def rollback(name: str, snapshot_id: int, reason: str | None) -> None:
    r"""Make an earlier published snapshot of segmentation NAME current again, in the target too.

    \b
    Example:
      segmentation rollback shop 5 --reason "March had last year's prices"
    """
    from segmentation_pipeline.assets.decisions import rollback
    from segmentation_pipeline.assets.runs import dagster_instance
    from segmentation_pipeline.terminal import restored

    pipeline = _pipeline(name)
    with dagster_instance() as instance:
        receipt = rollback(pipeline, snapshot_id, who=_who(), reason=reason, instance=instance)
    click.echo(f"{name}: {restored(receipt)}")


@main.command()
@click.argument("name")
@click.argument("key")
def forget(name: str, key: str) -> None:
    r"""Erase the customer KEY from everything that segmentation NAME keeps, and empty their segment in the target.

    History, scored and rejected rows, artifacts. The source is yours: a customer who is still there comes back with the
    next run.

    \b
    Example:
      segmentation forget shop 4711
    """
    from segmentation_pipeline.assets.retention import forget
    from segmentation_pipeline.assets.runs import dagster_instance
    from segmentation_pipeline.terminal import show_forgotten

    pipeline = _pipeline(name)
    with dagster_instance() as instance:
        forgotten = forget(pipeline, key, instance=instance)
    show_forgotten(pipeline, key, forgotten)


@main.command()
@click.argument("name")
def gc(name: str) -> None:
    r"""Apply the retention settings of segmentation NAME now, and tell what went.

    \b
    Example:
      segmentation gc shop
    """
    from segmentation_pipeline.assets.retention import collect_garbage
    from segmentation_pipeline.assets.runs import dagster_instance

    pipeline = _pipeline(name)
    with dagster_instance() as instance:
        told = collect_garbage(pipeline, instance=instance)
    for line in told or ["nothing is older than `retention` in its defs.yaml keeps"]:
        click.echo(f"{name}: {line}")


def _who() -> str:
    """The person at the keyboard, for the decisions they make."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return f"user {os.getuid()}"


def _pipelines() -> "dict[str, Pipeline]":
    from segmentation_pipeline.component import pipelines

    return pipelines()


def _pipeline(name: str) -> "Pipeline":
    found = _pipelines()
    if name not in found:
        message = f"no segmentation is called {name!r}; there is {', '.join(sorted(found)) or 'none'}"
        raise click.UsageError(message)
    return found[name]


def _require_partitions(pipeline: "Pipeline", partitions: Sequence[str]) -> None:
    from segmentation_pipeline.assets.partitions import ended_partitions

    known = ended_partitions(pipeline.spec.partitions, datetime.now(tz=UTC))
    for partition in partitions:
        if partition not in known:
            there = f"there is {known[0]} to {known[-1]}" if known else "none has ended yet"
            what = f"{partition} is no finished {pipeline.spec.partitions.cadence} period of {pipeline.spec.name}"
            message = f"{what}; {there}"
            raise click.UsageError(message)


def _run(pipeline: "Pipeline", partitions: Sequence[str]) -> "list[RunOutcome]":
    from segmentation_pipeline.assets.runs import dagster_instance, run_partition
    from segmentation_pipeline.component import load_definitions
    from segmentation_pipeline.terminal import progress

    if not partitions:
        return []
    outcomes = []
    job = load_definitions().resolve_job_def(pipeline.spec.name)
    with dagster_instance() as instance, progress(pipeline.spec.name, len(partitions)) as told:
        for partition in partitions:
            told.starting(partition)
            outcomes.append(run_partition(pipeline, job, partition, instance=instance))
            told.ended(outcomes[-1])
    return outcomes


def _end(outcomes: "Sequence[RunOutcome]") -> None:
    if any(not outcome.success for outcome in outcomes):
        sys.exit(1)


def _fail(message: str) -> NoReturn:
    click.echo(f"Error: {message}", err=True)
    sys.exit(1)


# Dagster writes to its own telemetry file otherwise, before our dagster.yaml is read
os.environ.setdefault("DAGSTER_DISABLE_TELEMETRY", "1")
