"""Run partitions from a program: one after the other in this process, recorded where the UI shows them."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields

import dagster as dg

from segmentation_pipeline.errors import ConfigurationError
from segmentation_pipeline.model import Json, Snapshot
from segmentation_pipeline.model.receipts import PublicationReceipt, ScoringReceipt
from segmentation_pipeline.orchestration.runs.liveness import PROCESS_TAG, make_process_tag
from segmentation_pipeline.orchestration.segmentation import SegmentationContext
from segmentation_pipeline.orchestration.stages import PUBLISHED_SEGMENTS, SCORED_CUSTOMERS
from segmentation_pipeline.runtime import settings
from segmentation_pipeline.runtime.home import make_dagster_home, make_home
from segmentation_pipeline.storage.artifacts.datasets import PublishedSegments
from segmentation_pipeline.storage.registry import snapshots
from segmentation_pipeline.storage.warehouse.postgres.connection import transaction

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class RunOutcome:
    """How a partition's run ended: the receipt of the publication, the snapshot that waits, or the problems."""

    partition: str
    run_id: str
    success: bool
    problems: tuple[str, ...]
    receipt: PublicationReceipt | None
    waiting: Snapshot | None = None

    @property
    def changed(self) -> int:
        """The number of rows of the target that changed."""
        return (self.receipt.changed or 0) + (self.receipt.cleared or 0) if self.receipt is not None else 0


@dataclass(frozen=True)
class ScoredRows:
    """The rows that a scoring read and rejected, and values that were not as at the fit, counted by column.

    `snapshot_partition` is the period of the snapshot that they were scored by. `reasons` counts the rejected rows.
    """

    snapshot_partition: str
    extracted: int
    rejected: int
    reasons: Mapping[str, int]
    unknown_categories: Mapping[str, int]
    missing_values: Mapping[str, int]


@dataclass(frozen=True)
class ScoringOutcome:
    """How a scoring ended: its receipt and rows (None where it failed), what went wrong, the warnings of drift."""

    run_id: str
    success: bool
    problems: tuple[str, ...]
    receipt: ScoringReceipt | None
    rows: ScoredRows | None
    warnings: tuple[str, ...]


@contextmanager
def open_dagster_instance() -> Iterator[dg.DagsterInstance]:
    """Open the Dagster instance of DAGSTER_HOME or, if that is not set, of the home folder.

    Raises:
        ConfigurationError: DAGSTER_HOME names something that is not a folder.
    """
    if settings.read_dagster_home() is None:
        settings.set_dagster_home(str(make_dagster_home(make_home())))
    try:
        instance = dg.DagsterInstance.get()
    except dg.DagsterInvariantViolationError as error:
        words, variable = " ".join(str(error).split()), settings.DAGSTER_HOME_VARIABLE
        message = f"{variable} cannot be used: {words}. Make that folder, or unset it."
        raise ConfigurationError(message) from error
    with instance:
        yield instance


def run_partition(
    segmentation: SegmentationContext,
    job: dg.JobDefinition,
    partition: str,
    *,
    instance: dg.DagsterInstance,
    on_stage: Callable[[str], None] = lambda _: None,
    tags: Mapping[str, str] | None = None,
) -> RunOutcome:
    """Run one partition through the job's assets; `on_stage` is called with each step that has succeeded."""
    result = job.execute_in_process(
        partition_key=partition,
        instance=instance,
        raise_on_error=False,
        run_config=QUIET,
        tags={**(tags or {}), PROCESS_TAG: make_process_tag()},
    )
    for event in result.all_events:
        if event.is_step_success and event.step_key is not None:
            on_stage(event.step_key)
    receipt = waiting = None
    if result.success and segmentation.key(PUBLISHED_SEGMENTS) in {
        event.asset_key for event in result.get_asset_materialization_events()
    }:
        receipt = PublishedSegments(segmentation.store.open(PublishedSegments.STAGE, partition, result.run_id)).receipt
    elif result.success:
        with transaction(segmentation.spec.publish.url_env) as connection:
            waiting = snapshots.find_by_run(connection, segmentation.spec.name, result.run_id)
    return RunOutcome(partition, result.run_id, result.success, tuple(_find_problems(result)), receipt, waiting)


def run_scoring(
    segmentation: SegmentationContext, job: dg.JobDefinition, *, instance: dg.DagsterInstance
) -> ScoringOutcome:
    """Assign today's customers to the published segments."""
    result = job.execute_in_process(instance=instance, raise_on_error=False, run_config=QUIET)
    receipt = rows = None
    for event in result.all_events:
        if event.is_step_materialization and event.asset_key == segmentation.key(SCORED_CUSTOMERS):
            metadata = event.step_materialization_data.materialization.metadata
            noted: Json = {name: value.value for name, value in metadata.items()}
            receipt = ScoringReceipt.from_json(noted)
            rows = ScoredRows(**{field.name: noted[field.name] for field in fields(ScoredRows)})
    warnings = tuple(check.description or "" for check in result.get_asset_check_evaluations() if not check.passed)
    return ScoringOutcome(result.run_id, result.success, tuple(_find_problems(result)), receipt, rows, warnings)


def _find_problems(result: dg.ExecuteInProcessResult) -> Iterator[str]:
    """Yield the failed blocking gates, or else the message of the failed step, without a traceback."""
    gates = [
        f"gate {evaluation.check_name}: {evaluation.description}"
        for evaluation in result.get_asset_check_evaluations()
        if not evaluation.passed and evaluation.severity == dg.AssetCheckSeverity.ERROR
    ]
    if gates:
        yield from gates
        return
    for event in result.all_events:
        if not event.is_step_failure:
            continue
        data = event.step_failure_data
        if data.user_failure_data is not None and data.user_failure_data.description:
            yield data.user_failure_data.description
        elif data.error is not None:
            cause = data.error.cause or data.error
            yield f"{event.step_key}: {cause.message.strip()} (the UI shows where: run {result.run_id[:8]})"
