"""The gates: the checks that a snapshot must pass before it may be published.

A gate is one `GateRule` in `GATES`. Its setting is the field of the same name in `spec/gates.py`, its words for people
are in `reporting/words.py`, and `docs/gates.md` says what to do when it fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from segmentation_pipeline.model import GateResult, Match, OutcomeEffect, StructureVerdict
from segmentation_pipeline.spec import Gate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from segmentation_pipeline.spec import GatesSpec, Severity


@dataclass(frozen=True, slots=True)
class GateInputs:
    """The numbers that the gates look at; `segment_sizes` maps segment id to customers.

    Of the `n_shared` customers whom the parent had in a segment, `n_moved` are in another segment or in none.
    Silhouette and structure measure round clusters: without `round_clusters` they are reported and block nothing.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The finding of a gate: the measured value (None: there was nothing to measure) and what it means.

    The message of a failed gate ends with the `advice`. `severity` replaces the one of the setting. Without
    `names_limit` the message does not mention the threshold, because it did not decide.
    """

    value: float | None
    failed: bool
    message: str
    advice: str = ""
    severity: Severity | None = None
    names_limit: bool = True


@dataclass(frozen=True, slots=True)
class GateRule:
    """One gate: its name, and the function that judges the inputs by the threshold (None: it is switched off).

    `fixed` is the setting of a gate that a `defs.yaml` cannot change, with the `question` that the gate asks; any other
    gate has both in the field of its name in `GatesSpec`.
    """

    name: str
    judge: Callable[[GateInputs, float | None], Judgement]
    fixed: Gate | None = None
    question: str = ""

    def find_setting(self, gates: GatesSpec) -> Gate:
        """Return the threshold and the severity that hold for this gate."""
        if self.fixed is not None:
            return self.fixed
        setting: Gate = getattr(gates, self.name)
        return setting


def evaluate(inputs: GateInputs, gates: GatesSpec) -> tuple[GateResult, ...]:
    """Evaluate every gate, in the order of `GATES`."""
    return tuple(_evaluate(rule, inputs, rule.find_setting(gates)) for rule in GATES)


def _evaluate(rule: GateRule, inputs: GateInputs, setting: Gate) -> GateResult:
    judgement = rule.judge(inputs, setting.threshold)
    message = judgement.message
    if judgement.names_limit and setting.threshold is not None:
        message += f" (limit {setting.threshold:g})"
    if judgement.failed and judgement.advice:
        message += f". {judgement.advice}"
    return GateResult(
        name=rule.name,
        passed=not judgement.failed,
        severity=judgement.severity or setting.severity or "block",
        value=judgement.value,
        threshold=setting.threshold,
        message=message,
    )


def _judge_counts(inputs: GateInputs, _: float | None) -> Judgement:
    difference = inputs.n_extracted - inputs.n_assigned - inputs.n_unassigned - inputs.n_rejected
    return Judgement(
        value=float(difference),
        failed=difference != 0,
        message=(
            f"extracted {inputs.n_extracted:,} = assigned {inputs.n_assigned:,} + unassigned "
            f"{inputs.n_unassigned:,} + rejected {inputs.n_rejected:,}"
            + ("" if difference == 0 else f" does not hold: {difference:,} rows are unaccounted for")
        ),
        names_limit=False,
    )


def _judge_structure(inputs: GateInputs, threshold: float | None) -> Judgement:
    structure = inputs.structure
    if threshold is not None and structure.z < threshold:
        return Judgement(
            value=structure.z,
            failed=True,
            message=structure.reason,
            advice=("K-Means cuts any data; on these features the customers form no groups. Add or change features."),
            severity=None if inputs.round_clusters else "warn",
        )
    if structure.verdict == "doubtful":
        # above the null models, but without a valley that holds on other customers: published, with the warning
        return Judgement(value=structure.z, failed=True, message=structure.reason, severity="warn", names_limit=False)
    return Judgement(
        value=structure.z,
        failed=False,
        message=structure.reason,
        severity=None if inputs.round_clusters else "warn",
    )


def _judge_smallest_segment(inputs: GateInputs, threshold: float | None) -> Judgement:
    smallest = min(inputs.segment_sizes, key=lambda segment: inputs.segment_sizes[segment])
    n_customers = inputs.segment_sizes[smallest]
    share = n_customers / max(inputs.n_assigned, 1)
    return Judgement(
        value=share,
        failed=threshold is not None and share < threshold,
        message=f"segment {smallest} is the smallest: {n_customers:,} customers, {share:.2%}",
        advice=(
            "A few customers far from the rest form a segment: look at them, transform the feature (log1p), or lower K."
        ),
    )


def _judge_row_drop(inputs: GateInputs, threshold: float | None) -> Judgement:
    if not inputs.parent_n_rows:
        return Judgement(value=None, failed=False, message="no parent snapshot to compare with")
    # one division: 1 - 70 / 100 is a little above 0.3
    drop = (inputs.parent_n_rows - inputs.n_extracted) / inputs.parent_n_rows
    return Judgement(
        value=drop,
        failed=threshold is not None and drop > threshold,
        message=f"{inputs.n_extracted:,} rows, {inputs.parent_n_rows:,} in {inputs.parent_partition}",
        advice="The source has lost rows: check that the period's data has arrived, then run it again.",
    )


def _judge_rejected_share(inputs: GateInputs, threshold: float | None) -> Judgement:
    share = inputs.n_rejected / max(inputs.n_extracted, 1)
    return Judgement(
        value=share,
        failed=threshold is not None and share > threshold,
        message=f"{inputs.n_rejected:,} of {inputs.n_extracted:,} rows were rejected ({share:.2%})",
        advice="Their reasons are in the table segmentation.<name>_rejected.",
    )


def _judge_silhouette(inputs: GateInputs, threshold: float | None) -> Judgement:
    return Judgement(
        value=inputs.silhouette,
        # a silhouette of NaN fails
        failed=inputs.round_clusters and threshold is not None and not inputs.silhouette >= threshold,
        message=f"silhouette {inputs.silhouette:.3f}"
        + ("" if inputs.round_clusters else ", not judged: the algorithm looks for shapes that are not round"),
        advice="The clusters hardly differ: use other features, or these customers have no segments.",
    )


def _judge_matches(inputs: GateInputs, threshold: float | None) -> Judgement:
    known = [match for match in inputs.matches if match.through != "new"]
    weakest = min(known, key=lambda match: match.confidence, default=None)
    doubtful = [match for match in known if threshold is not None and match.confidence < threshold]
    message = "; ".join(_describe_doubt(match, inputs) for match in doubtful)
    if not message:
        message = (
            "no segment was matched with an earlier one"
            if weakest is None
            else f"the least certain match is segment {weakest.segment_id}'s: confidence {weakest.confidence:.2f}"
        )
    return Judgement(
        value=weakest.confidence if weakest is not None else None,
        failed=bool(doubtful),
        message=message,
        advice="Another matching is nearly as good: look at both before campaigns rely on the id.",
    )


def _describe_doubt(match: Match, inputs: GateInputs) -> str:
    segment_of = {other.cluster: other.segment_id for other in inputs.matches}
    sizes = inputs.segment_sizes
    rivals = []
    if match.rival_segment_id is not None:
        rivals.append(f"these {sizes.get(match.segment_id, 0):,} customers could be segment {match.rival_segment_id}")
    if match.rival_cluster is not None:
        other = segment_of[match.rival_cluster]
        rivals.append(f"the {sizes.get(other, 0):,} customers that are segment {other} could be {match.segment_id}")
    alternatives = " and ".join(rivals) or "no other matching comes near"
    return f"segment {match.segment_id} is ambiguous (confidence {match.confidence:.2f}): {alternatives}"


def _judge_outcomes(inputs: GateInputs, threshold: float | None) -> Judgement:
    measured = [outcome for outcome in inputs.outcomes if outcome.effect is not None]
    best = max((outcome.effect or 0.0 for outcome in measured), default=None)
    same = bool(measured) and not any(outcome.differ for outcome in measured)
    weak = best is not None and threshold is not None and best < threshold
    return Judgement(
        value=best,
        failed=same or weak,
        message="; ".join(outcome.sentence for outcome in inputs.outcomes) or "no outcomes are named",
        advice="The segments are labels for the same customers: choose features that relate to the outcome.",
    )


def _judge_moved(inputs: GateInputs, threshold: float | None) -> Judgement:
    if not inputs.n_shared:
        return Judgement(value=None, failed=False, message="no customers in common with a parent snapshot")
    share = inputs.n_moved / inputs.n_shared
    return Judgement(
        value=share,
        failed=threshold is not None and share > threshold,
        message=f"{inputs.n_moved:,} of {inputs.n_shared:,} customers known to {inputs.parent_partition} change "
        f"segment ({share:.1%})",
        advice="Compare features and source with that period; the profiles of the segments show what changed.",
    )


GATES: Final = (
    GateRule(
        "counts_add_up",
        _judge_counts,
        fixed=Gate(threshold=0.0, severity="block"),
        question="Every extracted row is assigned, unassigned or rejected: no row is lost unnoticed. Always on.",
    ),
    GateRule("structure", _judge_structure),
    GateRule("min_segment_share", _judge_smallest_segment),
    GateRule("max_row_drop", _judge_row_drop),
    GateRule("max_rejected_share", _judge_rejected_share),
    GateRule("min_silhouette", _judge_silhouette),
    GateRule("match_confidence", _judge_matches),
    GateRule("outcomes", _judge_outcomes),
    GateRule("max_moved", _judge_moved),
)
GATE_NAMES: Final = tuple(rule.name for rule in GATES)
