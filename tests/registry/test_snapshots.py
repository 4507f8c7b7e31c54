"""What is recorded of a snapshot, what its parent is, and which snapshots and segments it is compared with."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
from support.books import Books, month

from segmentation_pipeline.errors import ConfigurationError
from segmentation_pipeline.lifecycle.precedence import list_built_on_older_parent
from segmentation_pipeline.lifecycle.publish import describe_failed_gates
from segmentation_pipeline.model import GateResult, SnapshotMetrics
from segmentation_pipeline.storage.registry import segments, snapshots

if TYPE_CHECKING:
    from segmentation_pipeline.model import Status


def _id(found: object) -> int | None:
    return getattr(found, "snapshot_id", None)


def test_registering_again_keeps_the_ledger(books: Books) -> None:
    """A segmentation is entered once; a second time with the same key leaves its counter alone."""
    books.align(1, (1, 2, 3))
    books.register()
    assert books.rows("SELECT name, next_segment_id, key_type, key_name FROM segmentation.segmentation") == [
        ("shop", 4, "integer", "customer_id")
    ]


@pytest.mark.parametrize(("key_name", "key_type"), [("customer_id", "text"), ("email", "integer")])
def test_a_key_cannot_change(books: Books, key_name: str, key_type: str) -> None:
    """A key of another name or type is refused, with both the old and the new one in the message."""
    said = rf"customer_id \(integer\).*{key_name} \({key_type}\)"
    with pytest.raises(ConfigurationError, match=said), books.engine.begin() as connection:
        snapshots.register(connection, "shop", key_name=key_name, key_type=key_type)


def test_a_segmentation_that_never_ran_has_no_ledger(books: Books) -> None:
    """Locking an unknown segmentation returns None and raises no error."""
    with books.engine.begin() as connection:
        assert snapshots.lock(connection, "unknown") is None
        assert snapshots.find_snapshot(connection, 99) is None
        assert snapshots.list_snapshots(connection, "unknown") == []


def test_the_lock_is_held_until_the_transaction_ends(books: Books) -> None:
    """A second transaction that wants the same segmentation waits for the first; another segmentation does not wait."""
    other = type(books)(books.engine, name="other")
    other.register()
    order: list[str] = []

    def second() -> None:
        with books.engine.begin() as connection:
            snapshots.lock(connection, "shop")
            order.append("second")

    with books.engine.begin() as connection:
        snapshots.lock(connection, "shop")
        waiting = threading.Thread(target=second)
        waiting.start()
        with books.engine.begin() as third:
            assert snapshots.lock(third, "other") is not None
        waiting.join(0.3)
        assert waiting.is_alive()
        order.append("first")
    waiting.join(10)
    assert order == ["first", "second"]


def test_what_is_recorded_is_what_is_read(books: Books) -> None:
    """A recorded snapshot comes back with its figures; NaN is null, a 32-bit seed fits, the version is 1."""
    snapshot_id = books.align(2, (1, 2), gates=(GateResult("min", passed=True, severity="warn", value=float("inf"),
                                                           threshold=0.1, message="fine"),))  # fmt: skip
    with books.engine.begin() as connection:
        found = snapshots.find_snapshot(connection, snapshot_id)
        assert segments.read_sizes(connection, snapshot_id) == {1: 4, 2: 4}
    assert found is not None
    partition, as_of = month(2)
    assert (found.partition, found.as_of, found.version, found.status) == (partition, as_of, 1, "candidate")
    assert found.metrics == SnapshotMetrics(silhouette=0.5, inertia=None)
    assert books.rows("SELECT metrics->'inertia', metrics ? 'davies_bouldin' FROM segmentation.snapshot") == [
        (None, False)
    ]
    assert books.rows("SELECT seed, published_at FROM segmentation.snapshot") == [(2**32 - 1, None)]
    assert books.rows("SELECT segment_id, center, radius FROM segmentation.centroid ORDER BY 1") == [
        (1, [0.0, 0.25], 1.5),
        (2, [0.0, 0.25], 1.5),
    ]
    assert books.rows("SELECT name, value, threshold FROM segmentation.gate") == [("min", None, 0.1)]
    assert books.rows("SELECT segment_id, event FROM segmentation.lineage ORDER BY 1") == [(1, "born"), (2, "born")]
    assert books.rows("SELECT segment_id, born_snapshot_id FROM segmentation.segment ORDER BY 1") == [
        (1, snapshot_id),
        (2, snapshot_id),
    ]


def test_versions_count_per_partition(books: Books) -> None:
    """Each rerun of a partition is the next version, whatever became of the earlier ones."""
    books.align(1, status="rejected")
    books.align(1, status="published")
    books.align(2)
    books.align(1)
    assert books.rows("SELECT partition, version FROM segmentation.snapshot ORDER BY snapshot_id") == [
        ("2024-01-01", 1), ("2024-01-01", 2), ("2024-02-01", 1), ("2024-01-01", 3),
    ]  # fmt: skip


def test_the_parent_is_the_latest_earlier_published_snapshot(books: Books) -> None:
    """Rule 1: rejected, waiting, declined, superseded and rolled-back snapshots, and later ones, are no parents."""
    published = books.align(1, status="published")
    books.align(1, status="superseded")
    for status in ("candidate", "rejected", "waiting", "declined", "superseded", "rolled_back"):
        books.align(2, status=status)  # type: ignore[arg-type]  # the literals
    later = books.align(4, status="published")
    with books.engine.begin() as connection:
        parents = {
            number: _id(snapshots.find_parent(connection, "shop", month(number)[1])) for number in (1, 2, 3, 4, 5)
        }
        assert parents == {1: None, 2: published, 3: published, 4: published, 5: later}
        assert _id(snapshots.find_parent(connection, "other", month(5)[1])) is None


def test_a_segment_is_first_seen_in_the_nearest_later_published_snapshot_that_has_it(books: Books) -> None:
    """Rule 9: what a late month shows is looked for in each later month that knows it, the nearest first."""
    third = books.align(3, (1, 2), status="published")
    fourth = books.align(4, (1, 3), status="published")
    books.align(2, (4,), status="rejected")
    with books.engine.begin() as connection:
        assert segments.find_first_seen_after(connection, "shop", month(1)[1]) == {1: third, 2: third, 3: fourth}
        assert segments.find_first_seen_after(connection, "shop", month(3)[1]) == {1: fourth, 3: fourth}
        assert segments.find_first_seen_after(connection, "shop", month(4)[1]) == {}


def test_earlier_versions_begin_with_the_published_one(books: Books) -> None:
    """Rule 8: of a partition's versions the published one comes first, then the newest."""
    first, second = books.align(1, status="superseded"), books.align(1, status="published")
    third, fourth = books.align(1, status="rejected"), books.align(1)
    books.align(2)
    with books.engine.begin() as connection:
        found = snapshots.list_versions(connection, "shop", month(1)[0])
    assert [snapshot.snapshot_id for snapshot in found] == [second, fourth, third, first]


def test_a_segment_was_last_seen_in_the_latest_published_snapshot_that_has_it(books: Books) -> None:
    """Retired segments are looked for where they last lived, before the date, and never in a rejected snapshot."""
    january = books.align(1, (1, 2, 3), status="published")
    february = books.align(2, (1, 2), status="published")
    books.align(3, (3, 4), status="rejected")
    april = books.align(4, (1, 5), status="published")
    with books.engine.begin() as connection:
        assert segments.find_last_seen(connection, "shop", month(3)[1]) == {1: february, 2: february, 3: january}
        assert segments.find_last_seen(connection, "shop", month(5)[1])[1] == april


def test_a_person_s_name_stays(books: Books) -> None:
    """Naming a segment marks the name as a person's; without a description the old one stays; unknown ids say no."""
    books.align(1, (1, 2))
    with books.engine.begin() as connection:
        assert segments.name_segment(connection, "shop", 2, text="Big spenders", description="They buy.")
        assert segments.name_segment(connection, "shop", 2, text="Big 💶 spenders", description=None)
        assert not segments.name_segment(connection, "shop", 3, text="Nobody", description=None)
        assert not segments.name_segment(connection, "other", 2, text="Nobody", description=None)
    assert books.rows("SELECT name, name_source, description FROM segmentation.segment ORDER BY segment_id") == [
        ("segment 1", "automatic", None),
        ("Big 💶 spenders", "person", "They buy."),
    ]


def test_only_blocking_gates_that_failed_are_reasons(books: Books) -> None:
    """The reasons of a rejection leave out what passed and what only warns."""
    outcomes = [("share", True, "block"), ("silhouette", False, "block"), ("drop", False, "warn")]
    gates = tuple(
        GateResult(name, passed=passed, severity=severity, value=0.0, threshold=0.1, message=f"{name} of 0")  # type: ignore[arg-type]
        for name, passed, severity in outcomes
    )
    snapshot_id = books.align(1, status="rejected", gates=gates)
    with books.engine.begin() as connection:
        assert (
            describe_failed_gates(connection, snapshot_id) == "Its blocking gates failed: silhouette: silhouette of 0"
        )


def test_a_snapshot_that_cannot_be_recorded_leaves_no_trace(books: Books) -> None:
    """Recording is one transaction: a duplicate segment takes the snapshot and the counter with it."""
    books.align(1, (1, 2))
    with pytest.raises(Exception, match="duplicate key"):
        books.align(2, (3, 3))
    assert books.rows("SELECT count(*), max(partition) FROM segmentation.snapshot") == [(1, "2024-01-01")]
    assert books.scalar("SELECT next_segment_id FROM segmentation.segmentation") == 3


@pytest.mark.parametrize(
    ("status", "accepted"),
    [
        ("candidate", False),
        ("rejected", False),
        ("waiting", True),
        ("published", True),
        ("declined", True),
        ("superseded", True),
        ("rolled_back", True),
    ],
)
def test_what_a_person_or_a_publication_saw_was_accepted(books: Books, status: Status, accepted: bool) -> None:
    """A snapshot after a rejected or an unpublished one is still the first ever; another segmentation's do not count."""
    other = Books(books.engine, name="other")
    other.register()
    other.align(1, status="published")
    books.align(1, status=status)
    with books.engine.begin() as connection:
        assert snapshots.was_ever_accepted(connection, "shop") is accepted


def test_the_snapshot_of_a_run_is_the_one_it_recorded_last(books: Books) -> None:
    """A step that was retried in its run recorded twice; a run of another segmentation is not looked at."""
    books.align(1)
    again = books.align(1)
    books.align(2)
    with books.engine.begin() as connection:
        assert _id(snapshots.find_by_run(connection, "shop", "run-1")) == again
        assert snapshots.find_by_run(connection, "other", "run-1") is None
        assert snapshots.find_by_run(connection, "shop", "run-9") is None


def test_months_built_on_an_older_parent_are_known(books: Books) -> None:
    """A month published late, or a parent that was replaced, leaves the next month built on an older parent."""
    first = books.align(1, status="published")
    books.align(2, status="rejected")
    third = books.align(3, status="published", parent=first)
    books.align(4, status="published", parent=third)
    with books.engine.begin() as connection:
        assert list_built_on_older_parent(connection, "shop") == []
    books.align(2, status="published", parent=first)
    with books.engine.begin() as connection:
        assert [snapshot.partition for snapshot in list_built_on_older_parent(connection, "shop")] == [month(3)[0]]
