"""The scorer on tiny runs whose faults are known."""

import math
from collections.abc import Mapping, Sequence

import pandas as pd
import pytest
from support.simulation.personas import Event
from support.simulation.truth import Offence, score_run

AWAY = 0


def _run(homes: Mapping[str, Sequence[int]], *, clusters: Mapping[str, Sequence[int]] | None = None) -> pd.DataFrame:
    """Ten customers a persona and month, all of them in the given segment; AWAY is not there, clusters are apart."""
    rows = []
    for number, (persona, ids) in enumerate(homes.items()):
        for month, segment in enumerate(ids):
            cluster = clusters[persona][month] if clusters else number
            if segment != AWAY:
                rows += [{"month": month, "persona": persona, "segment_id": segment, "cluster": cluster}] * 10
    return pd.DataFrame(rows)


def test_a_flawless_run_has_no_offence() -> None:
    """Where every home stays, all steps are kept and every list is empty."""
    score = score_run(_run({"a": [1, 1, 1], "b": [2, 2, 2]}))

    assert (score.segments.steps, score.segments.share) == (4, 1.0)
    assert score.others["cluster"].share == 1.0
    assert score.n_months == 3
    nothing = (score.impure_months, score.shared, score.returned_wrong, score.split_wrong, score.reused)
    assert not any((*nothing, score.taken_over, score.segments.broken, score.shared_in_impure))


def test_permuted_ids_break_every_step_and_are_taken_over() -> None:
    """Two ids that change places are two broken steps, and each is taken over by the other persona."""
    score = score_run(_run({"a": [1, 2], "b": [2, 1], "c": [3, 3]}))

    assert score.segments.share == pytest.approx(1 / 3)
    assert score.segments.broken == (Offence(1, ("a",), (1, 2)), Offence(1, ("b",), (2, 1)))
    assert score.segments.broken_in_pure == score.segments.broken
    assert score.taken_over == (Offence(1, ("b", "a"), (1,)), Offence(1, ("a", "b"), (2,))) or set(
        score.taken_over
    ) == {Offence(1, ("a", "b"), (1,)), Offence(1, ("b", "a"), (2,))}
    assert score.shared == ()


def test_permuted_clusters_are_told_from_permuted_ids() -> None:
    """The raw index and a baseline are scored by their own homes."""
    run = _run({"a": [1, 1], "b": [2, 2]}, clusters={"a": [0, 1], "b": [1, 0]})
    run["nearest"] = run["cluster"].where(run["month"] == 0, 7)

    score = score_run(run, baselines=["nearest"])

    assert score.segments.share == 1.0
    assert score.others["cluster"].share == 0.0
    assert score.others["nearest"].broken == (Offence(1, ("a",), (0, 7)), Offence(1, ("b",), (1, 7)))


def test_two_personas_at_one_home_share_it() -> None:
    """One id for two personas is a fault where the clusters are pure."""
    score = score_run(_run({"a": [1, 1], "b": [2, 1]}))

    assert score.shared == (Offence(1, ("a", "b"), (1,)),)
    assert score.shared_in_impure == ()


def test_one_cluster_of_two_personas_is_no_fault_of_the_ids() -> None:
    """Where one cluster holds both, the month is impure and the shared home is listed apart; the step is broken."""
    score = score_run(_run({"a": [1, 1], "b": [2, 1]}, clusters={"a": [0, 0], "b": [1, 0]}))

    assert score.impure_months == (1,)
    assert score.shared == ()
    assert score.shared_in_impure == (Offence(1, ("a", "b"), (1,)),)
    assert score.segments.broken == (Offence(1, ("b",), (2, 1)),)
    assert score.segments.broken_in_pure == ()


def test_nine_tenths_are_mainly_one_persona() -> None:
    """A cluster of nine to one is pure, of eight to two is not."""
    rows = [(0, "a")] * 9 + [(0, "b")] + [(1, "a")] * 8 + [(1, "b")] * 2
    run = pd.DataFrame(rows, columns=["month", "persona"]).assign(segment_id=1, cluster=0)

    assert score_run(run).impure_months == (1,)


@pytest.mark.parametrize(("back", "wrong"), [(2, ()), (3, (Offence(3, ("b",), (2, 3)),))])
def test_who_returns_wants_the_old_home(back: int, wrong: tuple[Offence, ...]) -> None:
    """A persona that was away makes no step, and its home is compared with its last one."""
    score = score_run(_run({"a": [1, 1, 1, 1], "b": [2, AWAY, AWAY, back]}))

    assert score.returns == 1
    assert score.returned_wrong == wrong
    assert score.segments.steps == 3


def test_an_id_that_comes_back_with_a_stranger_is_reused() -> None:
    """After a month without customers an id belongs to its earlier owner, and to no other persona."""
    score = score_run(_run({"a": [1, 1, 1, 1], "b": [2, AWAY, AWAY, 2], "c": [AWAY, AWAY, 3, 3]}))
    reused = score_run(_run({"a": [1, 1, 1], "b": [2, AWAY, AWAY], "c": [AWAY, AWAY, 2]}))

    assert score.reused == ()
    assert reused.reused == (Offence(2, ("b", "c"), (2,)),)
    assert reused.taken_over == ()


def test_a_retired_id_is_still_reused_by_who_had_another() -> None:
    """It is a fault even if the stranger was there all the time under another id."""
    score = score_run(_run({"a": [1, 1, 2], "b": [2, AWAY, AWAY]}))

    assert score.reused == (Offence(2, ("b", "a"), (2,)),)


@pytest.mark.parametrize(("after", "broken"), [(1, 0), (2, 0), (3, 1)])
def test_a_merged_persona_may_have_the_id_of_either_parent(after: int, broken: int) -> None:
    """Both meanings go on in it: only a third id breaks the step, and no parent's id counts as taken over."""
    merge = Event(kind="merge", month=1, persona="a", others=("b",))

    score = score_run(_run({"a": [1, after, after], "b": [2, AWAY, AWAY]}), [merge])

    assert score.segments.steps == 2
    assert len(score.segments.broken) == broken
    assert score.taken_over == ()
    assert score.reused == ()


@pytest.mark.parametrize(
    ("left", "right", "right_way"), [(1, 3, True), (3, 1, True), (1, 1, False), (3, 4, False), (1, 2, False)]
)
def test_a_split_gives_one_child_the_id_and_the_other_a_new_one(left: int, right: int, *, right_way: bool) -> None:
    """Not the same id twice, not two new ones, and not one that another persona has."""
    split = Event(kind="split", month=1, persona="a", others=("a1", "a2"))

    score = score_run(_run({"a": [1, AWAY], "a1": [AWAY, left], "a2": [AWAY, right], "b": [2, 2]}), [split])

    assert score.splits == 1
    assert score.split_wrong == (() if right_way else (Offence(1, ("a1", "a2"), (1, left, right)),))
    assert score.segments.steps == 1


def test_a_run_of_one_month_has_no_share() -> None:
    """Without a step there is nothing to keep."""
    assert math.isnan(score_run(_run({"a": [1]})).segments.share)


def test_customers_without_a_segment_are_left_out() -> None:
    """Outliers that are unassigned do not make a home."""
    run = _run({"a": [1, 1], "b": [2, 2]}).astype({"segment_id": "Int64"})
    run.loc[run.index[:8], "segment_id"] = pd.NA

    assert score_run(run).segments.share == 1.0
