"""The segments in the UI and in the artifact: their sizes, their profiles and the rules of a small tree."""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
import numpy as np

from segmentation_pipeline.analysis.arrays.rows import Rows
from segmentation_pipeline.analysis.profiles.profile import SegmentProfile, score_segments
from segmentation_pipeline.analysis.profiles.rules import Imitation, imitate
from segmentation_pipeline.model.report import Rule
from segmentation_pipeline.orchestration.metadata.values import embed_picture
from segmentation_pipeline.reporting.segments import draw_profiles, draw_sizes
from segmentation_pipeline.spec import FeatureSpec
from segmentation_pipeline.storage.artifacts.artifact import Artifact
from segmentation_pipeline.storage.artifacts.datasets import AlignedSegments


def show_segments(
    artifact: Artifact,
    rows: Rows,
    segments: np.ndarray,
    profiles: Mapping[int, SegmentProfile],
    *,
    features: Sequence[FeatureSpec],
    names: Mapping[int, str],
    seed: int,
) -> dict[str, Any]:  # any value that Dagster accepts as metadata
    """Write the profiles and the rules into the artifact, and return them as metadata, with pictures."""
    rules = imitate(rows, segments, features=features, seed=seed)
    scores = score_segments(profiles, features=features)
    figures = {segment: _profile_to_json(profile, scores[segment]) for segment, profile in profiles.items()}
    AlignedSegments.write_portraits(artifact, rules=rules.to_json(), profiles=figures)
    sizes = {segment: profile.n_customers for segment, profile in profiles.items()}
    return {
        "sizes": embed_picture(
            draw_sizes(sizes, names=names, unassigned=len(segments) - sum(sizes.values())), "customers by segment"
        ),
        "profiles": embed_picture(
            draw_profiles(scores, names=names), "how far each segment is from everybody, by feature"
        ),
        "rules": dg.MetadataValue.md(_tabulate_rules(rules)),
        "rules_fidelity": rules.fidelity,
    }


def _profile_to_json(profile: SegmentProfile, scores: Mapping[str, float]) -> dict[str, Any]:  # plain values
    return {
        "automatic_name": profile.name,
        "n_customers": profile.n_customers,
        "share": profile.share,
        "radius": profile.radius,
        "figures": profile.figures,
        "scores": scores,
    }


def _tabulate_rules(rules: Imitation) -> str:
    """Return the rules as a table, with the share of customers that they put right, in all and by segment."""
    lines = [
        f"These rules put {rules.fidelity:.1%} of {rules.n_rows:,} customers into their own segment.",
        "",
        "| who | segment | right |",
        "|---|---|---|",
        *(_format_rule(rule) for rule in rules.rules),
        "",
        f"Found of each segment: {', '.join(f'{segment} {share:.0%}' for segment, share in rules.by_segment.items())}.",
    ]
    if rules.without_rule:
        lines[-1] += f" No rule leads to {', '.join(map(str, rules.without_rule))}."
    return "\n".join(lines)


def _format_rule(rule: Rule) -> str:
    condition = rule.condition.replace("|", "\\|")  # a category may hold a bar, which would end the cell
    return f"| {condition} | {rule.segment_id} | {rule.right:.0%} of {rule.n_customers:,} |"
