"""A person's decisions, from the command line and from the launchpad: approve, decline, roll back, rename."""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg
import sqlalchemy as sa
from pydantic import Field

from segmentation_pipeline.assets.approval import tell_decided
from segmentation_pipeline.assets.pipeline import REPORT, Pipeline
from segmentation_pipeline.assets.published_segments import SNAPSHOT_TAG, published_segments
from segmentation_pipeline.assets.runs import RunOutcome, run_partition
from segmentation_pipeline.assets.segment_report import segment_report
from segmentation_pipeline.errors import DecisionRefusedError, SegmentationError
from segmentation_pipeline.model import Snapshot
from segmentation_pipeline.storage import database, decisions, schema, snapshots
from segmentation_pipeline.storage.decisions import Approved, label
from segmentation_pipeline.storage.rollback import RollbackReceipt
from segmentation_pipeline.storage.rollback import rollback as roll_back


class Decide(dg.Config):
    """The form of approve, decline and rollback."""

    snapshot_id: int = Field(description="The snapshot, as `segmentation status` and the asset check name it.")
    who: str = Field(description="Your name: it is kept with the decision.")
    reason: str = Field("", description="Why; kept with the decision.")


class Rename(dg.Config):
    """The form of rename."""

    segment_id: int = Field(description="The segment.")
    name: str = Field(description="What people call it from now on; it stays with the id for ever.")
    description: str = Field("", description="What the segment is, in a sentence; empty leaves the present one.")


def approve(
    pipeline: Pipeline, snapshot_id: int, *, who: str, reason: str | None, instance: dg.DagsterInstance
) -> tuple[Approved, RunOutcome]:
    """Approve a waiting snapshot and run its publication, in this process and recorded where the UI sees it.

    Raises:
        DecisionRefusedError: it cannot be approved.
        ArtifactError: its labels are gone, so it could not be published.
    """
    with _begin(pipeline) as connection:
        approved = decisions.approve(connection, pipeline.spec.name, snapshot_id, who=who, reason=reason)
        pipeline.artifact_of("aligned_segments", approved.snapshot)
    outcome = run_partition(
        pipeline,
        _publication(pipeline),
        approved.snapshot.partition,
        instance=instance,
        tags={SNAPSHOT_TAG: str(snapshot_id)},
    )
    if outcome.success:
        tell_decided(pipeline, approved.snapshot, told(approved), instance=instance)
    return approved, outcome


def decline(
    pipeline: Pipeline, snapshot_id: int, *, who: str, reason: str | None, instance: dg.DagsterInstance
) -> Snapshot:
    """Decline a waiting snapshot.

    Raises:
        DecisionRefusedError: it does not wait.
    """
    with _begin(pipeline) as connection:
        declined = decisions.decline(connection, pipeline.spec.name, snapshot_id, who=who, reason=reason)
    tell_decided(pipeline, declined, f"is declined by {who}", instance=instance)
    return declined


def rollback(
    pipeline: Pipeline, snapshot_id: int, *, who: str, reason: str | None, instance: dg.DagsterInstance
) -> RollbackReceipt:
    """Make an earlier snapshot current again, and note it on `published_segments` for the UI.

    Raises:
        DecisionRefusedError: it cannot be made current.
        TargetError: the target cannot take the segments.
    """
    spec = pipeline.spec
    with _begin(pipeline) as connection:
        receipt = roll_back(connection, spec.publish, spec.name, snapshot_id, who=who, reason=reason)
    instance.report_runless_asset_event(
        dg.AssetObservation(
            pipeline.key("published_segments"),
            partition=receipt.partition,
            description=f"{who} made snapshot {snapshot_id} current again",
            metadata={**receipt.to_json(), "who": who, "reason": reason or ""},
        )
    )
    return receipt


def rename(pipeline: Pipeline, segment_id: int, *, text: str, description: str | None) -> None:
    """Give a segment a person's name.

    Raises:
        DecisionRefusedError: there is no such segment, or the name is empty.
    """
    name = pipeline.spec.name
    if not text.strip():
        message = "the name is empty; give the segment a name"
        raise DecisionRefusedError(message)
    with _begin(pipeline) as connection:
        named = snapshots.name_segment(connection, name, segment_id, text=text.strip(), description=description)
    if not named:
        message = f"{name} has no segment {segment_id}; `segmentation status {name}` lists them"
        raise DecisionRefusedError(message)


def decision_jobs(pipeline: Pipeline) -> list[dg.JobDefinition]:
    """The same from the UI: one job for each decision, whose form is the launchpad's."""
    name = pipeline.spec.name

    @dg.op(name=f"approve_{name}", description="Approves a waiting snapshot and publishes it.")
    def approve_op(context: dg.OpExecutionContext, config: Decide) -> None:
        with _telling():
            approved, outcome = approve(
                pipeline, config.snapshot_id, who=config.who, reason=config.reason, instance=context.instance
            )
        context.log.info(f"{label(approved.snapshot)} {told(approved)}; published by the run {outcome.run_id}")
        if not outcome.success:
            raise dg.Failure("\n".join(outcome.problems), allow_retries=False)

    @dg.op(name=f"decline_{name}", description="Declines a waiting snapshot: it is not published.")
    def decline_op(context: dg.OpExecutionContext, config: Decide) -> None:
        with _telling():
            declined = decline(
                pipeline, config.snapshot_id, who=config.who, reason=config.reason, instance=context.instance
            )
        context.log.info(f"{label(declined)} is declined")

    @dg.op(name=f"rollback_{name}", description="Makes an earlier published snapshot current again.")
    def rollback_op(context: dg.OpExecutionContext, config: Decide) -> None:
        with _telling():
            receipt = rollback(
                pipeline, config.snapshot_id, who=config.who, reason=config.reason, instance=context.instance
            )
        context.log.info(f"snapshot {config.snapshot_id} is current again: {receipt.to_json()}")

    @dg.op(name=f"rename_{name}", description="Names the persona behind a segment.")
    def rename_op(context: dg.OpExecutionContext, config: Rename) -> None:
        with _telling():
            rename(pipeline, config.segment_id, text=config.name, description=config.description or None)
        context.log.info(f"segment {config.segment_id} is now called {config.name.strip()!r}")

    return [
        _job(f"{name}_{action}", op)
        for action, op in (
            ("approve", approve_op),
            ("decline", decline_op),
            ("rollback", rollback_op),
            ("rename", rename_op),
        )
    ]


def told(approved: Approved) -> str:
    """Whether an approval is new, in words."""
    decision = approved.decision
    if approved.already:
        return f"was approved already by {decision.who} on {decision.at:%Y-%m-%d}"
    return f"is approved by {decision.who}"


def _job(name: str, op: dg.OpDefinition) -> dg.JobDefinition:
    return dg.GraphDefinition(name=name, node_defs=[op], description=op.description).to_job(
        executor_def=dg.in_process_executor
    )


def _publication(pipeline: Pipeline) -> dg.JobDefinition:
    """The job that publishes and makes the report anew, under the segmentation's name."""
    job = dg.define_asset_job(pipeline.spec.name, selection=[pipeline.key("published_segments"), pipeline.key(REPORT)])
    definitions = dg.Definitions(assets=[published_segments(pipeline), segment_report(pipeline)], jobs=[job])
    return definitions.resolve_job_def(pipeline.spec.name)


@contextmanager
def _begin(pipeline: Pipeline) -> Iterator[sa.Connection]:
    variable = pipeline.spec.publish.url_env
    schema.migrate(variable)
    with database.begin(variable) as connection:
        yield connection


@contextmanager
def _telling() -> Iterator[None]:
    """Show an error of this package as its message alone."""
    try:
        yield
    except SegmentationError as error:
        raise dg.Failure(str(error), metadata={"error": type(error).__name__}, allow_retries=False) from error
