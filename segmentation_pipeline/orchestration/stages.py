"""The stages of a segmentation: one record for each asset, with what it reads of the defs.yaml."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from segmentation_pipeline.model.commands import report_command, status_command
from segmentation_pipeline.spec import SegmentationSpec
from segmentation_pipeline.storage.artifacts import datasets

Read = Callable[[SegmentationSpec], list[Any]]


@dataclass(frozen=True, slots=True)
class Stage:
    """An asset of every segmentation.

    `reads` returns what the stage reads of the spec, as plain values: its code version changes with them. `with_query`:
    it reads the source's SQL too. An optional asset may return its check alone: then the run succeeds and nothing was
    materialized. `shows` says what each thing that the UI shows with a materialization means.
    """

    name: str
    description: str
    kinds: frozenset[str]
    reads: Read
    shows: Mapping[str, str]
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
    shows={
        "as_of": "the end of the period: the customers are shown as they stood then",
        "newest_row": "the newest time in the column `source.fresh`, which shows that the period's data has arrived",
    },
)
VALIDATED_ROWS: Final = Stage(
    datasets.ValidatedRows.STAGE,
    "The rows that can be used; the others go to `<name>_rejected` with every reason.",
    frozenset({"pandas", "parquet"}),
    reads=lambda spec: [_features(spec), spec.exclude, spec.outcomes, spec.store_rows],
    after=RAW_EXTRACT,
    shows={
        "extracted": "rows that came from the source",
        "rejected": "rows that cannot be used; they are in the table `segmentation.<name>_rejected`, with reasons",
        "reasons": "how often each reason rejected a row; a row may have several",
        "features": "the columns that customers are compared by: kind and transform",
        "left_out": "with `features: auto`, the columns that are not features, and why",
    },
)
ENCODED_FEATURES: Final = Stage(
    datasets.EncodedFeatures.STAGE,
    "Transformed, scaled and encoded: the float32 matrix that is clustered, and the encoding as JSON.",
    frozenset({"pandas", "arrow"}),
    reads=lambda spec: [_features(spec), spec.pca],
    after=VALIDATED_ROWS,
    shows={
        "columns": "the width of the matrix: one column for a number, one for each category",
        "transforms": "what was applied to a column before it was scaled",
        "infrequent_categories": "how many rare categories share one column",
        "unknown_categories": "values that belong to no known category, by column",
        "missing_values": "values that were filled in, by column",
        "memory_needed_mb": "what the sweep and the fit of this matrix need at most",
        "outliers_not_fitted_on": "customers that `outliers: remove` leaves out of the fit; they get a segment too",
        "explained_by_components": "with `pca`, the share of the variance that each component holds",
    },
)
K_SWEEP: Final = Stage(
    datasets.KSweep.STAGE,
    "Every K of the range tried on the same matrix, and the one that is taken, with the reason.",
    frozenset({"scikitlearn"}),
    reads=lambda spec: [spec.sweep.model_dump(), spec.fit.model_dump()],
    after=ENCODED_FEATURES,
    shows={
        "k": "the chosen number of clusters",
        "reason": "why it is this one",
        "structure": "whether there are groups at all: the silhouette, compared with that of data without any",
        "inertia_and_silhouette": "a plot of both for each K, with the chosen one marked",
        "silhouettes": "a plot of each customer's silhouette in the chosen K: below 0 another cluster is nearer",
        "silhouette": "the mean silhouette of the chosen K, from -1 to 1; higher is better",
        "candidates": "every K tried: inertia, Davies-Bouldin and dip p are better when lower, the rest when higher",
        "diagnosis": "what speaks against K-Means on these customers, and what to do about it",
        "seed": "the seed of everything random in this run; `fit.seed` repeats it",
    },
)
FINAL_FIT: Final = Stage(
    datasets.FinalFit.STAGE,
    "The clustering of the chosen K on all customers, saved as JSON, and each customer's cluster by what was saved.",
    frozenset({"scikitlearn"}),
    reads=lambda spec: [spec.fit.model_dump()],
    after=K_SWEEP,
    shows={
        "algorithm": "the clustering algorithm that was used",
        "algorithm_reason": "why it is this one",
        "k": "the number of clusters",
        "distances": "a plot of how far the customers of each cluster are from its center",
        "inertia": "the sum of the squared distances to the centers; lower is tighter",
        "iterations": "how many steps the best start took",
        "converged": "whether the best start stopped improving before the limit",
        "won_by": "the start that gave the lowest inertia",
        "fitted_rows": "customers that were fitted on",
        "unassigned": "customers in no cluster: outliers, of the algorithms that have any",
        "seed": "the seed of everything random in this run; `fit.seed` repeats it",
        "notes": "what a person should know about this algorithm's result",
    },
)
ALIGNED_SEGMENTS: Final = Stage(
    datasets.AlignedSegments.STAGE,
    "Today's clusters as the segments they are: matched with what was published before, judged by the gates, recorded.",
    frozenset({"scipy", "postgres"}),
    reads=lambda spec: [spec.gates.model_dump(), spec.publish.approval, spec.outcomes],
    after=FINAL_FIT,
    shows={
        "snapshot": f"the number of this model in `{status_command()}` and in the database",
        "status": "`candidate` may be published, `waiting` needs a person, `rejected` failed a gate",
        "parent_snapshot": "the published snapshot that it was compared with: the latest of an earlier period",
        "parent_run": "the run that made the parent",
        "segments": "each segment's size, what happened to it, how well it matches and how sure that is (both 0 to 1)",
        "sizes": "a plot of the customers in each segment",
        "profiles": "a plot of how far each segment is from the average customer, by feature",
        "customers": "a plot of the customers on two principal axes, by segment",
        "rules": "who is in which segment, in words: the rules of a small decision tree",
        "rules_fidelity": "the share of customers whom these rules put into their own segment",
        "who_moved": "customers by the segment they had (rows) and the one they have now (columns)",
        "moved": "customers in another segment than in the parent",
        "unassigned": "customers in no segment",
        "drift": "how far shares and features have shifted since the parent, and which segments shifted most",
        "evidence": "what the matching is based on",
    },
)
PUBLISHED_SEGMENTS: Final = Stage(
    datasets.PublishedSegments.STAGE,
    "Each customer's segment id in the target table and in the history, in one transaction.",
    frozenset({"postgres"}),
    reads=lambda spec: [spec.publish.model_dump(), spec.retention.model_dump()],
    after=ALIGNED_SEGMENTS,
    is_optional=True,
    shows={
        "snapshot_id": "the snapshot that was published",
        "already_published": "true where it had been published before, so nothing was done",
        "became_current": "whether the target shows it now; false where the target shows a later period",
        "changed": "rows of the target whose segment changed",
        "unchanged": "rows of the target that have this segment already; nothing was written to them",
        "not_in_target": "customers that have no row in the target, and so got no segment there",
        "examples_not_in_target": "some of their keys",
        "not_in_source": "rows of the target that have a segment and whose customer is not in the source any more",
        "cleared": "of these, how many were emptied, by `publish.absent: clear`",
    },
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
    shows={
        "report": f"the HTML file; `{report_command()}` writes the same anywhere",
        "snapshot": "the number of the snapshot that it shows",
        "status": "whether that snapshot is published, waits for a person, or failed a gate",
        "segments": "how many segments it has",
        "customers": "customers in a segment",
        "moved": "customers in another segment than in the parent",
    },
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
    shows={
        "extracted": "rows that came from the source",
        "rejected": "rows that cannot be used; they are in the table `segmentation.<name>_rejected`, with reasons",
        "snapshot_id": "the published snapshot whose model labelled the customers",
        "snapshot_partition": "that snapshot's period",
        "scored": "customers that were labelled",
        "unassigned": "of these, customers in no segment",
        "new": "of these, customers whom the snapshot did not know",
        "moved": "of these, customers in another segment than in the snapshot",
        "written": "rows of `segmentation.<name>_scored` that changed",
        "changed": "rows of the target whose segment changed",
        "unchanged": "rows of the target that have this segment already",
        "not_in_target": "customers that have no row in the target",
        "examples_not_in_target": "some of their keys",
        "kept": "rows of the target that have a segment and were not scored today; they keep it",
        "as_of": "the end of the window that was read: now",
        "window_start": "its beginning, one period earlier",
        "reasons": "how often each reason rejected a row",
        "unknown_categories": "values that belong to no category of the fit, by column",
        "missing_values": "values that were filled in, by column",
        "far_by_segment": "for each segment, the share of its customers who are far from it",
    },
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
