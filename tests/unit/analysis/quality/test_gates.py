"""The checks a snapshot must pass."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segmentation_pipeline.analysis.quality.gates import GATE_NAMES, GateInputs, evaluate
from segmentation_pipeline.model import GateResult, Match, OutcomeEffect, StructureVerdict
from segmentation_pipeline.spec import GatesSpec

GOOD = GateInputs(
    n_extracted=1000,
    n_assigned=900,
    n_unassigned=40,
    n_rejected=60,
    segment_sizes={1: 500, 2: 400},
    silhouette=0.4,
    structure=StructureVerdict("structure", z=12.0, score=0.5, reason="cluster structure: clear"),
    parent_partition="2024-01-01",
    parent_n_rows=1100,
    n_shared=800,
    n_moved=40,
)


def _gate(name: str, gates: dict[str, Any] | None = None, **changes: Any) -> GateResult:
    """The result of one gate on the good inputs with changes."""
    results = evaluate(replace(GOOD, **changes), GatesSpec(**(gates or {})))
    return next(result for result in results if result.name == name)


def test_good_inputs_pass_every_gate() -> None:
    """Each gate has one result, in the order of the names, and good inputs pass them all."""
    results = evaluate(GOOD, GatesSpec())

    assert tuple(result.name for result in results) == GATE_NAMES
    assert all(result.passed for result in results)
    warning = [result.name for result in results if result.severity == "warn"]
    assert warning == ["match_confidence", "outcomes", "max_moved"]


@pytest.mark.parametrize(
    ("name", "threshold", "changes", "value", "passed"),
    [
        ("min_segment_share", 0.1, {"segment_sizes": {1: 810, 2: 90}}, 0.1, True),
        ("min_segment_share", 0.1, {"segment_sizes": {1: 811, 2: 89}}, 89 / 900, False),
        ("max_row_drop", 0.3, {"parent_n_rows": 100, "n_extracted": 70}, 0.3, True),
        ("max_row_drop", 0.3, {"parent_n_rows": 1000, "n_extracted": 699}, 0.301, False),
        ("max_row_drop", 0.3, {"parent_n_rows": 500, "n_extracted": 1000}, -1.0, True),
        ("max_rejected_share", 0.2, {"n_rejected": 200}, 0.2, True),
        ("max_rejected_share", 0.2, {"n_rejected": 201}, 0.201, False),
        ("structure", 3.0, {"structure": StructureVerdict("structure", 3.0, 0.4, "clear")}, 3.0, True),
        ("structure", 3.0, {"structure": StructureVerdict("none", 2.9, 0.4, "noise")}, 2.9, False),
        ("min_silhouette", 0.25, {"silhouette": 0.25}, 0.25, True),
        ("min_silhouette", 0.25, {"silhouette": 0.2499}, 0.2499, False),
        ("max_moved", 0.3, {"n_shared": 100, "n_moved": 30}, 0.3, True),
        ("max_moved", 0.3, {"n_shared": 1000, "n_moved": 301}, 0.301, False),
    ],
)
def test_a_gate_fails_beyond_its_threshold_and_not_at_it(
    name: str, threshold: float, changes: dict[str, Any], value: float, passed: bool
) -> None:
    """A value at the threshold passes, one beyond it fails, and both are reported."""
    result = _gate(name, {name: threshold}, **changes)

    assert result.passed is passed
    assert result.value == pytest.approx(value)
    assert result.threshold == threshold


@given(parent=st.integers(1, 1000), percent=st.integers(0, 100))
@settings(deadline=None, max_examples=50)
def test_a_drop_by_exactly_the_limit_passes(parent: int, percent: int) -> None:
    """Rounding does not turn a drop of exactly the allowed share into a larger one."""
    result = _gate(
        "max_row_drop",
        {"max_row_drop": percent / 100},
        parent_n_rows=parent * 100,
        n_extracted=parent * (100 - percent),
    )

    assert result.passed


@pytest.mark.parametrize("severity", ["warn", "block"])
def test_the_severity_is_that_of_the_spec(severity: str) -> None:
    """A failed gate says whether it blocks or only warns."""
    result = _gate("min_silhouette", {"min_silhouette": {"threshold": 0.9, "severity": severity}})

    assert (result.passed, result.severity) == (False, severity)


@pytest.mark.parametrize("name", [name for name in GATE_NAMES if name not in {"counts_add_up", "outcomes"}])
def test_a_gate_without_a_threshold_always_passes(name: str) -> None:
    """A threshold of null switches a gate off; its value is still reported."""
    bad: dict[str, Any] = {
        "n_extracted": 1, "n_rejected": 1, "silhouette": -1.0, "segment_sizes": {1: 1, 2: 899}, "parent_n_rows": 10**6,
        "structure": StructureVerdict("none", -1.0, 0.1, "noise"), "matches": (Match(0, 1, 0.5, "parent", 0.0),),
        "n_moved": 800,
    }  # fmt: skip

    off, on = _gate(name, {name: {"threshold": None}}, **bad), _gate(name, **bad)

    assert (off.passed, on.passed) == (True, False)
    assert off.value == on.value
    assert off.threshold is None


@pytest.mark.parametrize(
    "changes", [{"n_assigned": 899}, {"n_extracted": 1001}, {"n_rejected": 61}, {"n_unassigned": 39}]
)
def test_a_row_unaccounted_for_blocks(changes: dict[str, int]) -> None:
    """Assigned, unassigned and rejected rows that do not add up to the extracted rows block, whatever the spec says."""
    result = _gate("counts_add_up", **changes)

    assert (result.passed, result.severity) == (False, "block")
    assert "does not hold" in result.message


def test_the_counts_are_written_out() -> None:
    """The message has the sum that must hold."""
    assert _gate("counts_add_up").message == "extracted 1,000 = assigned 900 + unassigned 40 + rejected 60"


@pytest.mark.parametrize("parent", [{"parent_n_rows": None, "parent_partition": None}, {"parent_n_rows": 0}])
def test_without_a_parent_no_row_can_be_lost(parent: dict[str, Any]) -> None:
    """The first snapshot, and one after an empty one, have nothing to compare with and pass."""
    result = _gate("max_row_drop", {"max_row_drop": 0}, **parent)

    assert (result.passed, result.value) == (True, None)
    assert "no parent snapshot to compare with" in result.message


def test_a_silhouette_of_nan_fails() -> None:
    """A silhouette that could not be computed is not a good one."""
    assert not _gate("min_silhouette", silhouette=float("nan")).passed


def test_a_failure_says_what_was_found_what_was_wanted_and_what_to_do() -> None:
    """The message of a failed gate has the values, the limit and advice; a passed one has no advice."""
    failed = _gate("min_segment_share", segment_sizes={4: 895, 7: 5})
    passed = _gate("min_segment_share")

    assert failed.message == (
        "segment 7 is the smallest: 5 customers, 0.56% (limit 0.01). A few customers far from the rest form a "
        "segment: look at them, transform the feature (log1p), or lower K."
    )
    assert passed.message == "segment 2 is the smallest: 400 customers, 44.44% (limit 0.01)"


def test_without_rows_there_is_no_division_by_zero() -> None:
    """Zero rows and a single empty segment are judged without an error."""
    empty = replace(GOOD, n_extracted=0, n_assigned=0, n_unassigned=0, n_rejected=0, segment_sizes={1: 0})

    results = {result.name: result for result in evaluate(empty, GatesSpec())}

    assert results["counts_add_up"].passed
    assert not results["max_row_drop"].passed
    assert not results["min_segment_share"].passed
    assert results["max_rejected_share"].value == 0.0


def test_doubtful_structure_warns_and_does_not_block() -> None:
    """Above the null models but without a valley that holds: not passed, a warning, and the reason of the test."""
    result = _gate("structure", structure=StructureVerdict("doubtful", 5.0, 0.3, "no valley on held-out customers"))

    assert (result.passed, result.severity, result.value) == (False, "warn", 5.0)
    assert result.message == "no valley on held-out customers"


def test_no_structure_blocks_and_says_what_to_do() -> None:
    """Within reach of noise: a blocking failure with the reason and advice."""
    result = _gate("structure", structure=StructureVerdict("none", 0.4, 0.3, "no cluster structure: 0.3"))

    assert (result.passed, result.severity) == (False, "block")
    assert result.message == (
        "no cluster structure: 0.3 (limit 3). K-Means cuts any data; on these features the customers form no groups. "
        "Add or change features."
    )


def test_no_round_structure_only_warns_for_an_algorithm_of_other_shapes() -> None:
    """The null model is that of K-Means: its verdict on chains and rings is reported, and blocks nothing."""
    noise = StructureVerdict("none", 0.4, 0.3, "no cluster structure: 0.3")

    assert _gate("structure", structure=noise, round_clusters=False).severity == "warn"
    assert _gate("structure", structure=noise, round_clusters=True).severity == "block"


def _effect(effect: float | None, *, differ: bool) -> OutcomeEffect:
    return OutcomeEffect("converted", "V", effect, 0.0, 0.1, 0.5, 0.5, differ, 900, 0, f"V = {effect}")


def test_segments_that_differ_in_no_outcome_are_a_warning() -> None:
    """Indistinguishable in every outcome: a warning with the effects; in one of them different: passed."""
    same = _gate("outcomes", outcomes=(_effect(0.01, differ=False), _effect(None, differ=False)))
    assert (same.passed, same.severity, same.value) == (False, "warn", 0.01)
    assert same.message.startswith("V = 0.01; V = None. The segments are labels for the same customers")
    assert _gate("outcomes", outcomes=(_effect(0.01, differ=False), _effect(0.2, differ=True))).passed
    assert _gate("outcomes").message == "no outcomes are named"


def test_an_effect_below_the_threshold_fails() -> None:
    """A threshold demands an effect of that size, and may block."""
    gates = {"outcomes": {"threshold": 0.1, "severity": "block"}}
    failed = _gate("outcomes", gates, outcomes=(_effect(0.05, differ=True),))
    assert (failed.passed, failed.severity) == (False, "block")
    assert _gate("outcomes", gates, outcomes=(_effect(0.15, differ=True),)).passed


def test_an_ambiguous_match_is_a_warning_with_both_candidates() -> None:
    """Where another matching is nearly as good, the gate names the customers and the segments in question."""
    matches = (
        Match(0, 1, 0.5, "parent", confidence=0.04, rival_segment_id=3, rival_cluster=1),
        Match(1, 2, 0.0, "new"),
    )

    gate = _gate("match_confidence", matches=matches)

    assert (gate.passed, gate.severity, gate.value, gate.threshold) == (False, "warn", 0.04, 0.2)
    assert "these 500 customers could be segment 3" in gate.message
    assert "the 400 customers that are segment 2 could be 1" in gate.message


def test_certain_matches_and_first_periods_are_not_ambiguous() -> None:
    """A clear match passes with its confidence; where all segments are new there is nothing to doubt."""
    clear = _gate("match_confidence", matches=(Match(0, 1, 0.9, "parent"), Match(1, 2, 0.8, "parent", 0.7, 1)))
    first = _gate("match_confidence", matches=(Match(0, 1, 0.0, "new"), Match(1, 2, 0.0, "new")))

    assert (clear.passed, clear.value) == (True, 0.7)
    assert (first.passed, first.value) == (True, None)


def test_customers_who_move_are_compared_with_those_the_parent_knew() -> None:
    """The message has both counts and the parent's partition; without shared customers there is nothing to judge."""
    result = _gate("max_moved", n_moved=400)

    assert not result.passed
    assert result.severity == "warn"
    assert "400 of 800 customers known to 2024-01-01 change segment (50.0%) (limit 0.3)" in result.message
    nobody = _gate("max_moved", n_shared=0, n_moved=0)
    assert nobody.passed
    assert nobody.value is None
