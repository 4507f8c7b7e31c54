"""Rolling back: pointer, statuses and target in one transaction, and what cannot be rolled back to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.books import PUBLISH, Books

from segmentation_pipeline.errors import DecisionRefusedError, TargetError
from segmentation_pipeline.lifecycle.rollback import rollback
from segmentation_pipeline.model.receipts import RollbackReceipt
from segmentation_pipeline.storage.registry import assignments, snapshots

if TYPE_CHECKING:
    from segmentation_pipeline.model import Status
    from segmentation_pipeline.spec import PublishSpec

ALL = {1: 1, 2: 1, 3: 2, 4: 2, 5: 1, 6: 2}


def _rollback(
    books: Books, snapshot_id: int, *, reason: str | None = None, spec: PublishSpec = PUBLISH
) -> RollbackReceipt:
    with books.engine.begin() as connection:
        return rollback(connection, spec, "shop", snapshot_id, who="anna", reason=reason)


def _everything(books: Books) -> list[object]:
    return [
        books.rows("SELECT user_id, segment_id, last_updated, xmin::text FROM target ORDER BY 1"),
        books.rows("SELECT snapshot_id, status, published_at FROM segmentation.snapshot ORDER BY 1"),
        books.rows("SELECT * FROM segmentation.segmentation ORDER BY 1"),
        books.rows("SELECT * FROM segmentation.decision ORDER BY 1"),
    ]


def test_a_rollback_restores_target_pointer_and_statuses(books: Books) -> None:
    """Two months back: both newer ones are rolled back, only rows that differ are touched, and it is noted."""
    january = books.align(1)
    books.publish(january, ALL)
    february = books.align(2)
    books.publish(february, ALL | {1: 2})
    march = books.align(3)
    books.publish(march, ALL | {1: 2, 3: 1})
    before, versions = books.target("last_updated"), books.target("xmin::text")
    receipt = _rollback(books, january, reason="last year's prices")
    assert receipt == RollbackReceipt(
        january, "2024-01-01", changed=2, unchanged=4, emptied=0, not_in_target=0,
        rolled_back=(february, march), declined=(),
    )  # fmt: skip
    assert books.target() == ALL
    assert {user for user in ALL if books.target("xmin::text")[user] != versions[user]} == {1, 3}
    assert {user for user in ALL if books.target("last_updated")[user] != before[user]} == {1, 3}
    statuses = [books.status(snapshot) for snapshot in (january, february, march)]
    assert (statuses, books.current()) == (["published", "rolled_back", "rolled_back"], january)
    assert books.decisions(january) == [("rollback", "anna", "last year's prices")]


@pytest.mark.parametrize("absent", ["keep", "clear"])
def test_customers_it_does_not_know_are_emptied_and_counted(books: Books, absent: str) -> None:
    """Rule 11: newcomers of the later month lose their segment, whatever `absent` says; those without one are not touched."""
    spec = PUBLISH.model_copy(update={"absent": absent})
    january = books.align(1)
    books.publish(january, {1: 1, 2: 1, 3: 2}, spec)
    books.publish(books.align(2), {1: 1, 2: 1, 3: 2, 4: 2, 5: 1}, spec)
    versions = books.target("xmin::text")
    receipt = _rollback(books, january, spec=spec)
    assert (receipt.changed, receipt.unchanged, receipt.emptied) == (0, 3, 2)
    assert books.target() == {1: 1, 2: 1, 3: 2, 4: None, 5: None, 6: None}
    assert {user for user in ALL if books.target("xmin::text")[user] != versions[user]} == {4, 5}


def test_a_superseded_version_can_be_restored(books: Books) -> None:
    """Back to the first version of the same month: the second is rolled back and the first is published again."""
    first, second = books.align(1), None
    books.publish(first, ALL)
    second = books.align(1)
    books.publish(second, ALL | {6: 1})
    receipt = _rollback(books, first)
    assert (books.status(first), books.status(second), books.current()) == ("published", "rolled_back", first)
    assert (receipt.changed, books.target()) == (1, ALL)


def test_what_waits_later_is_declined(books: Books) -> None:
    """A waiting snapshot newer than the restored one is declined with the reason; an older waiting one goes on waiting."""
    older = books.align(1, status="waiting")
    february = books.align(2)
    books.publish(february, ALL)
    books.publish(books.align(3), ALL)
    april = books.align(4, status="waiting")
    receipt = _rollback(books, february, reason="prices")
    assert receipt.declined == (april,)
    assert (books.status(older), books.status(april)) == ("waiting", "declined")
    assert books.decisions(april) == [
        ("decline", "anna", f"rolled back to snapshot {february} (2024-02-01 v1): prices")
    ]


def test_the_restored_snapshot_is_the_parent_of_the_next_month(books: Books) -> None:
    """Rolled-back snapshots are not parents, and the next publication goes on from the restored one."""
    january = books.align(1)
    books.publish(january, ALL)
    books.publish(books.align(2), ALL | {1: 2})
    _rollback(books, january)
    with books.engine.begin() as connection:
        parent = snapshots.find_parent(connection, "shop", snapshots.list_snapshots(connection, "shop")[-1].as_of)
    assert parent is not None
    assert parent.snapshot_id == january
    again = books.align(2)
    assert books.publish(again, ALL | {2: 2}).became_current


@pytest.mark.parametrize("status", ["candidate", "rejected", "waiting", "declined", "rolled_back"])
def test_what_was_not_published_cannot_be_restored(books: Books, status: Status) -> None:
    """Only published and superseded snapshots; the message names the status and nothing changes."""
    snapshot_id = books.align(1, status=status)
    books.publish(books.align(2), ALL)
    before = _everything(books)
    with pytest.raises(DecisionRefusedError, match=rf"snapshot {snapshot_id} \(2024-01-01 v1\) is {status}"):
        _rollback(books, snapshot_id)
    assert _everything(books) == before


def test_the_current_snapshot_cannot_be_restored(books: Books) -> None:
    """There is nothing to roll back to what is current, and a second rollback to the same says so."""
    january = books.align(1)
    books.publish(january, ALL)
    books.publish(books.align(2), ALL)
    _rollback(books, january)
    before = _everything(books)
    with pytest.raises(DecisionRefusedError, match="is the current one already"):
        _rollback(books, january)
    assert _everything(books) == before


def test_unknown_and_foreign_snapshots_are_refused(books: Books) -> None:
    """An id that is not there, and another segmentation's."""
    other = Books(books.engine, name="other")
    other.register()
    foreign = other.align(1, status="published")
    with pytest.raises(DecisionRefusedError, match="shop has no snapshot 99"):
        _rollback(books, 99)
    with pytest.raises(DecisionRefusedError, match=f"snapshot {foreign} is of other"):
        _rollback(books, foreign)


def test_a_snapshot_whose_customers_were_dropped_is_refused(books: Books) -> None:
    """After retention there is nothing to rewrite the target from; the message says to run the partition again."""
    ids = []
    for number in (1, 2, 3):
        ids.append(books.align(number))
        books.publish(ids[-1], ALL)
    with books.engine.begin() as connection:
        ledger = snapshots.lock(connection, "shop")
        assert ledger is not None
        assert assignments.keep_newest(connection, ledger, 2) == [ids[0]]
    before = _everything(books)
    with pytest.raises(DecisionRefusedError, match=r"retention.*segmentation run shop --partition 2024-01-01"):
        _rollback(books, ids[0])
    assert _everything(books) == before


def test_a_failure_leaves_everything_as_it_was(books: Books) -> None:
    """A target that cannot be written undoes statuses, pointer and decision too."""
    january = books.align(1)
    books.publish(january, ALL)
    books.publish(books.align(2), ALL | {5: 2})
    books.execute("CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'disk on fire'; END $$")
    books.execute("CREATE TRIGGER fail BEFORE UPDATE ON target FOR EACH ROW EXECUTE FUNCTION fail()")
    before = _everything(books)
    with pytest.raises(Exception, match="disk on fire"):
        _rollback(books, january)
    assert _everything(books) == before
    books.execute("DROP TRIGGER fail ON target")
    books.execute("ALTER TABLE target DROP COLUMN last_updated")
    with pytest.raises(TargetError, match="lacks columns"):
        _rollback(books, january)
    assert books.status(january) == "published"
    assert books.decisions(january) == []
