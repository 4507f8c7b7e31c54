"""Commands by which a person decides: names, approvals, rollbacks."""

import click

from segmentation_pipeline.cli.group import fail, find_user, main, segmentation_named


@main.command()
@click.argument("name")
@click.argument("segment_id", type=click.IntRange(min=1))
@click.argument("text")
@click.option("--description", help="What the segment is, in a sentence.")
def name(name: str, segment_id: int, text: str, description: str | None) -> None:
    r"""Name a segment. The name stays with its id for ever.

    \b
    Example:
      segmentation name shop 3 "Lapsing big spenders"
    """
    from segmentation_pipeline.orchestration.decisions import rename

    if not text.strip():
        message = "TEXT is empty; give the segment a name"
        raise click.UsageError(message)
    rename(segmentation_named(name), segment_id, text=text, description=description)
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
    from segmentation_pipeline.cli.views import describe_publication
    from segmentation_pipeline.orchestration.decisions import approve, describe_approval
    from segmentation_pipeline.orchestration.runs.execute import open_dagster_instance

    segmentation = segmentation_named(name)
    with open_dagster_instance() as instance:
        outcome = approve(segmentation, snapshot_id, who=find_user(), reason=reason, instance=instance)
    approved, publication = outcome.approved, outcome.publication
    click.echo(f"{name}: {approved.snapshot.label} {describe_approval(approved)}")
    if not publication.success:
        fail("\n".join(publication.problems))
    click.echo(f"{name} {publication.partition}: {describe_publication(publication)}")


@main.command()
@click.argument("name")
@click.argument("snapshot_id", type=click.IntRange(min=1))
@click.option("--reason", metavar="TEXT", help="Why; kept with the decision.")
def decline(name: str, snapshot_id: int, reason: str | None) -> None:
    r"""Leave a snapshot that waits for a person unpublished.

    Later periods of segmentation NAME can go on then.

    \b
    Example:
      segmentation decline shop 7 --reason "the import was wrong"
    """
    from segmentation_pipeline.model.commands import run_command
    from segmentation_pipeline.orchestration.decisions import decline
    from segmentation_pipeline.orchestration.runs.execute import open_dagster_instance

    segmentation = segmentation_named(name)
    with open_dagster_instance() as instance:
        declined = decline(segmentation, snapshot_id, who=find_user(), reason=reason, instance=instance)
    click.echo(f"{name}: {declined.label} is declined. For a new version:  {run_command(name, declined.partition)}")


@main.command()
@click.argument("name")
@click.argument("snapshot_id", type=click.IntRange(min=1))
@click.option("--reason", metavar="TEXT", help="Why; kept with the decision.")
def rollback(name: str, snapshot_id: int, reason: str | None) -> None:
    r"""Make an earlier snapshot of segmentation NAME current again.

    It must have been published before. The target gets its segments back.

    \b
    Example:
      segmentation rollback shop 5 --reason "March had last year's prices"
    """
    from segmentation_pipeline.cli.views import describe_rollback
    from segmentation_pipeline.orchestration.decisions import rollback
    from segmentation_pipeline.orchestration.runs.execute import open_dagster_instance

    segmentation = segmentation_named(name)
    with open_dagster_instance() as instance:
        receipt = rollback(segmentation, snapshot_id, who=find_user(), reason=reason, instance=instance)
    click.echo(f"{name}: {describe_rollback(receipt)}")
