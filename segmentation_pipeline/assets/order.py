"""Months in order, whatever the concurrency: a run waits for unfinished runs of earlier partitions.

The order cannot be left to the run queue (a user may allow many concurrent runs), and a dependency of each partition on
the one before it would tear a month into several runs, in which a blocking check does not hold.
"""

import os
import time

import dagster as dg

from segmentation_pipeline.errors import EarlierRunUnfinishedError

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
PARTITION_TAG = "dagster/partition"
PATIENCE_VARIABLE = "SEGMENTATION_PATIENCE_SECONDS"
PATIENCE_SECONDS = 3600.0
POLL_SECONDS = 1.0


def wait_for_earlier_runs(context: dg.AssetExecutionContext, name: str) -> None:
    """Wait until no unfinished run of the segmentation `name` has an earlier partition.

    Partitions are named by ISO dates, so the order of their names is the order of time.

    Raises:
        EarlierRunUnfinishedError: one is still there after SEGMENTATION_PATIENCE_SECONDS (an hour).
    """
    patience = float(os.environ.get(PATIENCE_VARIABLE, PATIENCE_SECONDS))
    deadline = time.monotonic() + patience
    told = False
    while earlier := _earlier_runs(context, name):
        partition, run_id = min(earlier)
        if time.monotonic() >= deadline:
            message = (
                f"{context.partition_key} waited {patience:,.0f} s for the run {run_id[:8]} of the earlier partition "
                f"{partition}, which has not ended. End or repair that run, then run {context.partition_key} again."
            )
            raise EarlierRunUnfinishedError(message)
        if not told:
            context.log.info(f"waiting for the run {run_id[:8]} of the earlier partition {partition}")
            told = True
        time.sleep(POLL_SECONDS)


def _earlier_runs(context: dg.AssetExecutionContext, name: str) -> list[tuple[str, str]]:
    runs = context.instance.get_runs(filters=dg.RunsFilter(statuses=UNFINISHED))
    return [
        (run.tags[PARTITION_TAG], run.run_id)
        for run in runs
        if run.run_id != context.run.run_id
        and run.tags.get(PARTITION_TAG, context.partition_key) < context.partition_key
        and _is_of(run, name)
    ]


def _is_of(run: dg.DagsterRun, name: str) -> bool:
    """Whether a run is of the segmentation: of its job, or of its assets launched by hand or by a backfill."""
    if run.asset_selection:
        return any(key.path[0] == name for key in run.asset_selection)
    return run.job_name == name
