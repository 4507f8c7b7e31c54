"""A person's decisions about waiting snapshots: who, when, why, and what makes no sense."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from support.books import Books, month

from segmentation_pipeline.cli.views import describe_waiting
from segmentation_pipeline.errors import DecisionPendingError, DecisionRefusedError, NotAcceptedError
from segmentation_pipeline.lifecycle import decide
from segmentation_pipeline.model import GateResult, Period
from segmentation_pipeline.storage.registry.status import read_decision_log, read_status

if TYPE_CHECKING:
    from collections.abc import Callable

    from segmentation_pipeline.model import Snapshot, Status

ALL = {1: 1, 2: 1, 3: 2, 4: 2, 5: 1, 6: 2}
REASONS = ("K is 3; it was 2 in 2024-01-01", "segment 3 is born")
FAILED = GateResult("min_silhouette", passed=False, severity="block", value=0.0, threshold=0.1, message="too low")


def _approve(
    books: Books, snapshot_id: int, *, who: str = "anna", reason: str | None = None
) -> decide.ApprovedSnapshot:
    with books.engine.begin() as connection:
        return decide.approve(connection, "shop", snapshot_id, who=who, reason=reason)


def _decline(books: Books, snapshot_id: int, *, who: str = "anna", reason: str | None = None) -> Snapshot:
    with books.engine.begin() as connection:
        return decide.decline(connection, "shop", snapshot_id, who=who, reason=reason)


def _require_none_pending(books: Books, number: int) -> None:
    partition, as_of = month(number)
    with books.engine.begin() as connection:
        decide.require_none_pending(connection, "shop", Period(partition, as_of - timedelta(28), as_of))


def _waiting(books: Books, number: int = 2) -> int:
    return books.align(number, status="waiting", reasons=REASONS)


@pytest.fixture
def waiting(books: Books) -> int:
    """A waiting February after a published January."""
    books.publish(books.align(1), ALL)
    return _waiting(books)


def test_an_approved_snapshot_still_waits_until_its_publication(books: Books, waiting: int) -> None:
    """Approving writes who, when and why and changes nothing else; publishing then sets the status."""
    with pytest.raises(NotAcceptedError, match=f"segmentation approve shop {waiting}"):
        books.publish(waiting, ALL)
    approved = _approve(books, waiting, reason="spring campaign")
    assert not approved.already
    assert (books.status(waiting), books.decisions(waiting)) == ("waiting", [("approve", "anna", "spring campaign")])
    (at,) = books.rows("SELECT at FROM segmentation.decision")[0]
    assert abs(datetime.now(tz=UTC) - at) < timedelta(minutes=5)
    assert books.publish(waiting, ALL | {1: 2}).changed == 1
    assert (books.status(waiting), books.current()) == ("published", waiting)


def test_approving_twice_keeps_the_first_decision(books: Books, waiting: int) -> None:
    """A second approval before the publication is a no-op that names the first."""
    _approve(books, waiting)
    again = _approve(books, waiting, who="ben", reason="again")
    assert (again.already, again.decision.who) == (True, "anna")
    assert books.decisions(waiting) == [("approve", "anna", None)]


def test_approvals_at_once_are_one_decision(books: Books, waiting: int) -> None:
    """Four people approve at the same moment: one decision is written, the others hear of it."""
    found: list[decide.ApprovedSnapshot] = []
    threads = [threading.Thread(target=lambda: found.append(_approve(books, waiting))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(receipt.already for receipt in found) == [False, True, True, True]
    assert books.decisions(waiting) == [("approve", "anna", None)]


def test_a_declined_snapshot_is_not_published(books: Books, waiting: int) -> None:
    """Declining writes the decision and the status, and the publication refuses it."""
    assert _decline(books, waiting, reason="wrong import").status == "declined"
    assert (books.status(waiting), books.decisions(waiting)) == ("declined", [("decline", "anna", "wrong import")])
    with pytest.raises(NotAcceptedError, match="declined"):
        books.publish(waiting, ALL)


def test_an_approval_can_be_taken_back_before_the_publication(books: Books, waiting: int) -> None:
    """Declined after it was approved and before it was published: it is not published, and both decisions are kept."""
    _approve(books, waiting)
    _decline(books, waiting, who="ben")
    assert [decision[:2] for decision in books.decisions(waiting)] == [("approve", "anna"), ("decline", "ben")]
    with pytest.raises(NotAcceptedError):
        books.publish(waiting, ALL)


@pytest.mark.parametrize("act", [_approve, _decline])
@pytest.mark.parametrize(
    ("status", "advice"),
    [
        ("candidate", "does not wait for a person"),
        ("rejected", "gates failed: min_silhouette: too low"),
        ("published", "segmentation rollback shop SNAPSHOT_ID"),
        ("declined", "segmentation run shop --partition 2024-01-01"),
        ("superseded", "newer version"),
        ("rolled_back", "segmentation run shop --partition 2024-01-01"),
    ],
)
def test_what_does_not_wait_cannot_be_decided(
    books: Books, act: Callable[[Books, int], object], status: Status, advice: str
) -> None:
    """Only a waiting snapshot is approved or declined; the message says what it is and what to do; nothing is written."""
    snapshot_id = books.align(1, status=status, gates=(FAILED,))
    with pytest.raises(DecisionRefusedError, match=advice) as caught:
        act(books, snapshot_id)
    assert f"snapshot {snapshot_id} (2024-01-01 v1) is {status}" in str(caught.value)
    assert (books.status(snapshot_id), books.decisions(snapshot_id)) == (status, [])


def test_a_second_decision_names_who_decided(books: Books, waiting: int) -> None:
    """Who approves what another has declined hears who that was, and why."""
    _decline(books, waiting, who="ben", reason="wrong import")
    with pytest.raises(DecisionRefusedError, match=r"ben declined it on \d{4}-\d\d-\d\d \(wrong import\)"):
        _approve(books, waiting)


@pytest.mark.parametrize("act", [_approve, _decline])
def test_an_id_that_is_not_there_or_anothers_is_refused(books: Books, act: Callable[[Books, int], object]) -> None:
    """An unknown id and another segmentation's waiting snapshot are refused by name."""
    other = Books(books.engine, name="other")
    other.register()
    foreign = other.align(1, status="waiting")
    with pytest.raises(DecisionRefusedError, match="shop has no snapshot 99; `segmentation status shop`"):
        act(books, 99)
    with pytest.raises(DecisionRefusedError, match=f"snapshot {foreign} is of other"):
        act(books, foreign)
    assert other.status(foreign) == "waiting"


def test_a_segmentation_that_never_ran_has_nothing_to_decide(books: Books) -> None:
    """Before the first run a decision is refused like an unknown id."""
    with books.engine.begin() as connection, pytest.raises(DecisionRefusedError, match="never has no snapshot 1"):
        decide.approve(connection, "never", 1, who="anna", reason=None)


@pytest.mark.parametrize("who", ["", "  "])
def test_nobody_cannot_decide(books: Books, waiting: int, who: str) -> None:
    """A decision without a name is refused and leaves the snapshot waiting."""
    for act in (_approve, _decline):
        with pytest.raises(DecisionRefusedError, match="`who` is empty"):
            act(books, waiting, who=who)
    assert (books.status(waiting), books.decisions(waiting)) == ("waiting", [])


@pytest.mark.parametrize("newer", ["candidate", "waiting", "published"])
def test_an_older_version_is_not_approved(books: Books, waiting: int, newer: Status) -> None:
    """Of two versions of a partition only the newest can be approved."""
    other = books.align(2, status=newer)
    with pytest.raises(DecisionRefusedError, match=rf"version 2 \(snapshot {other}\) is {newer}"):
        _approve(books, waiting)
    assert books.decisions(waiting) == []


def test_a_rejected_rerun_leaves_the_older_version_to_be_approved(books: Books, waiting: int) -> None:
    """A newer version that its gates rejected replaces nothing."""
    books.align(2, status="rejected")
    _approve(books, waiting)
    assert books.publish(waiting, ALL).became_current


def test_a_changed_parent_is_refused(books: Books, waiting: int) -> None:
    """What was aligned with a parent that was replaced must be run again."""
    again = books.align(1)
    books.publish(again, ALL)
    with pytest.raises(DecisionRefusedError, match=f"parent is now {again}.*segmentation run shop --partition 2024-02"):
        _approve(books, waiting)
    assert books.decisions(waiting) == []


def test_a_waiting_month_blocks_the_later_ones_only(books: Books, waiting: int) -> None:
    """Rule 10: later partitions are refused with its name, reasons and commands; the same and earlier ones are not."""
    for number in (1, 2):
        _require_none_pending(books, number)
    with pytest.raises(DecisionPendingError) as caught:
        _require_none_pending(books, 3)
    for part in (
        f"snapshot {waiting} (2024-02-01 v1)", "2024-03-01", *REASONS,
        f"segmentation approve shop {waiting}", f"segmentation decline shop {waiting}",
    ):  # fmt: skip
        assert part in str(caught.value)
    _decline(books, waiting)
    _require_none_pending(books, 3)


def test_an_approved_month_blocks_until_it_is_published(books: Books, waiting: int) -> None:
    """Between approval and publication the message says who approved and how to publish."""
    _approve(books, waiting)
    with pytest.raises(DecisionPendingError, match=f"approved by anna and is not published.*approve shop {waiting}"):
        _require_none_pending(books, 3)
    books.publish(waiting, ALL)
    _require_none_pending(books, 3)


def test_another_segmentations_waiting_month_blocks_nothing(books: Books) -> None:
    """Each segmentation waits for its own."""
    other = Books(books.engine, name="other")
    other.register()
    other.align(1, status="waiting")
    _require_none_pending(books, 3)


def test_a_new_version_declines_the_waiting_one(books: Books, waiting: int) -> None:
    """A rerun's version takes the place of the waiting one, with the run as who; other months are left alone."""
    march, newer = _waiting(books, 3), _waiting(books)
    with books.engine.begin() as connection:
        decide.replace_waiting(connection, "shop", "2024-02-01", by=newer, who="run abc")
    assert (books.status(waiting), books.status(newer), books.status(march)) == ("declined", "waiting", "waiting")
    assert books.decisions(waiting) == [("decline", "run abc", "replaced by version 2")]


def test_status_tells_what_waits_and_who_decided(books: Books, waiting: int) -> None:
    """For people: the waiting snapshots with reasons and commands, and every decision in order; not in the contract's object."""
    march = _waiting(books, 3)
    _decline(books, waiting, reason="wrong import")
    _approve(books, march, who="ben")
    with books.engine.begin() as connection:
        log = read_decision_log(connection, "shop")
        assert set(read_status(connection, "shop")) == {"segmentation", "current_snapshot_id", "snapshots", "segments"}
    made = [(entry.label, entry.decision.action, entry.decision.who, entry.decision.reason) for entry in log.decisions]
    assert made == [
        (f"snapshot {waiting} (2024-02-01 v1)", "decline", "anna", "wrong import"),
        (f"snapshot {march} (2024-03-01 v1)", "approve", "ben", None),
    ]
    (pending,) = log.waiting
    assert (pending.snapshot.label, pending.approved_by) == (f"snapshot {march} (2024-03-01 v1)", "ben")
    assert describe_waiting(pending.snapshot) == [
        *REASONS,
        f"segmentation approve shop {march}",
        f"segmentation decline shop {march}",
    ]
