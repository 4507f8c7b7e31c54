"""Months in order, whatever the concurrency: a run waits for unfinished runs of earlier partitions.

The order cannot be left to the run queue (a user may allow many concurrent runs), and a dependency of each partition on
the one before it would tear a month into several runs, in which a blocking check does not hold.
"""

import time
from dataclasses import dataclass

import dagster as dg

from segmentation_pipeline.errors import EarlierRunUnfinishedError
from segmentation_pipeline.orchestration.runs.liveness import PROCESS_TAG, is_gone
from segmentation_pipeline.runtime.settings import read_patience

QUEUED = {dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED}
UNFINISHED = [
    *QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
PARTITION_TAG = "dagster/partition"
PATIENCE_SECONDS = 3600.0
# a run that came after this one and is still in the queue may have no place before this one ends
QUEUE_PATIENCE_SECONDS = 60.0
POLL_SECONDS = 1.0


@dataclass(frozen=True, order=True)
class _Earlier:
    partition: str
    run_id: str
    queued_behind: bool


def wait_for_earlier_runs(context: dg.AssetExecutionContext, name: str) -> None:
    """Wait until no unfinished run of the segmentation `name` has an earlier partition.

    Partitions are named by ISO dates, so the order of their names is the order of time. A run whose process was killed
    is marked as failed. One that was launched after this run and has not left the queue within a minute is not waited
    for: it may be this run that it waits for. Its month is then aligned late, which rule 9 covers and a check tells.

    Raises:
        EarlierRunUnfinishedError: one is still there after SEGMENTATION_PATIENCE_SECONDS (an hour).
    """
    patience = read_patience(PATIENCE_SECONDS)
    began = time.monotonic()
    told: set[str] = set()
    while earlier := _find_earlier_runs(context, name):
        first, waited = min(earlier), time.monotonic() - began
        what = f"the run {first.run_id[:8]} of the earlier partition {first.partition}"
        if all(each.queued_behind for each in earlier) and waited >= min(QUEUE_PATIENCE_SECONDS, patience):
            context.log.warning(
                f"{what} is still in the queue, behind this one: not waited for. {first.partition} will be aligned "
                "late; the check built_on_latest_parent then names what to run again."
            )
            return
        if waited >= patience:
            message = (
                f"{context.partition_key} waited {patience:,.0f} s for {what}, which has not ended. End or repair that "
                f"run (in the UI: Runs, Terminate), then run {context.partition_key} again."
            )
            raise EarlierRunUnfinishedError(message)
        if first.run_id not in told:
            context.log.info(f"waiting for {what}")
            told.add(first.run_id)
        time.sleep(POLL_SECONDS)


def find_unfinished_runs(instance: dg.DagsterInstance, name: str, *, jobs: set[str]) -> list[dg.DagsterRun]:
    """The runs of a segmentation's jobs or assets that have not ended; not those whose process is gone."""
    runs = [record.dagster_run for record in instance.get_run_records(filters=dg.RunsFilter(statuses=UNFINISHED))]
    return [
        run
        for run in runs
        if (run.job_name in jobs or _is_of(run, name)) and not is_gone(run.tags.get(PROCESS_TAG, ""))
    ]


def _find_earlier_runs(context: dg.AssetExecutionContext, name: str) -> list[_Earlier]:
    records = context.instance.get_run_records(filters=dg.RunsFilter(statuses=UNFINISHED))
    own = next((each for each in records if each.dagster_run.run_id == context.run.run_id), None)
    found = []
    for record in records:
        run = record.dagster_run
        partition = run.tags.get(PARTITION_TAG, context.partition_key)
        if partition >= context.partition_key or not _is_of(run, name):
            continue
        if is_gone(run.tags.get(PROCESS_TAG, "")):
            context.log.warning(f"the process of the run {run.run_id[:8]} of {partition} is gone; marked as failed")
            context.instance.report_run_failed(run, "Its process has ended without a word: killed, or out of memory.")
            continue
        behind = run.status in QUEUED and own is not None and record.create_timestamp > own.create_timestamp
        found.append(_Earlier(partition, run.run_id, behind))
    return found


def _is_of(run: dg.DagsterRun, name: str) -> bool:
    """Whether a run is of the segmentation: of its job, or of its assets launched by hand or by a backfill."""
    if run.asset_selection:
        return any(key.path[0] == name for key in run.asset_selection)
    return run.job_name == name
