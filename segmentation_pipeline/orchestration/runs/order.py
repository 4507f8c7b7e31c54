"""Periods in order, with any number of concurrent runs: a run waits for unfinished runs of earlier partitions.

The order cannot be left to the run queue, because a user may allow many concurrent runs. A dependency of each partition
on the one before it would split a period into several runs, and there a blocking check does not stop the later stages.
"""

import time
from dataclasses import dataclass
from typing import Final

import dagster as dg

from segmentation_pipeline.errors import EarlierRunUnfinishedError
from segmentation_pipeline.orchestration.runs.liveness import PROCESS_TAG, is_gone
from segmentation_pipeline.runtime.settings import read_patience

QUEUED: Final = {dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED}
UNFINISHED: Final = [
    *QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
PARTITION_TAG: Final = "dagster/partition"
PATIENCE_SECONDS: Final = 3600.0
# a run that came after this one and is still in the queue may get no place there before this one ends
QUEUE_PATIENCE_SECONDS: Final = 60.0
POLL_SECONDS: Final = 1.0


@dataclass(frozen=True, order=True)
class _Earlier:
    partition: str
    run_id: str
    queued_behind: bool


def wait_for_earlier_runs(context: dg.AssetExecutionContext, name: str) -> None:
    """Wait until no unfinished run of the segmentation `name` has an earlier partition.

    Partitions are named by ISO dates, so the order of their names is the order of time. A run whose process was killed
    is marked as failed. A run that was launched after this one and has not left the queue within a minute is not waited
    for, because it may itself wait for this one to leave the queue. Its period is then aligned late (rule 9),
    and the check `built_on_latest_parent` reports it.

    Raises:
        EarlierRunUnfinishedError: such a run is still there after SEGMENTATION_PATIENCE_SECONDS (an hour).
    """
    patience = read_patience(PATIENCE_SECONDS)
    began = time.monotonic()
    reported: set[str] = set()
    while earlier := _find_earlier_runs(context, name):
        first, waited = min(earlier), time.monotonic() - began
        what = f"the run {first.run_id[:8]} of the earlier period {first.partition}"
        if all(run.queued_behind for run in earlier) and waited >= min(QUEUE_PATIENCE_SECONDS, patience):
            context.log.warning(
                f"{what} is still in the queue, behind this one, and is not waited for. {first.partition} will be "
                "aligned late; the check built_on_latest_parent then names what to run again."
            )
            return
        if waited >= patience:
            message = (
                f"{context.partition_key} waited {patience:,.0f} s for {what}, which has not ended. End or repair that "
                f"run (in the UI: Runs, Terminate), then run {context.partition_key} again."
            )
            raise EarlierRunUnfinishedError(message)
        if first.run_id not in reported:
            context.log.info(f"waiting for {what}")
            reported.add(first.run_id)
        time.sleep(POLL_SECONDS)


def find_unfinished_runs(instance: dg.DagsterInstance, name: str, *, jobs: set[str]) -> list[dg.DagsterRun]:
    """Return the unfinished runs of a segmentation's jobs or assets, without those whose process is gone."""
    runs = [record.dagster_run for record in instance.get_run_records(filters=dg.RunsFilter(statuses=UNFINISHED))]
    return [
        run
        for run in runs
        if (run.job_name in jobs or _is_of(run, name)) and not is_gone(run.tags.get(PROCESS_TAG, ""))
    ]


def _find_earlier_runs(context: dg.AssetExecutionContext, name: str) -> list[_Earlier]:
    records = context.instance.get_run_records(filters=dg.RunsFilter(statuses=UNFINISHED))
    own = next((record for record in records if record.dagster_run.run_id == context.run.run_id), None)
    found = []
    for record in records:
        run = record.dagster_run
        partition = run.tags.get(PARTITION_TAG, context.partition_key)
        if partition >= context.partition_key or not _is_of(run, name):
            continue
        if is_gone(run.tags.get(PROCESS_TAG, "")):
            context.log.warning(f"the process of the run {run.run_id[:8]} of {partition} is gone; marked as failed")
            context.instance.report_run_failed(
                run, "Its process has ended without a message: killed, or out of memory."
            )
            continue
        behind = run.status in QUEUED and own is not None and record.create_timestamp > own.create_timestamp
        found.append(_Earlier(partition, run.run_id, behind))
    return found


def _is_of(run: dg.DagsterRun, name: str) -> bool:
    """Return whether a run is the segmentation's: of its job, or of its assets, by hand or by a backfill."""
    if run.asset_selection:
        return any(key.path[0] == name for key in run.asset_selection)
    return run.job_name == name
