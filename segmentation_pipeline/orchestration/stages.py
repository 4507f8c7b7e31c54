"""The stages of a segmentation: one record for each asset, with what it reads of the defs.yaml."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Self

from segmentation_pipeline.spec import SegmentationSpec
from segmentation_pipeline.storage.artifacts import datasets

Read = Callable[[SegmentationSpec], list[Any]]


@dataclass(frozen=True, slots=True)
class Stage:
    """An asset of every segmentation.

    `reads` returns what the stage reads of the spec, as plain values: its code version changes with them. `with_query`:
    it reads the source's SQL too. An optional asset may return its check alone: then the run succeeds and nothing was
    materialized.
    """

    name: str
    description: str
    kinds: frozenset[str]
    reads: Read
    after: Self | None = None
    with_query: bool = False
    is_partitioned: bool = True
    is_optional: bool = False
    priority: int = 0


def _source(spec: SegmentationSpec) -> list[Any]:
    return [spec.source.model_dump(), spec.partitions.timezone]


def _features(spec: SegmentationSpec) -> Any:  # "auto", or plain values
    return spec.features if isinstance(spec.features, str) else [feature.model_dump() for feature in spec.features]


RAW_EXTRACT: Final = Stage(
    datasets.RawExtract.STAGE,
    "The customers as they stood at the period's end, as the source returns them.",
    frozenset({"postgres", "parquet"}),
    reads=_source,
    with_query=True,
)
VALIDATED_ROWS: Final = Stage(
    datasets.ValidatedRows.STAGE,
    "The rows that can be used; the others go to `<name>_rejected` with every reason.",
    frozenset({"pandas", "parquet"}),
    reads=lambda spec: [_features(spec), spec.exclude, spec.outcomes, spec.store_rows],
    after=RAW_EXTRACT,
)
ENCODED_FEATURES: Final = Stage(
    datasets.EncodedFeatures.STAGE,
    "Transformed, scaled and encoded: the float32 matrix that is clustered, and the encoding as JSON.",
    frozenset({"pandas", "arrow"}),
    reads=lambda spec: [_features(spec), spec.pca],
    after=VALIDATED_ROWS,
)
K_SWEEP: Final = Stage(
    datasets.KSweep.STAGE,
    "Every K of the range tried on the same matrix, and the one that is taken, with the reason.",
    frozenset({"scikitlearn"}),
    reads=lambda spec: [spec.sweep.model_dump(), spec.fit.model_dump()],
    after=ENCODED_FEATURES,
)
FINAL_FIT: Final = Stage(
    datasets.FinalFit.STAGE,
    "The clustering of the chosen K on all customers, saved as JSON, and each customer's cluster by what was saved.",
    frozenset({"scikitlearn"}),
    reads=lambda spec: [spec.fit.model_dump()],
    after=K_SWEEP,
)
ALIGNED_SEGMENTS: Final = Stage(
    datasets.AlignedSegments.STAGE,
    "Today's clusters as the segments they are: matched with what was published before, judged by the gates, recorded.",
    frozenset({"scipy", "postgres"}),
    reads=lambda spec: [spec.gates.model_dump(), spec.publish.approval, spec.outcomes],
    after=FINAL_FIT,
)
PUBLISHED_SEGMENTS: Final = Stage(
    datasets.PublishedSegments.STAGE,
    "Each customer's segment id in the target table and in the history, in one transaction.",
    frozenset({"postgres"}),
    reads=lambda spec: [spec.publish.model_dump(), spec.retention.model_dump()],
    after=ALIGNED_SEGMENTS,
    is_optional=True,
)
# beside the publication, which neither waits for it nor fails with it
SEGMENT_REPORT: Final = Stage(
    datasets.SegmentReport.STAGE,
    "The report for the people who know the customers: one HTML file that works offline, with the database's numbers.",
    frozenset({"html"}),
    reads=lambda _: [],
    after=ALIGNED_SEGMENTS,
    is_optional=True,
    # the publication goes first: people wait for it, and the report then says that it is done
    priority=-1,
)
# beside the chain: today's customers, of no period
SCORED_CUSTOMERS: Final = Stage(
    "scored_customers",
    "Today's customers by the published segments, between two fits: new and changed customers get a segment.",
    frozenset({"postgres", "pandas"}),
    reads=lambda spec: [
        *_source(spec),
        spec.partitions.cadence,
        _features(spec),
        spec.publish.model_dump(),
        spec.store_rows,
    ],
    after=PUBLISHED_SEGMENTS,
    with_query=True,
    is_partitioned=False,
)
# the chain of one partition, in order
CHAIN: Final = (
    RAW_EXTRACT,
    VALIDATED_ROWS,
    ENCODED_FEATURES,
    K_SWEEP,
    FINAL_FIT,
    ALIGNED_SEGMENTS,
    PUBLISHED_SEGMENTS,
)
STAGES: Final = (*CHAIN, SEGMENT_REPORT, SCORED_CUSTOMERS)
