"""What every asset of one segmentation shares: names, versions, partitions and artifacts."""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import dagster as dg

from segmentation_pipeline.errors import ArtifactError
from segmentation_pipeline.model import Period, Snapshot
from segmentation_pipeline.orchestration.metadata.meanings import asset_description
from segmentation_pipeline.orchestration.metadata.values import round_number
from segmentation_pipeline.orchestration.partitions import define_partitions, find_period
from segmentation_pipeline.orchestration.retries import Step, to_generator, with_user_errors
from segmentation_pipeline.orchestration.stages import REPORT, SCORING, STAGES
from segmentation_pipeline.runtime.home import make_home
from segmentation_pipeline.spec import SegmentationSpec
from segmentation_pipeline.storage.artifacts.artifact import Artifact
from segmentation_pipeline.storage.artifacts.store import ArtifactStore
from segmentation_pipeline.storage.artifacts.versions import json_version
from segmentation_pipeline.storage.warehouse.postgres.source import read_query

ARTIFACT = "artifact"


PACKAGE = "segmentation-pipeline"


@dataclass(frozen=True)
class SegmentationContext:
    """One segmentation: its spec and the folder of its defs.yaml."""

    spec: SegmentationSpec
    folder: Path

    def key(self, stage: str) -> dg.AssetKey:
        """The asset key of a stage."""
        return dg.AssetKey([self.spec.name, stage])

    @property
    def store(self) -> ArtifactStore:
        """Where the artifacts lie."""
        return ArtifactStore(make_home() / "artifacts" / self.spec.name)

    @property
    def query(self) -> str:
        """The source's SQL."""
        return read_query(self.spec.source, self.folder)

    def period(self, partition: str) -> Period:
        """The dates of a partition."""
        return find_period(self.spec.partitions, partition)

    def code_version(self, stage: str) -> str:
        """The package's version and a hash of what the spec says to this stage."""
        spec = self.spec
        said: dict[str, Any] = {
            "raw_extract": [spec.source.model_dump(), self.query],
            "validated_rows": [_dump(spec.features), spec.exclude, spec.outcomes],
            "encoded_features": [_dump(spec.features), spec.pca],
            "k_sweep": [spec.sweep.model_dump(), spec.fit.model_dump()],
            "final_fit": [spec.fit.model_dump()],
            "aligned_segments": [spec.gates.model_dump(), spec.publish.approval, spec.outcomes],
            "published_segments": [spec.publish.model_dump()],
            SCORING: [spec.source.model_dump(), self.query, _dump(spec.features), spec.publish.model_dump()],
            REPORT: [],
        }
        return f"{_package_version()}-{json_version(said[stage])[:8]}"

    @property
    def chain_version(self) -> str:
        """One version for the whole chain: it changes when any stage's does."""
        return json_version([self.code_version(stage) for stage in STAGES])

    def asset(
        self,
        stage: str,
        *,
        kinds: set[str],
        description: str,
        check_specs: Sequence[dg.AssetCheckSpec] = (),
        optional: bool = False,
        metadata: Mapping[str, str] | None = None,
    ) -> Callable[[Step], dg.AssetsDefinition]:
        """Turn a function of the context into the asset of `stage`, which hangs off the stage before it.

        A step of an `optional` asset may give its check alone: then the run succeeds and nothing was materialized. What
        is no stage of the chain hangs off its end, and has no partitions; but the report hangs off the alignment.
        """
        position = STAGES.index("published_segments" if stage == REPORT else stage) if stage != SCORING else len(STAGES)

        def wrap(step: Step) -> dg.AssetsDefinition:
            return dg.asset(
                key=self.key(stage),
                deps=[self.key(STAGES[position - 1])] if position else [],
                partitions_def=define_partitions(self.spec.partitions) if stage != SCORING else None,
                group_name=self.spec.name,
                kinds=kinds,
                description=asset_description(stage, description),
                code_version=self.code_version(stage),
                owners=list(self.spec.owners) or None,
                check_specs=list(check_specs) or None,
                metadata=metadata,
                output_required=not optional,
                # the publication goes first: people wait for it, and the report then says that it is done
                op_tags={"dagster/priority": "-1"} if stage == REPORT else None,
            )(to_generator(with_user_errors(step)) if optional else with_user_errors(step))

        return wrap

    def artifact_of(self, stage: str, snapshot: Snapshot) -> Artifact:
        """The artifact of `stage` that was written with a snapshot.

        Raises:
            ArtifactError: it is gone, or of another snapshot.
        """
        artifact = self.store.open(stage, snapshot.partition, snapshot.run_id)
        if (found := artifact.manifest.get("snapshot_id")) != snapshot.snapshot_id:
            message = (
                f"the artifact {stage} of the run {snapshot.run_id[:8]} is of snapshot {found}, not of "
                f"{snapshot.snapshot_id}; run {snapshot.partition} again"
            )
            raise ArtifactError(message)
        return artifact

    def latest(self, context: dg.AssetExecutionContext, stage: str) -> Artifact:
        """The artifact of the latest materialization of `stage` for the context's partition.

        Raises:
            ArtifactError: there is none.
        """
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
        return self.store.open(stage, partition, run_id)

    @contextmanager
    def writing(
        self, context: dg.AssetExecutionContext, stage: str, *, made_from: Sequence[Artifact] = ()
    ) -> Iterator[Artifact]:
        """An artifact of this run to fill, with its origin noted."""
        with self.store.writing(stage, context.partition_key, context.run.run_id) as artifact:
            artifact.manifest |= {
                "segmentation": self.spec.name,
                "stage": stage,
                "partition": context.partition_key,
                "run_id": context.run.run_id,
                "code_version": self.code_version(stage),
                "made_from": ["/".join(each.folder.parts[-3:]) for each in made_from],
            }
            yield artifact

    def result(
        self,
        artifact: Artifact,
        *,
        metadata: Mapping[str, Any],
        check_results: Sequence[dg.AssetCheckResult] = (),
    ) -> dg.MaterializeResult[Any]:
        """The materialization that names the artifact and carries its data version."""
        rows = {"dagster/row_count": artifact.rows} if "rows" in artifact.manifest else {}
        return dg.MaterializeResult(
            # what people come for stands first
            metadata={
                **{name: round_number(value) for name, value in metadata.items()},
                **rows,
                ARTIFACT: "/".join(artifact.folder.parts[-3:]),
                "bytes": int(artifact.manifest["bytes"]),
            },
            data_version=dg.DataVersion(artifact.data_version),
            check_results=list(check_results),
        )


@functools.cache
def _package_version() -> str:
    """It is looked up in files, and every stage of every segmentation has it in its version."""
    return metadata.version(PACKAGE)


def _dump(features: Any) -> Any:  # "auto" or a list of FeatureSpec
    return features if isinstance(features, str) else [feature.model_dump() for feature in features]
