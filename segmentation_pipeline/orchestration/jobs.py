"""The jobs and schedules of one segmentation."""

from typing import Any, Final

import dagster as dg

from segmentation_pipeline.orchestration.assets.aligned_segments import aligned_segments
from segmentation_pipeline.orchestration.assets.encoded_features import encoded_features
from segmentation_pipeline.orchestration.assets.final_fit import final_fit
from segmentation_pipeline.orchestration.assets.k_sweep import k_sweep
from segmentation_pipeline.orchestration.assets.published_segments import published_segments
from segmentation_pipeline.orchestration.assets.raw_extract import raw_extract
from segmentation_pipeline.orchestration.assets.scored_customers import scored_customers
from segmentation_pipeline.orchestration.assets.segment_report import segment_report
from segmentation_pipeline.orchestration.assets.validated_rows import validated_rows
from segmentation_pipeline.orchestration.decisions import build_decision_jobs
from segmentation_pipeline.orchestration.forms import describe_chain, describe_scoring
from segmentation_pipeline.orchestration.partitions import find_delay, find_latest_partition, make_cron_line
from segmentation_pipeline.orchestration.segmentation import SegmentationContext
from segmentation_pipeline.orchestration.stages import CHAIN, SCORED_CUSTOMERS, SEGMENT_REPORT
from segmentation_pipeline.spec import SegmentationSpec

BUILDERS: Final = (
    raw_extract,
    validated_rows,
    encoded_features,
    k_sweep,
    final_fit,
    aligned_segments,
    published_segments,
    segment_report,
    scored_customers,
)
# when today's customers are scored, once a person switches the schedule on
SCORE_CRON: Final = "0 7 * * *"


def build_definitions(segmentation: SegmentationContext) -> dg.Definitions:
    """Build one segmentation: assets and checks, the jobs (chain, scoring, decisions), and the schedules."""
    spec = segmentation.spec
    job = dg.define_asset_job(
        spec.name,
        selection=dg.AssetSelection.assets(*[segmentation.key(stage) for stage in (*CHAIN, SEGMENT_REPORT)]),
        # saves six processes and their heavy imports; the chain is sequential anyway
        executor_def=dg.in_process_executor,
        description=describe_chain(spec.name),
    )
    score = dg.define_asset_job(
        score_job_name(spec.name),
        selection=dg.AssetSelection.assets(segmentation.key(SCORED_CUSTOMERS)),
        executor_def=dg.in_process_executor,
        description=describe_scoring(spec.name),
    )
    return dg.Definitions(
        assets=[build(segmentation) for build in BUILDERS],
        jobs=[job, score, *build_decision_jobs(segmentation)],
        schedules=[_build_schedule(spec, job), _build_score_schedule(spec, score)],
    )


def score_job_name(name: str) -> str:
    """Return the name of the job that scores a segmentation's customers."""
    return f"{name}_score"


def _build_schedule(spec: SegmentationSpec, job: Any) -> dg.ScheduleDefinition:  # the type is not public in Dagster
    @dg.schedule(
        name=f"{spec.name}_schedule",
        job=job,
        cron_schedule=make_cron_line(spec.partitions, spec.schedule),
        execution_timezone=spec.partitions.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING if spec.schedule.enabled else dg.DefaultScheduleStatus.STOPPED,
        description=f"Runs each finished period {spec.schedule.hours_after_end} hours after its end.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        latest = find_latest_partition(spec.partitions, context.scheduled_execution_time - find_delay(spec.schedule))
        if latest is None:
            return dg.SkipReason(f"no period of {spec.name} has ended yet")
        return dg.RunRequest(run_key=latest, partition_key=latest)

    return schedule


def _build_score_schedule(spec: SegmentationSpec, job: Any) -> dg.ScheduleDefinition:  # as above
    cron = spec.schedule.score
    return dg.ScheduleDefinition(
        name=f"{score_job_name(spec.name)}_schedule",
        job=job,
        cron_schedule=cron or SCORE_CRON,
        execution_timezone=spec.partitions.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING if cron else dg.DefaultScheduleStatus.STOPPED,
        description="Scores new and changed customers between two fits.",
    )
