"""What every asset of one segmentation shares: names, versions, partitions and artifacts."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import dagster as dg

from segmentation_pipeline.errors import ArtifactError
from segmentation_pipeline.model import Period, SnapshotHeader
from segmentation_pipeline.orchestration.metadata.meanings import describe_asset
from segmentation_pipeline.orchestration.metadata.values import round_number
from segmentation_pipeline.orchestration.partitions import define_partitions, find_period
from segmentation_pipeline.orchestration.retries import Step, with_user_errors
from segmentation_pipeline.orchestration.stages import CHAIN, Stage
from segmentation_pipeline.runtime.home import make_home
from segmentation_pipeline.spec import SegmentationSpec
from segmentation_pipeline.storage.artifacts.artifact import Artifact
from segmentation_pipeline.storage.artifacts.datasets import Dataset
from segmentation_pipeline.storage.artifacts.store import ArtifactStore
from segmentation_pipeline.storage.artifacts.versions import json_version
from segmentation_pipeline.storage.warehouse.postgres.query import read_query

ARTIFACT = "artifact"
PACKAGE = "segmentation-pipeline"
D = TypeVar("D", bound=Dataset)


@dataclass(frozen=True)
class SegmentationContext:
    """One segmentation: its spec and the folder of its defs.yaml."""

    spec: SegmentationSpec
    folder: Path

    def key(self, stage: Stage | str) -> dg.AssetKey:
        """Return the asset key of a stage, or of the stage of that name."""
        return dg.AssetKey([self.spec.name, stage if isinstance(stage, str) else stage.name])

    @property
    def store(self) -> ArtifactStore:
        """Where the artifacts lie."""
        return ArtifactStore(make_home() / "artifacts" / self.spec.name)

    @property
    def query(self) -> str:
        """The source's SQL."""
        return read_query(self.spec.source, self.folder)

    def period(self, partition: str) -> Period:
        """Return the dates of a partition."""
        return find_period(self.spec.partitions, partition)

    def code_version(self, stage: Stage) -> str:
        """Return the package's version and a hash of what the spec says to this stage."""
        read = [*stage.reads(self.spec), *([self.query] if stage.with_query else [])]
        return f"{_package_version()}-{json_version(read)[:8]}"

    @property
    def chain_version(self) -> str:
        """One version for the whole chain: it changes when any stage's does."""
        return json_version([self.code_version(stage) for stage in CHAIN])

    def asset(
        self, stage: Stage, *, check_specs: Sequence[dg.AssetCheckSpec] = (), metadata: Mapping[str, str] | None = None
    ) -> Callable[[Step], dg.AssetsDefinition]:
        """Turn a function of the context into the asset of `stage`."""

        def wrap(step: Step) -> dg.AssetsDefinition:
            return dg.asset(
                key=self.key(stage),
                deps=[self.key(stage.after)] if stage.after is not None else [],
                partitions_def=define_partitions(self.spec.partitions) if stage.is_partitioned else None,
                group_name=self.spec.name,
                kinds=set(stage.kinds),
                description=describe_asset(stage),
                code_version=self.code_version(stage),
                owners=list(self.spec.owners) or None,
                check_specs=list(check_specs) or None,
                metadata=metadata,
                output_required=not stage.is_optional,
                op_tags={"dagster/priority": str(stage.priority)} if stage.priority else None,
            )(with_user_errors(step))

        return wrap

    def dataset_of(self, dataset: type[D], snapshot: SnapshotHeader) -> D:
        """Open the dataset that was written with a snapshot.

        Raises:
            ArtifactError: it is gone, or of another snapshot.
        """
        artifact = self.store.open(dataset.STAGE, snapshot.partition, snapshot.run_id)
        if (found := artifact.manifest.snapshot_id) != snapshot.snapshot_id:
            message = (
                f"the artifact {dataset.STAGE} of the run {snapshot.run_id[:8]} is of snapshot {found}, not of "
                f"{snapshot.snapshot_id}; run {snapshot.partition} again"
            )
            raise ArtifactError(message)
        return dataset(artifact)

    def latest(self, context: dg.AssetExecutionContext, dataset: type[D]) -> D:
        """Open the dataset of the latest materialization of its stage for the context's partition.

        Raises:
            ArtifactError: there is none.
        """
        stage = dataset.STAGE
        found = context.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=self.key(stage), asset_partitions=[context.partition_key]), limit=1
        ).records
        if not found or found[0].asset_materialization is None:
            message = f"{stage} of {context.partition_key} was never materialized; materialize it first"
            raise ArtifactError(message)
        noted = found[0].asset_materialization.metadata.get(ARTIFACT)
        if noted is None:
            message = f"the latest materialization of {stage} names no artifact; materialize it again"
            raise ArtifactError(message)
        _, partition, run_id = str(noted.value).split("/")
        return dataset(self.store.open(stage, partition, run_id))

    def origin(self, dataset: Dataset, wanted: type[D]) -> D:
        """Open the dataset of another stage that this one was made from.

        Raises:
            ArtifactError: the dataset does not name it, or it is gone.
        """
        for place in dataset.artifact.manifest.made_from:
            stage, partition, run_id = place.split("/")
            if stage == wanted.STAGE:
                return wanted(self.store.open(stage, partition, run_id))
        message = f"{dataset.artifact.folder} does not say which {wanted.STAGE} it was made from"
        raise ArtifactError(message)

    @contextmanager
    def writing(
        self, context: dg.AssetExecutionContext, stage: Stage, *, made_from: Sequence[Dataset] = ()
    ) -> Iterator[Artifact]:
        """Yield an artifact of this run to fill, with its origin noted."""
        with self.store.writing(stage.name, context.partition_key, context.run.run_id) as artifact:
            artifact.note(
                segmentation=self.spec.name,
                stage=stage.name,
                partition=context.partition_key,
                run_id=context.run.run_id,
                code_version=self.code_version(stage),
                made_from=tuple(dataset.artifact.place for dataset in made_from),
            )
            yield artifact

    def result(
        self,
        artifact: Artifact,
        *,
        metadata: Mapping[str, Any],
        check_results: Sequence[dg.AssetCheckResult] = (),
    ) -> dg.MaterializeResult[Any]:
        """Return the materialization that names the artifact and carries its data version."""
        rows = {"dagster/row_count": artifact.rows} if artifact.manifest.rows is not None else {}
        return dg.MaterializeResult(
            # what people come for stands first
            metadata={
                **{name: round_number(value) for name, value in metadata.items()},
                **rows,
                ARTIFACT: artifact.place,
                "bytes": artifact.manifest.bytes,
            },
            data_version=dg.DataVersion(artifact.data_version),
            check_results=list(check_results),
        )


@functools.cache
def _package_version() -> str:
    """Return the version, once: it is looked up in files, and every stage of every segmentation has it in its own."""
    return metadata.version(PACKAGE)
