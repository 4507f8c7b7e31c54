"""A run launcher that notices when a run's process went down with its code location.

Dagster's own one hears of a killed run from the code location that started it. When that one is killed too (its
container ran out of memory, the machine was restarted), nobody is left to tell, and the run stays STARTED for ever with
the whole queue behind it.
"""

from dagster import DagsterRun, DefaultRunLauncher, deserialize_value
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._grpc.client import DagsterGrpcClient
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult

from segmentation_pipeline.orchestration.runs.liveness import PROCESS_TAG, is_gone

GONE = (
    "its process has ended without a word, together with the code location or container that it ran in: killed, "
    "restarted, or out of memory (then `docker inspect` says OOMKilled: raise the memory limit, or set "
    "fit.algorithm: minibatch_kmeans)"
)
NOT_FOUND = CheckRunHealthResult(WorkerStatus.NOT_FOUND, GONE)
RUNNING = CheckRunHealthResult(WorkerStatus.RUNNING)
SECONDS = 10


class WatchedRunLauncher(DefaultRunLauncher):
    """Starts runs in their code location, and tells run monitoring whether it still knows them."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Run monitoring may ask."""
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """Whether the process of a run is there; it counts as running as long as nobody can say that it is not."""
        client: DagsterGrpcClient | None = self._get_grpc_client_for_termination(run.run_id)  # type: ignore[no-untyped-call]
        if client is None:  # of the command line, or ended by now
            return NOT_FOUND if is_gone(run.tags.get(PROCESS_TAG, "")) else RUNNING
        try:
            answer = client.can_cancel_execution(CanCancelExecutionRequest(run_id=run.run_id), timeout=SECONDS)
        except DagsterUserCodeUnreachableError:  # busy or starting again; asked anew in a moment
            return RUNNING
        known = deserialize_value(answer, CanCancelExecutionResult).can_cancel
        return RUNNING if known else NOT_FOUND
