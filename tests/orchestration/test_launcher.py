"""The launcher of the containers: what it reports about runs whose process does not exist any more."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import dagster as dg
import pytest
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher.base import WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._grpc.client import DagsterGrpcClient
from dagster._grpc.types import CanCancelExecutionResult
from dagster._serdes import serialize_value

from segmentation_pipeline.orchestration.runs.launcher import WatchedRunLauncher
from segmentation_pipeline.orchestration.runs.liveness import PROCESS_TAG, make_process_tag

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """An instance with the launcher."""
    launcher = {"module": "segmentation_pipeline.orchestration.runs.launcher", "class": "WatchedRunLauncher"}
    with dg.instance_for_test(overrides={"run_launcher": launcher}) as made:
        yield made


def _check_health(instance: dg.DagsterInstance, tags: dict[str, str]) -> tuple[WorkerStatus, str]:
    run = dg.DagsterRun(job_name="shop", status=dg.DagsterRunStatus.STARTED, tags=tags)
    instance.add_run(run)
    assert isinstance(instance.run_launcher, WatchedRunLauncher)
    assert instance.run_launcher.supports_check_run_worker_health
    health = instance.run_launcher.check_run_worker_health(run)
    return health.status, health.msg or ""


LAUNCHED = {GRPC_INFO_TAG: json.dumps({"host": "code", "port": 4000})}


@pytest.mark.parametrize(("known", "status"), [(True, WorkerStatus.RUNNING), (False, WorkerStatus.NOT_FOUND)])
def test_the_code_location_is_asked(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, known: bool, status: WorkerStatus
) -> None:
    """A run is alive while its code location knows it; after a restart it is not, and the report names memory as a cause."""
    answer = serialize_value(CanCancelExecutionResult(can_cancel=known))
    monkeypatch.setattr(DagsterGrpcClient, "can_cancel_execution", lambda *_, **__: answer)
    found, said = _check_health(instance, LAUNCHED)
    assert found is status
    assert known or "out of memory" in said


def test_a_code_location_that_does_not_answer_ends_no_run(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A code location that does not answer may be busy or starting, so its runs are checked again later."""

    def raise_unreachable(*_: object, **__: object) -> str:
        message = "busy"
        raise DagsterUserCodeUnreachableError(message)

    monkeypatch.setattr(DagsterGrpcClient, "can_cancel_execution", raise_unreachable)
    assert _check_health(instance, LAUNCHED)[0] is WorkerStatus.RUNNING


def test_a_run_of_the_command_line_is_known_by_its_process(instance: dg.DagsterInstance) -> None:
    """A run is alive while its process is; a process of another machine cannot be checked and counts as alive."""
    own = make_process_tag()
    host = own.rsplit(":", 2)[0]
    assert _check_health(instance, {PROCESS_TAG: own})[0] is WorkerStatus.RUNNING
    assert _check_health(instance, {PROCESS_TAG: f"{host}:{2**22 + 1}:0"})[0] is WorkerStatus.NOT_FOUND
    assert _check_health(instance, {PROCESS_TAG: "elsewhere:1:0"})[0] is WorkerStatus.RUNNING
