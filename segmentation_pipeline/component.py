"""The component: one defs.yaml becomes the assets, checks, job and schedule of one segmentation."""

import importlib
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import dagster as dg
from dagster.components.core.component_tree import ComponentTree, ComponentTreeException
from pydantic import BaseModel, ValidationError

from segmentation_pipeline.assets.aligned_segments import aligned_segments
from segmentation_pipeline.assets.decisions import decision_jobs
from segmentation_pipeline.assets.encoded_features import encoded_features
from segmentation_pipeline.assets.final_fit import final_fit
from segmentation_pipeline.assets.forms import chain_text, scoring_text
from segmentation_pipeline.assets.k_sweep import k_sweep
from segmentation_pipeline.assets.partitions import cron_of, delay_of, latest_partition
from segmentation_pipeline.assets.pipeline import REPORT, SCORING, STAGES, Pipeline
from segmentation_pipeline.assets.published_segments import published_segments
from segmentation_pipeline.assets.raw_extract import raw_extract
from segmentation_pipeline.assets.scored_customers import scored_customers
from segmentation_pipeline.assets.segment_report import segment_report
from segmentation_pipeline.assets.validated_rows import validated_rows
from segmentation_pipeline.defs_files import require_readable
from segmentation_pipeline.errors import ConfigurationError, SpecError
from segmentation_pipeline.scaffolding import SegmentationScaffolder
from segmentation_pipeline.spec import SegmentationSpec

DEFS_VARIABLE = "SEGMENTATION_DEFS"
BUILDERS = (
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
# when today's customers are scored, once somebody switches the schedule on
SCORE_CRON = "0 7 * * *"


@dg.scaffold_with(SegmentationScaffolder)
class Segmentation(dg.Component):
    """Customer segments that keep their meaning, from a query to a segment id per customer."""

    def __init__(self, pipeline: Pipeline) -> None:
        """Take the checked spec and the folder it lies in."""
        self.pipeline = pipeline

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """The schema of `attributes` in a defs.yaml: the spec itself, so its errors carry file, line and field."""
        return SegmentationSpec

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> Self:
        """Build the component from checked attributes."""
        if not isinstance(attributes, SegmentationSpec):
            message = f"{context.path}: a Segmentation needs `attributes`; `segmentation init` writes them"
            raise SpecError(message)
        return cls(Pipeline(attributes, context.path))

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:  # noqa: ARG002  Dagster's signature
        """Build what `definitions_of` says."""
        return definitions_of(self.pipeline)


def definitions_of(pipeline: Pipeline) -> dg.Definitions:
    """One segmentation: assets and checks, the jobs of the chain, of scoring and of decisions, and the schedules."""
    spec = pipeline.spec
    job = dg.define_asset_job(
        spec.name,
        selection=dg.AssetSelection.assets(*[pipeline.key(stage) for stage in (*STAGES, REPORT)]),
        # six processes less: heavy imports once, and the chain is sequential anyway
        executor_def=dg.in_process_executor,
        description=chain_text(spec.name),
    )
    score = dg.define_asset_job(
        score_job(spec.name),
        selection=dg.AssetSelection.assets(pipeline.key(SCORING)),
        executor_def=dg.in_process_executor,
        description=scoring_text(spec.name),
    )
    return dg.Definitions(
        assets=[build(pipeline) for build in BUILDERS],
        jobs=[job, score, *decision_jobs(pipeline)],
        schedules=[_schedule(spec, job), _score_schedule(spec, score)],
    )


def score_job(name: str) -> str:
    """The name of the job that scores a segmentation's customers."""
    return f"{name}_score"


def _schedule(spec: SegmentationSpec, job: Any) -> dg.ScheduleDefinition:  # the job type Dagster keeps to itself
    @dg.schedule(
        name=f"{spec.name}_schedule",
        job=job,
        cron_schedule=cron_of(spec.partitions, spec.schedule),
        execution_timezone=spec.partitions.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING if spec.schedule.enabled else dg.DefaultScheduleStatus.STOPPED,
        description=f"Runs each finished period {spec.schedule.hours_after_end} hours after its end.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        latest = latest_partition(spec.partitions, context.scheduled_execution_time - delay_of(spec.schedule))
        if latest is None:
            return dg.SkipReason(f"no period of {spec.name} has ended yet")
        return dg.RunRequest(run_key=latest, partition_key=latest)

    return schedule


def _score_schedule(spec: SegmentationSpec, job: Any) -> dg.ScheduleDefinition:
    cron = spec.schedule.score
    return dg.ScheduleDefinition(
        name=f"{score_job(spec.name)}_schedule",
        job=job,
        cron_schedule=cron or SCORE_CRON,
        execution_timezone=spec.partitions.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING if cron else dg.DefaultScheduleStatus.STOPPED,
        description="Scores new and changed customers between two fits.",
    )


def defs_folder() -> Path:
    """The folder of the segmentations: the one that `SEGMENTATION_DEFS` names, or this package's own `defs/`.

    Raises:
        ConfigurationError: SEGMENTATION_DEFS names no folder.
    """
    folder = os.environ.get(DEFS_VARIABLE)
    if not folder:
        return Path(__file__).parent / "defs"
    path = Path(folder).expanduser().resolve()
    if not path.is_dir():
        message = f"{DEFS_VARIABLE} names {folder}, which is not a folder; make it, or name another"
        raise ConfigurationError(message)
    return path


def component_tree() -> ComponentTree | None:
    """The segmentations of `defs_folder`; None where nothing is in it yet, which Dagster would not take.

    Raises:
        ConfigurationError: SEGMENTATION_DEFS names no folder.
        SpecError: a defs.yaml is none.
    """
    path = defs_folder()
    require_readable(path)
    if not any(path.rglob("*.yaml")) and not any(path.rglob("*.py")):
        return None
    if not os.environ.get(DEFS_VARIABLE):
        module = importlib.import_module("segmentation_pipeline.defs")
        return ComponentTree.from_module(module, path.parent.parent)
    module = ModuleType("segmentation_defs")
    module.__path__ = [str(path)]
    module.__file__ = str(path / "__init__.py")
    sys.modules[module.__name__] = module
    return ComponentTree.from_module(module, path.parent)


def load_definitions() -> dg.Definitions:
    """Everything the segmentations define; one process per run, whether it is launched by job or by asset.

    Raises:
        SpecError: a defs.yaml is wrong; the message names file, line, field and what to write.
    """
    with warnings.catch_warnings(), _told():
        warnings.simplefilter("ignore", dg.BetaWarning)  # Dagster warns of its own use of its own beta classes
        tree = component_tree()
        loaded = tree.build_defs() if tree is not None else dg.Definitions()
    return dg.Definitions.merge(loaded, dg.Definitions(executor=dg.in_process_executor))


def pipelines() -> dict[str, Pipeline]:
    """Every segmentation by name.

    Raises:
        SpecError: a defs.yaml is wrong; the message names file, line, field and what to write.
    """
    with _told():
        tree = component_tree()
        found = tree.get_all_components(of_type=Segmentation) if tree is not None else []
    return {component.pipeline.spec.name: component.pipeline for component in found}


@contextmanager
def _told() -> Iterator[None]:
    """Say what is wrong with a defs.yaml in its own words, without Dagster's way to it."""
    try:
        yield
    except ComponentTreeException as error:
        cause = error.__cause__ or error
        raise SpecError(explained(cause) if isinstance(cause, ValidationError) else str(cause)) from None


def explained(error: ValidationError) -> str:
    """One line for each thing that is wrong: file and line, field, what to write."""
    lines = []
    for each in error.errors(include_url=False):
        # Dagster puts "field at file:line" in front of the place
        field, _, place = ".".join(str(part) for part in each["loc"]).partition(" at ")
        path = field.removeprefix("attributes").removeprefix(".")
        lines.append(": ".join(part for part in (place, path, each["msg"].removeprefix("Value error, ")) if part))
    return "\n".join(lines)
