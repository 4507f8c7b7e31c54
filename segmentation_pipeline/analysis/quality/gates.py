"""The checks a snapshot must pass before it may be published."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from segmentation_pipeline.model import GateResult, Match, OutcomeEffect, StructureVerdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from segmentation_pipeline.spec import Gate, GatesSpec

GATE_NAMES = (
    "counts_add_up",
    "structure",
    "min_segment_share",
    "max_row_drop",
    "max_rejected_share",
    "min_silhouette",
    "match_confidence",
    "outcomes",
    "max_moved",
)


@dataclass(frozen=True, slots=True)
class GateInputs:
    """The numbers that the gates look at; `segment_sizes` maps segment id to customers.

    Of the `n_shared` customers whom the parent had in a segment, `n_moved` are in another one or in none.
    Without `round_clusters` the silhouette and the structure, which measure round clusters, are told and block nothing.
    """

    n_extracted: int
    n_assigned: int
    n_unassigned: int
    n_rejected: int
    segment_sizes: Mapping[int, int]
    silhouette: float
    structure: StructureVerdict
    parent_partition: str | None
    parent_n_rows: int | None
    round_clusters: bool = True
    outcomes: tuple[OutcomeEffect, ...] = ()
    matches: tuple[Match, ...] = ()
    n_shared: int = 0
    n_moved: int = 0


def evaluate(evidence: GateInputs, gates: GatesSpec) -> tuple[GateResult, ...]:
    """Evaluate every gate; one result per name in `GATE_NAMES`, in that order."""
    return (
        _counts_add_up(evidence),
        _structure(evidence, gates.structure),
        _min_segment_share(evidence, gates.min_segment_share),
        _max_row_drop(evidence, gates.max_row_drop),
        _max_rejected_share(evidence, gates.max_rejected_share),
        _min_silhouette(evidence, gates.min_silhouette),
        _match_confidence(evidence, gates.match_confidence),
        _outcomes(evidence, gates.outcomes),
        _max_moved(evidence, gates.max_moved),
    )


def _counts_add_up(evidence: GateInputs) -> GateResult:
    difference = evidence.n_extracted - evidence.n_assigned - evidence.n_unassigned - evidence.n_rejected
    return GateResult(
        name="counts_add_up",
        passed=difference == 0,
        severity="block",
        value=float(difference),
        threshold=0.0,
        message=(
            f"extracted {evidence.n_extracted:,} = assigned {evidence.n_assigned:,} + unassigned "
            f"{evidence.n_unassigned:,} + rejected {evidence.n_rejected:,}"
            + ("" if difference == 0 else f" does not hold: {difference:,} rows are unaccounted for")
        ),
    )


def _structure(evidence: GateInputs, gate: Gate) -> GateResult:
    found = evidence.structure
    failed = gate.threshold is not None and found.z < gate.threshold
    if not failed and found.verdict == "doubtful":
        # above the nulls, but no valley that holds on other customers: published, with the warning
        return GateResult(
            "structure", passed=False, severity="warn", value=found.z, threshold=gate.threshold, message=found.reason
        )
    advice = "K-Means cuts anything; these customers fall into no groups by these features. Add or change features."
    if not evidence.round_clusters:
        gate = gate.model_copy(update={"severity": "warn"})
    return _result("structure", gate, value=found.z, failed=failed, message=found.reason, advice=advice)


def _min_segment_share(evidence: GateInputs, gate: Gate) -> GateResult:
    smallest = min(evidence.segment_sizes, key=lambda segment: evidence.segment_sizes[segment])
    n_customers = evidence.segment_sizes[smallest]
    share = n_customers / max(evidence.n_assigned, 1)
    return _result(
        "min_segment_share",
        gate,
        value=share,
        failed=gate.threshold is not None and share < gate.threshold,
        message=f"segment {smallest} is the smallest: {n_customers:,} customers, {share:.2%}",
        advice="Few customers far from the rest own a segment: look at them, transform the feature (log1p), lower K.",
    )


def _max_row_drop(evidence: GateInputs, gate: Gate) -> GateResult:
    if not evidence.parent_n_rows:
        message = "no parent snapshot to compare with"
        return _result("max_row_drop", gate, value=None, failed=False, message=message, advice="")
    # one division: 1 - 70 / 100 is a little above 0.3
    drop = (evidence.parent_n_rows - evidence.n_extracted) / evidence.parent_n_rows
    return _result(
        "max_row_drop",
        gate,
        value=drop,
        failed=gate.threshold is not None and drop > gate.threshold,
        message=f"{evidence.n_extracted:,} rows, {evidence.parent_n_rows:,} in {evidence.parent_partition}",
        advice="The source has lost rows: check that the period's data has arrived, then run it again.",
    )


def _max_rejected_share(evidence: GateInputs, gate: Gate) -> GateResult:
    share = evidence.n_rejected / max(evidence.n_extracted, 1)
    return _result(
        "max_rejected_share",
        gate,
        value=share,
        failed=gate.threshold is not None and share > gate.threshold,
        message=f"{evidence.n_rejected:,} of {evidence.n_extracted:,} rows were rejected ({share:.2%})",
        advice="Their reasons are in the table segmentation.<name>_rejected.",
    )


def _min_silhouette(evidence: GateInputs, gate: Gate) -> GateResult:
    return _result(
        "min_silhouette",
        gate,
        value=evidence.silhouette,
        failed=evidence.round_clusters and gate.threshold is not None and not evidence.silhouette >= gate.threshold,
        message=f"silhouette {evidence.silhouette:.3f}"
        + ("" if evidence.round_clusters else ", not judged: the algorithm looks for shapes that are not round"),
        advice="The clusters hardly differ: other features, or no segments in these customers.",
    )


def _match_confidence(evidence: GateInputs, gate: Gate) -> GateResult:
    known = [each for each in evidence.matches if each.through != "new"]
    weakest = min(known, key=lambda each: each.confidence, default=None)
    doubtful = [each for each in known if gate.threshold is not None and each.confidence < gate.threshold]
    message = "; ".join(_doubt(each, evidence) for each in doubtful)
    if not message:
        message = (
            "no segment was matched with an earlier one"
            if weakest is None
            else f"the least certain match is segment {weakest.segment_id}'s: confidence {weakest.confidence:.2f}"
        )
    return _result(
        "match_confidence",
        gate,
        value=weakest.confidence if weakest is not None else None,
        failed=bool(doubtful),
        message=message,
        advice="Another matching is nearly as good: look at both before campaigns rely on the id.",
    )


def _doubt(match: Match, evidence: GateInputs) -> str:
    segment_of = {each.cluster: each.segment_id for each in evidence.matches}
    sizes = evidence.segment_sizes
    rivals = []
    if match.rival_segment_id is not None:
        rivals.append(f"these {sizes.get(match.segment_id, 0):,} customers could be segment {match.rival_segment_id}")
    if match.rival_cluster is not None:
        other = segment_of[match.rival_cluster]
        rivals.append(f"the {sizes.get(other, 0):,} customers that are segment {other} could be {match.segment_id}")
    told = " and ".join(rivals) or "nothing else comes near"
    return f"segment {match.segment_id} is ambiguous (confidence {match.confidence:.2f}): {told}"


def _outcomes(evidence: GateInputs, gate: Gate) -> GateResult:
    measured = [each for each in evidence.outcomes if each.effect is not None]
    best = max((each.effect or 0.0 for each in measured), default=None)
    same = bool(measured) and not any(each.differ for each in measured)
    weak = best is not None and gate.threshold is not None and best < gate.threshold
    return _result(
        "outcomes",
        gate,
        value=best,
        failed=same or weak,
        message="; ".join(each.sentence for each in evidence.outcomes) or "no outcomes are named",
        advice="The segments are labels for the same customers: choose features that have to do with the outcome.",
    )


def _max_moved(evidence: GateInputs, gate: Gate) -> GateResult:
    if not evidence.n_shared:
        message = "no customers in common with a parent snapshot"
        return _result("max_moved", gate, value=None, failed=False, message=message, advice="")
    share = evidence.n_moved / evidence.n_shared
    return _result(
        "max_moved",
        gate,
        value=share,
        failed=gate.threshold is not None and share > gate.threshold,
        message=f"{evidence.n_moved:,} of {evidence.n_shared:,} customers known to {evidence.parent_partition} change "
        f"segment ({share:.1%})",
        advice="Compare features and source with that month; the profiles of the segments show what changed.",
    )


def _result(name: str, gate: Gate, *, value: float | None, failed: bool, message: str, advice: str) -> GateResult:
    limit = f" (limit {gate.threshold:g})" if gate.threshold is not None else ""
    return GateResult(
        name=name,
        passed=not failed,
        severity=gate.severity or "block",
        value=value,
        threshold=gate.threshold,
        message=f"{message}{limit}. {advice}" if failed else f"{message}{limit}",
    )
