"""When a person must look at a snapshot before it is published."""

from dataclasses import replace
from typing import Any

import pytest

from segmentation_pipeline.analysis.quality.approval import Change, list_reasons_to_wait
from segmentation_pipeline.model import Event, LineageEvent
from segmentation_pipeline.spec import Approval

KEPT = (LineageEvent(1, "kept", evidence=0.9), LineageEvent(2, "kept", evidence=0.8))
CALM = Change(
    is_first=False,
    has_parent=True,
    events=KEPT,
    k=2,
    k_before=2,
    partition_before="2024-01-01",
    n_shared=100,
    n_moved=5,
)
BORN = (LineageEvent(1, "born"), LineageEvent(2, "born"))
FIRST = replace(CALM, is_first=True, has_parent=False, events=BORN, k_before=None, partition_before=None, n_shared=0)


def _reasons(approval: Approval = "on_change", *, max_moved: float | None = 0.3, **changes: Any) -> tuple[str, ...]:
    """The reasons of the calm period with changes."""
    return list_reasons_to_wait(approval, replace(CALM, **changes), max_moved=max_moved)


def test_a_period_without_changes_does_not_wait() -> None:
    """The same K, the same segments and few movers: published without a person."""
    assert _reasons() == ()


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({"k": 3}, ("K is 3; it was 2 in 2024-01-01",)),
        ({"events": (*KEPT, LineageEvent(3, "born"))}, ("segment 3 is born",)),
        ({"events": (*KEPT, LineageEvent(3, "born", evidence=0.7))}, ("segment 3 is born",)),
        (
            {"events": (*KEPT, LineageEvent(3, "born"), LineageEvent(3, "split_from", 1, 0.4))},
            ("segment 3 is born, split from 1",),
        ),
        ({"events": (KEPT[0], LineageEvent(2, "retired"))}, ("segment 2 is retired",)),
        (
            {"events": (KEPT[0], LineageEvent(2, "retired"), LineageEvent(2, "merged_into", 1, 0.9))},
            ("segment 2 is retired, merged into 1",),
        ),
        ({"events": (*KEPT, LineageEvent(3, "returned", evidence=0.6))}, ("segment 3 returns",)),
        ({"n_moved": 31}, ("31 of 100 customers change segment: 31.0%, more than gates.max_moved 0.3",)),
    ],
)
def test_on_change_each_change_is_a_reason(changes: dict[str, Any], reasons: tuple[str, ...]) -> None:
    """Another K, a birth, a retirement, a return and too many movers are each a reason, in a sentence."""
    assert _reasons(**changes) == reasons


def test_all_reasons_are_named() -> None:
    """A period with several changes names each of them."""
    events = (KEPT[0], LineageEvent(2, "retired"), LineageEvent(3, "born"), LineageEvent(4, "born"))
    reasons = _reasons(k=3, n_moved=60, events=events)
    assert len(reasons) == 5


@pytest.mark.parametrize(("n_moved", "max_moved"), [(30, 0.3), (100, None), (0, 0.0)])
def test_as_many_movers_as_allowed_are_no_reason(n_moved: int, max_moved: float | None) -> None:
    """A share at the limit is no reason, and without a limit no share is."""
    assert _reasons(n_moved=n_moved, max_moved=max_moved) == ()


def test_without_a_parent_only_new_ids_are_news() -> None:
    """A rerun of the first period finds its segments in the earlier version; an unknown one is a birth."""
    known: tuple[LineageEvent, ...] = (LineageEvent(1, "born", evidence=0.9), LineageEvent(2, "born", evidence=0.9))
    alone: dict[str, Any] = {"has_parent": False, "n_shared": 0, "n_moved": 0}
    assert _reasons(events=known, **alone) == ()
    assert _reasons(events=(*known, LineageEvent(3, "born")), **alone) == ("segment 3 is born",)


def test_the_first_snapshot_ever_is_published_on_change_and_waits_under_manual() -> None:
    """Nothing can change before something was published; `manual` waits all the same, and births are not a reason."""
    assert list_reasons_to_wait("on_change", FIRST, max_moved=0.3) == ()
    assert list_reasons_to_wait("manual", FIRST, max_moved=0.3) == (
        "publish.approval is manual: every snapshot waits for a person",
    )


def test_manual_always_waits_and_names_the_changes() -> None:
    """Every snapshot waits; the changes are named too."""
    assert len(_reasons("manual")) == 1
    assert _reasons("manual", k=3)[1] == "K is 3; it was 2 in 2024-01-01"


@pytest.mark.parametrize("event", ["born", "retired", "returned"])
def test_auto_never_waits(event: Event) -> None:
    """Whatever changes, `auto` publishes."""
    assert _reasons("auto", k=5, n_moved=100, events=(LineageEvent(9, event),)) == ()
