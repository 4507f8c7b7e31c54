"""Runs of the segmentation `shop` in their own processes, as several command lines would start them."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import dagster as dg
import psycopg
from threadpoolctl import threadpool_limits

from segmentation_pipeline.orchestration.assets.aligned_segments import aligned_segments
from segmentation_pipeline.orchestration.assets.published_segments import published_segments
from segmentation_pipeline.orchestration.discovery import segmentations
from segmentation_pipeline.orchestration.runs.execute import RunOutcome, open_dagster_instance, run_partition
from segmentation_pipeline.storage.warehouse.postgres import connection as connections

if TYPE_CHECKING:
    from support.chain import Chain

BACKENDS = """SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
              AND backend_type = 'client backend'"""


def make_two_stage_job() -> dg.JobDefinition:
    """Make the job that aligns and publishes what is fitted, under the segmentation's name."""
    return _job("aligned_segments", "published_segments")


def make_alignment_job() -> dg.JobDefinition:
    """Make the job that aligns what is fitted, under the segmentation's name."""
    return _job("aligned_segments")


def make_publication_job() -> dg.JobDefinition:
    """Make the job that publishes what is aligned, under the segmentation's name."""
    return _job("published_segments")


def run(job: dg.JobDefinition, month: str) -> RunOutcome:
    """Run a month in this process, on the Dagster instance that all processes share."""
    with open_dagster_instance() as instance:
        return run_partition(segmentations()["shop"], job, month, instance=instance)


def start(job: dg.JobDefinition, month: str) -> int:
    """Run a month in a new process that inherits no open connection; return its pid, which the caller must wait for."""
    forget_connections()
    pid = os.fork()
    if pid == 0:
        succeeded = False
        os.setpgid(0, 0)  # so that what Dagster starts to follow its output can be ended with it
        try:
            with threadpool_limits(1):  # OpenMP's threads do not survive a fork: a fit on several would wait for ever
                outcome = run(job, month)
            succeeded = outcome.success
            print(*outcome.problems, flush=True)
        finally:
            os._exit(0 if succeeded else 1)
    return pid


def wait_for_success(pid: int) -> bool:
    """Wait for the end of a process; return whether its run succeeded."""
    return os.waitpid(pid, 0)[1] == 0


def forget_connections() -> None:
    """Close the connections that this process has open."""
    connections.get_engine().dispose()
    connections._create_engine.cache_clear()


def wait_for_backends(chain: Chain, *, count: int, waiting: bool = False) -> None:
    """Wait until the server has `count` other connections; with `waiting`, only those that wait for a lock count."""
    query = BACKENDS + (" AND wait_event_type = 'Lock'" if waiting else "")
    with psycopg.connect(chain.url, autocommit=True) as connection:
        for _ in range(1200):
            if connection.execute(query).fetchone() == (count,):
                return
            time.sleep(0.05)
    message = f"after 60 s there are still not {count} connections"
    raise AssertionError(message)


def _job(*stages: str) -> dg.JobDefinition:
    segmentation = segmentations()["shop"]
    job = dg.define_asset_job("shop", selection=[segmentation.key(stage) for stage in stages])
    made = [aligned_segments(segmentation), published_segments(segmentation)]
    return dg.Definitions(assets=made, jobs=[job]).resolve_job_def("shop")
