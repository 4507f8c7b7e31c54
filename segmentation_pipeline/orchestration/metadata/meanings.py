"""What the UI says about each asset: the meaning of everything that is shown with its materializations."""

from collections.abc import Mapping
from typing import Final

from segmentation_pipeline.model.commands import report_command, status_command

EVERYWHERE: Final[Mapping[str, str]] = {
    "artifact": "the folder of the files that this run wrote, below `artifacts/` in the home folder",
    "bytes": "the size of these files",
    "seconds": "how long the step took",
}
MEANINGS: Final[Mapping[str, Mapping[str, str]]] = {
    "raw_extract": {
        "as_of": "the end of the period: the customers are shown as they stood then",
        "newest_row": "the newest time in the column `source.fresh`, which shows that the period's data has arrived",
    },
    "validated_rows": {
        "extracted": "rows that came from the source",
        "rejected": "rows that cannot be used; they are in the table `segmentation.<name>_rejected`, with reasons",
        "reasons": "how often each reason rejected a row; a row may have several",
        "features": "the columns that customers are compared by: kind and transform",
        "left_out": "with `features: auto`, the columns that are no features, and why",
    },
    "encoded_features": {
        "columns": "the width of the matrix: one column for a number, one for each category",
        "transforms": "what was applied to a column before it was scaled",
        "infrequent_categories": "how many rare categories share one column",
        "unknown_categories": "values that no category knows, by column",
        "missing_values": "values that were filled in, by column",
        "memory_needed_mb": "what the sweep and the fit of this matrix need at most",
        "outliers_not_fitted_on": "customers left out of the fit by `outliers: remove`; they get a segment too",
        "explained_by_components": "with `pca`, the share of the variance that each component holds",
    },
    "k_sweep": {
        "k": "the number of clusters that is taken",
        "reason": "why it is this one",
        "structure": "whether there are groups at all: the silhouette against that of data without any",
        "inertia_and_silhouette": "a plot of both for each K, the chosen one marked",
        "silhouettes": "a plot of each customer's silhouette in the chosen K: below 0 another cluster is nearer",
        "silhouette": "the mean silhouette of the chosen K, from -1 to 1; higher is better",
        "candidates": "every K tried: inertia, Davies-Bouldin and dip p are better when lower, the rest when higher",
        "diagnosis": "what speaks against K-Means on these customers, and what to do about it",
        "seed": "the seed of everything random in this run; `fit.seed` replays it",
    },
    "final_fit": {
        "algorithm": "the clustering algorithm that was used",
        "algorithm_reason": "why it is this one",
        "k": "the number of clusters",
        "distances": "a plot of how far the customers of each cluster are from its center",
        "inertia": "the sum of the squared distances to the centers; lower is tighter",
        "iterations": "how many steps the best start took",
        "converged": "whether it came to rest before the limit",
        "won_by": "the start that gave the lowest inertia",
        "fitted_rows": "customers that were fitted on",
        "unassigned": "customers in no cluster: outliers, of algorithms that know such a thing",
        "seed": "the seed of everything random in this run; `fit.seed` replays it",
        "notes": "what a person should know of this algorithm's result",
    },
    "aligned_segments": {
        "snapshot": f"the number of this model in `{status_command()}` and in the database",
        "status": "`candidate` may be published, `waiting` needs a person, `rejected` failed a gate",
        "parent_snapshot": "the published snapshot it was matched with: the latest of an earlier period",
        "parent_run": "the run that made the parent",
        "segments": "each segment's size, what happened to it, how well and how surely (0 to 1) it matches",
        "sizes": "a plot of the customers in each segment",
        "profiles": "a plot of how far each segment is from everybody, by feature",
        "customers": "a plot of the customers on two principal axes, by segment",
        "rules": "who is in which segment, in words: the rules of a small decision tree",
        "rules_fidelity": "the share of customers whom these rules put into their own segment",
        "who_moved": "customers by the segment they had (rows) and the one they have now (columns)",
        "moved": "customers in another segment than in the parent",
        "unassigned": "customers in no segment",
        "drift": "how far shares and features have shifted since the parent, and which segments shifted most",
        "evidence": "what the matching went by",
    },
    "segment_report": {
        "report": f"the HTML file; `{report_command()}` writes the same anywhere",
        "snapshot": "the number of the snapshot that it shows",
        "status": "whether that one is published, waits for a person, or failed a gate",
        "segments": "how many segments it has",
        "customers": "customers in a segment",
        "moved": "customers in another segment than in the parent",
    },
    "published_segments": {
        "snapshot_id": "the snapshot that was published",
        "already_published": "true where there was nothing to do",
        "became_current": "whether the target shows it; false for a period older than what is there",
        "changed": "rows of the target whose segment changed",
        "unchanged": "rows of the target that have this segment already; nothing was written to them",
        "not_in_target": "customers that have no row in the target, and so got no segment there",
        "examples_not_in_target": "some of their keys",
        "not_in_source": "rows of the target that have a segment and whose customer is not in the source any more",
        "cleared": "of these, how many were emptied, by `publish.absent: clear`",
    },
    "scored_customers": {
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
        "unknown_categories": "values that no category of the fit knows, by column",
        "missing_values": "values that were filled in, by column",
        "far_by_segment": "the share of customers who are far from it, for each segment",
    },
}


def asset_description(stage: str, summary: str) -> str:
    """The description of an asset: what it is, and what each thing shown with it means."""
    meanings = {**MEANINGS.get(stage, {}), **EVERYWHERE}
    lines = [f"- `{name}`: {meaning}" for name, meaning in meanings.items()]
    return "\n".join([summary, "", "Each materialization shows:", "", *lines])
