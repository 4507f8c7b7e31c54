"""A run launcher that notices when a run's process ended together with its code location.

Dagster's own launcher learns of a killed run from the code location that started it. When the code location is killed
too (its container ran out of memory, the machine was restarted), nothing reports the run: it stays STARTED for ever,
and the whole queue waits behind it.
"""

from typing import Final

from dagster import DagsterRun, DefaultRunLauncher, deserialize_value
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._grpc.client import DagsterGrpcClient
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult

from segmentation_pipeline.orchestration.runs.liveness import PROCESS_TAG, is_gone

GONE: Final = (
    "its process has ended without a message, together with the code location or container that it ran in: killed, "
    "restarted, or out of memory (then `docker inspect` says OOMKilled: raise the memory limit, or set "
    "fit.algorithm: minibatch_kmeans)"
)
NOT_FOUND: Final = CheckRunHealthResult(WorkerStatus.NOT_FOUND, GONE)
RUNNING: Final = CheckRunHealthResult(WorkerStatus.RUNNING)
SECONDS: Final = 10


class WatchedRunLauncher(DefaultRunLauncher):
    """A launcher that starts runs in their code location, and lets run monitoring ask whether they are still there."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Whether run monitoring may ask: yes."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Return whether the process of a run is there; it counts as running until it is known that it is not."""
        client: DagsterGrpcClient | None = self._get_grpc_client_for_termination(run.run_id)  # type: ignore[no-untyped-call]
        if client is None:  # the run is of the command line, or has ended by now
            return NOT_FOUND if is_gone(run.tags.get(PROCESS_TAG, "")) else RUNNING
        try:
            answer = client.can_cancel_execution(CanCancelExecutionRequest(run_id=run.run_id), timeout=SECONDS)
        except DagsterUserCodeUnreachableError:  # busy or starting again; monitoring asks again in a moment
            return RUNNING
        known = deserialize_value(answer, CanCancelExecutionResult).can_cancel
        return RUNNING if known else NOT_FOUND
