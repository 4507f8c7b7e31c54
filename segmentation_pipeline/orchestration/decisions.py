"""A person's decisions, from the command line and the launchpad: approve, decline, roll back, rename."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import dagster as dg

from segmentation_pipeline.errors import DecisionRefusedError
from segmentation_pipeline.lifecycle import decide
from segmentation_pipeline.lifecycle.decide import ApprovedSnapshot
from segmentation_pipeline.lifecycle.rollback import rollback as roll_back
from segmentation_pipeline.model import SnapshotHeader
from segmentation_pipeline.model.commands import status_command
from segmentation_pipeline.model.receipts import RollbackReceipt
from segmentation_pipeline.orchestration.assets.published_segments import SNAPSHOT_TAG, published_segments
from segmentation_pipeline.orchestration.assets.segment_report import segment_report
from segmentation_pipeline.orchestration.checks.approval import report_decision
from segmentation_pipeline.orchestration.forms import Decide, Rename, RollBack, describe_decision
from segmentation_pipeline.orchestration.retries import user_errors
from segmentation_pipeline.orchestration.runs.execute import RunOutcome, run_partition
from segmentation_pipeline.orchestration.segmentation import SegmentationContext
from segmentation_pipeline.orchestration.stages import PUBLISHED_SEGMENTS, SEGMENT_REPORT
from segmentation_pipeline.storage.artifacts.datasets import AlignedSegments
from segmentation_pipeline.storage.registry import schema, snapshots
from segmentation_pipeline.storage.registry.connection import Connection
from segmentation_pipeline.storage.registry.segments import name_segment
from segmentation_pipeline.storage.warehouse.postgres.connection import transaction


@dataclass(frozen=True)
class ApprovalOutcome:
    """An approval, and how the run of its publication ended."""

    approved: ApprovedSnapshot
    publication: RunOutcome


def approve(
    segmentation: SegmentationContext, snapshot_id: int, *, who: str, reason: str | None, instance: dg.DagsterInstance
) -> ApprovalOutcome:
    """Approve a waiting snapshot and run its publication, in this process and recorded where the UI sees it.

    Raises:
        DecisionRefusedError: it cannot be approved.
        ArtifactError: its labels are gone, so it could not be published.
    """
    with _begin(segmentation) as connection:
        approved = decide.approve(connection, segmentation.spec.name, snapshot_id, who=who, reason=reason)
        segmentation.dataset_of(AlignedSegments, approved.snapshot)
    outcome = run_partition(
        segmentation,
        _build_publication_job(segmentation),
        approved.snapshot.partition,
        instance=instance,
        tags={SNAPSHOT_TAG: str(snapshot_id)},
    )
    if outcome.success:
        report_decision(segmentation, approved.snapshot, describe_approval(approved), instance=instance)
    return ApprovalOutcome(approved, outcome)


def decline(
    segmentation: SegmentationContext, snapshot_id: int, *, who: str, reason: str | None, instance: dg.DagsterInstance
) -> SnapshotHeader:
    """Decline a waiting snapshot.

    Raises:
        DecisionRefusedError: it does not wait.
    """
    with _begin(segmentation) as connection:
        declined = decide.decline(connection, segmentation.spec.name, snapshot_id, who=who, reason=reason)
    report_decision(segmentation, declined, f"is declined by {who}", instance=instance)
    return declined


def rollback(
    segmentation: SegmentationContext, snapshot_id: int, *, who: str, reason: str | None, instance: dg.DagsterInstance
) -> RollbackReceipt:
    """Make an earlier snapshot current again, and note it on `published_segments` for the UI.

    Raises:
        DecisionRefusedError: it cannot be made current.
        TargetError: the target cannot take the segments.
    """
    spec = segmentation.spec
    with _begin(segmentation) as connection:
        receipt = roll_back(connection, spec.publish, spec.name, snapshot_id, who=who, reason=reason)
    instance.report_runless_asset_event(
        dg.AssetObservation(
            segmentation.key(PUBLISHED_SEGMENTS),
            partition=receipt.partition,
            description=f"{who} made snapshot {snapshot_id} current again",
            metadata={**receipt.to_json(), "who": who, "reason": reason or ""},
        )
    )
    return receipt


def rename(segmentation: SegmentationContext, segment_id: int, *, text: str, description: str | None) -> None:
    """Name a segment as people call it.

    Raises:
        DecisionRefusedError: there is no such segment, or the name is empty.
    """
    name = segmentation.spec.name
    if not text.strip():
        message = "the name is empty; give the segment a name"
        raise DecisionRefusedError(message)
    with _begin(segmentation) as connection:
        named = name_segment(connection, name, segment_id, text=text.strip(), description=description)
    if not named:
        message = f"{name} has no segment {segment_id}; `{status_command(name)}` lists them"
        raise DecisionRefusedError(message)


def build_decision_jobs(segmentation: SegmentationContext) -> list[dg.JobDefinition]:
    """Return the same for the UI: one job for each decision, whose form is the launchpad's."""
    name = segmentation.spec.name

    @dg.op(name=f"approve_{name}")
    def approve_op(context: dg.OpExecutionContext, config: Decide) -> None:
        with user_errors():
            snapshot_id = _choose_waiting(segmentation, config)
            outcome = approve(
                segmentation, snapshot_id, who=config.who.strip(), reason=config.reason, instance=context.instance
            )
        context.log.info(
            f"{outcome.approved.snapshot.label} {describe_approval(outcome.approved)}; "
            f"published by the run {outcome.publication.run_id}"
        )
        if not outcome.publication.success:
            raise dg.Failure("\n".join(outcome.publication.problems), allow_retries=False)

    @dg.op(name=f"decline_{name}")
    def decline_op(context: dg.OpExecutionContext, config: Decide) -> None:
        with user_errors():
            snapshot_id = _choose_waiting(segmentation, config)
            declined = decline(
                segmentation, snapshot_id, who=config.who.strip(), reason=config.reason, instance=context.instance
            )
        context.log.info(f"{declined.label} is declined")

    @dg.op(name=f"rollback_{name}")
    def rollback_op(context: dg.OpExecutionContext, config: RollBack) -> None:
        with user_errors():
            snapshot_id = _require_named(segmentation, config)
            receipt = rollback(
                segmentation, snapshot_id, who=config.who.strip(), reason=config.reason, instance=context.instance
            )
        context.log.info(f"snapshot {snapshot_id} is current again: {receipt.to_json()}")

    @dg.op(name=f"rename_{name}")
    def rename_op(context: dg.OpExecutionContext, config: Rename) -> None:
        with user_errors():
            rename(segmentation, config.segment_id, text=config.name, description=config.description or None)
        context.log.info(f"segment {config.segment_id} is now called {config.name.strip()!r}")

    return [
        _job(f"{name}_approve", approve_op, Decide, "Publishes a snapshot that waits for a person."),
        _job(
            f"{name}_decline",
            decline_op,
            Decide,
            "Leaves a snapshot that waits for a person unpublished; later periods can go on.",
        ),
        _job(
            f"{name}_rollback",
            rollback_op,
            RollBack,
            "Makes an earlier published snapshot current again, in the target too. Newer snapshots are marked as "
            "rolled back; customers that the earlier snapshot does not know are emptied until the next scoring.",
        ),
        _job(f"{name}_rename", rename_op, Rename, "Gives a segment the name that people call it by."),
    ]


def describe_approval(approved: ApprovedSnapshot) -> str:
    """Return who approved a snapshot, and whether that is new."""
    decision = approved.decision
    if approved.already:
        return f"was approved already by {decision.who} on {decision.at:%Y-%m-%d}"
    return f"is approved by {decision.who}"


def _job(name: str, op: dg.OpDefinition, form: type[dg.Config], summary: str) -> dg.JobDefinition:
    graph = dg.GraphDefinition(name=name, node_defs=[op], description=describe_decision(summary, op.name, form))
    return graph.to_job(executor_def=dg.in_process_executor)


def _choose_waiting(segmentation: SegmentationContext, form: Decide) -> int:
    """Return the snapshot that the form names, or the only one that waits."""
    _require_who(form.who)
    if form.snapshot_id:
        return form.snapshot_id
    name = segmentation.spec.name
    with _begin(segmentation) as connection:
        waiting = snapshots.list_waiting(connection, name)
    if len(waiting) != 1:
        labels = ", ".join(snapshot.label for snapshot in waiting)
        message = f"{name}: " + (f"{labels} wait; say which in snapshot_id" if waiting else "no snapshot waits")
        raise DecisionRefusedError(message)
    return waiting[0].snapshot_id


def _require_named(segmentation: SegmentationContext, form: RollBack) -> int:
    """Return the snapshot that the form names; a rollback is hard to take back, so there is no default."""
    _require_who(form.who)
    if form.snapshot_id:
        return form.snapshot_id
    name = segmentation.spec.name
    with _begin(segmentation) as connection:
        labels = [
            snapshot.label for snapshot in snapshots.list_snapshots(connection, name) if snapshot.status == "published"
        ]
    message = f"{name}: say in snapshot_id which one becomes current; there is {', '.join(labels)}"
    raise DecisionRefusedError(message)


def _require_who(who: str) -> None:
    if not who.strip():
        message = "who is empty; write your name into the form: it is kept with the decision"
        raise DecisionRefusedError(message)


def _build_publication_job(segmentation: SegmentationContext) -> dg.JobDefinition:
    """Return the job that publishes and makes the report again, under the segmentation's name."""
    job = dg.define_asset_job(
        segmentation.spec.name, selection=[segmentation.key(PUBLISHED_SEGMENTS), segmentation.key(SEGMENT_REPORT)]
    )
    definitions = dg.Definitions(assets=[published_segments(segmentation), segment_report(segmentation)], jobs=[job])
    return definitions.resolve_job_def(segmentation.spec.name)


@contextmanager
def _begin(segmentation: SegmentationContext) -> Iterator[Connection]:
    variable = segmentation.spec.publish.url_env
    schema.migrate(variable)
    with transaction(variable) as connection:
        yield connection
