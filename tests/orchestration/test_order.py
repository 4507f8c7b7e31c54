"""Runs wait for unfinished runs of earlier partitions, and the schedule picks the period that has ended."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test
from support.three_groups import MONTHS

from segmentation_pipeline.orchestration.discovery import load_definitions
from segmentation_pipeline.orchestration.runs import order
from segmentation_pipeline.orchestration.runs.liveness import PROCESS_TAG, is_gone, make_process_tag
from segmentation_pipeline.orchestration.runs.order import PARTITION_TAG
from segmentation_pipeline.runtime.settings import PATIENCE_VARIABLE

if TYPE_CHECKING:
    from support.chain import Chain

SELECTIONS = {
    "of the job": {"job_name": "shop"},
    "of an asset by hand": {
        "job_name": "__ASSET_JOB",
        "asset_selection": frozenset({dg.AssetKey(["shop", "k_sweep"])}),
    },
}
STRANGERS = {
    "later": {"job_name": "shop", "tags": {PARTITION_TAG: MONTHS[2]}},
    "of another segmentation": {"job_name": "vip", "tags": {PARTITION_TAG: MONTHS[0]}},
    "ended": {"job_name": "shop", "tags": {PARTITION_TAG: MONTHS[0]}, "status": dg.DagsterRunStatus.FAILURE},
}


@pytest.mark.parametrize("run", SELECTIONS.values(), ids=SELECTIONS)
def test_an_unfinished_run_of_an_earlier_month_is_waited_for(
    chain: Chain, run: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the longest wait the run fails and names the run that it waited for; nothing was aligned."""
    monkeypatch.setenv(PATIENCE_VARIABLE, "1")
    earlier = create_run_for_test(
        chain.instance, **run, status=dg.DagsterRunStatus.STARTED, tags={PARTITION_TAG: MONTHS[0]}
    )
    outcome = chain.run(MONTHS[1])
    assert not outcome.success
    assert earlier.run_id[:8] in outcome.problems[0]
    assert MONTHS[0] in outcome.problems[0]
    assert chain.rows("SELECT count(*) FROM segmentation.snapshot") == [(0,)]
    chain.instance.report_run_canceled(earlier)
    assert chain.run(MONTHS[1]).success


def test_other_runs_are_not_waited_for(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """Later months, other segmentations and ended runs do not hold a month up."""
    monkeypatch.setenv(PATIENCE_VARIABLE, "1")
    for run in STRANGERS.values():
        create_run_for_test(chain.instance, **{"status": dg.DagsterRunStatus.STARTED, **run})
    assert chain.run(MONTHS[1]).success


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (datetime(2024, 2, 1, 6, tzinfo=UTC), "2024-01-01"),
        (datetime(2024, 3, 1, 6, tzinfo=UTC), "2024-02-01"),
        (datetime(2024, 7, 1, 6, tzinfo=UTC), "2024-06-01"),
    ],
)
def test_the_schedule_runs_the_period_that_has_just_ended(chain: Chain, now: datetime, expected: str) -> None:
    """Six hours after a month's end, that month is requested."""
    repository = load_definitions().get_repository_def()
    schedule = repository.get_schedule_def("shop_schedule")
    assert schedule.cron_schedule == "0 6 1 * *"
    with dg.build_schedule_context(
        instance=chain.instance, repository_def=repository, scheduled_execution_time=now
    ) as context:
        requests = schedule.evaluate_tick(context).run_requests
    assert [request.partition_key for request in requests or []] == [expected]


def test_the_schedule_skips_before_the_first_period_has_ended(chain: Chain) -> None:
    """Nothing is requested while the first month still runs."""
    repository = load_definitions().get_repository_def()
    schedule = repository.get_schedule_def("shop_schedule")
    now = datetime(2024, 1, 20, tzinfo=UTC)
    with dg.build_schedule_context(
        instance=chain.instance, repository_def=repository, scheduled_execution_time=now
    ) as context:
        tick = schedule.evaluate_tick(context)
    assert not tick.run_requests
    assert "no period of shop has ended yet" in (tick.skip_message or "")


def test_a_run_whose_process_was_killed_is_not_waited_for(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of a killed command, which would be STARTED for ever, is marked as failed, and the month goes on."""
    monkeypatch.setenv(PATIENCE_VARIABLE, "30")
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    tag = f"{socket.gethostname()}:{gone.pid}:1"
    ghost = create_run_for_test(
        chain.instance,
        job_name="shop",
        status=dg.DagsterRunStatus.STARTED,
        tags={PARTITION_TAG: MONTHS[0], PROCESS_TAG: tag},
    )

    assert chain.run(MONTHS[1]).success
    found = chain.instance.get_run_by_id(ghost.run_id)
    assert found is not None
    assert found.status == dg.DagsterRunStatus.FAILURE


def test_a_run_whose_process_lives_is_waited_for(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of this process, which is alive, is waited for."""
    monkeypatch.setenv(PATIENCE_VARIABLE, "1")
    create_run_for_test(
        chain.instance,
        job_name="shop",
        status=dg.DagsterRunStatus.STARTED,
        tags={PARTITION_TAG: MONTHS[0], PROCESS_TAG: make_process_tag()},
    )

    assert not chain.run(MONTHS[1]).success


@pytest.mark.parametrize(
    ("tag", "gone"),
    [
        (make_process_tag(), False),
        ("another-host:1:1", False),
        ("", False),
        ("nonsense", False),
        (f"{socket.gethostname()}:{os.getpid()}:1", True),  # the pid was given out again
        (f"{socket.gethostname()}:999999999:1", True),
    ],
    ids=["this one", "another host's", "none", "nonsense", "a pid given out again", "a pid nobody has"],
)
def test_only_a_process_of_this_host_can_be_gone(tag: str, gone: bool) -> None:
    """A run on another host or without a process id may be alive; a pid that began at another time is another process."""
    assert is_gone(tag) is gone


def test_a_killed_process_that_nobody_collected_is_gone() -> None:
    """A zombie still has its pid, but does not work any more."""
    dead = subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.DEVNULL)
    tag = f"{socket.gethostname()}:{dead.pid}:0"
    os.waitid(os.P_PID, dead.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and stays uncollected

    assert is_gone(tag)
    dead.wait()


def test_a_run_that_queues_behind_this_one_is_not_waited_for(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one run at a time, an earlier month launched later cannot start before this one ends: there is no deadlock."""
    monkeypatch.setattr(order, "QUEUE_PATIENCE_SECONDS", 1.0)
    real, queued = order._find_earlier_runs, []

    def launched_meanwhile(context: dg.AssetExecutionContext, name: str) -> list[order._Earlier]:
        if not queued:
            queued.append(
                create_run_for_test(
                    chain.instance,
                    job_name="shop",
                    status=dg.DagsterRunStatus.NOT_STARTED,
                    tags={PARTITION_TAG: MONTHS[0]},
                )
            )
        return real(context, name)

    monkeypatch.setattr(order, "_find_earlier_runs", launched_meanwhile)

    assert chain.run(MONTHS[1]).success
    assert queued
