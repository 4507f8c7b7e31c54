"""The history: which customer was in which segment, the rejected rows, and the two views that people query."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from psycopg import errors
from support.books import Books, month

from segmentation_pipeline.storage.registry import assignments, snapshots
from segmentation_pipeline.storage.registry.rejected import clear_rejected, record_rejected
from segmentation_pipeline.storage.registry.segments import name_segment

if TYPE_CHECKING:
    import sqlalchemy as sa

UUIDS = ("00000000-0000-4000-8000-000000000001", "ffffffff-ffff-4fff-bfff-ffffffffffff")
KEYS: dict[str, tuple[Any, ...]] = {
    "smallint": (-3, 32_767),
    "integer": (1, 2_147_483_647),
    "bigint": (2**53 + 1, -(2**63)),
    "uuid": UUIDS,
    "text": ("007", "", "a,b", 'say "hi"', "two\nlines", "\\.", "NULL", "Größe 🛒", " padded ", "\\N", "tab\tbed"),
}


def _segments_in(books: Books, snapshot_id: int) -> pd.Series:
    with books.engine.begin() as connection:
        ledger = snapshots.lock(connection, books.name)
        assert ledger is not None
        return assignments.read_assignments(connection, ledger, snapshot_id)


def _load(books: Books, snapshot_id: int, segment_of: dict[Any, int | None]) -> None:
    with books.engine.begin() as connection:
        ledger = snapshots.lock(connection, books.name)
        assert ledger is not None
        assignments.load(connection, ledger, snapshot_id, books.labels(segment_of))


@pytest.mark.parametrize(("key_type", "keys"), KEYS.items())
def test_keys_come_back_as_they_went_in(engine: sa.Engine, key_type: str, keys: tuple[Any, ...]) -> None:
    """Keys of every type, with commas, quotes, line breaks, backslashes and big numbers, survive the way there and back."""
    books = Books(engine, key="Customer Id")
    books.register(key_type)
    snapshot_id = books.align(1, tuple(range(1, len(keys) + 1)))
    segment_of = {key: number for number, key in enumerate(keys, start=1)}
    _load(books, snapshot_id, segment_of)
    assert _segments_in(books, snapshot_id).to_dict() == segment_of
    assert dict(books.rows('SELECT "Customer Id"::text, segment_id FROM segmentation.shop_assignment')) == {
        str(key): number for key, number in segment_of.items()
    }


def test_figures_are_stored_to_the_last_bit(books: Books) -> None:
    """Distance and margin arrive exactly, unassigned customers with a null segment, second segments null where absent."""
    snapshot_id = books.align(1)
    _load(books, snapshot_id, {1: 2, 2: None})
    assert books.rows("SELECT * FROM segmentation.shop_assignment ORDER BY customer_id") == [
        (snapshot_id, 1, 2, 0.1, None, 1 / 3),
        (snapshot_id, 2, None, 0.1, None, 1 / 3),
    ]


def test_unassigned_customers_have_no_segment_to_compare_with(books: Books) -> None:
    """What alignment reads of a snapshot leaves out who was in none of its segments; an empty snapshot is empty."""
    first, second = books.align(1), books.align(2)
    _load(books, first, {1: 2, 2: None})
    _load(books, second, {})
    assert _segments_in(books, first).to_dict() == {1: 2}
    assert _segments_in(books, second).reindex([1, 2]).isna().all()


def test_the_history_has_one_partition_per_snapshot(books: Books) -> None:
    """Each snapshot's rows lie in a partition of their own; the others are not touched by a new one."""
    first = books.align(1)
    _load(books, first, {1: 1, 2: 2})
    before = books.rows("SELECT xmin::text, ctid::text FROM segmentation.shop_assignment")
    second = books.align(2)
    _load(books, second, {1: 2})
    assert books.rows("SELECT tableoid::regclass::text, count(*) FROM segmentation.shop_assignment GROUP BY 1 ORDER BY 1") == [
        (f"segmentation.shop_assignment_{first}", 2),
        (f"segmentation.shop_assignment_{second}", 1),
    ]  # fmt: skip
    parent = "SELECT xmin::text, ctid::text FROM segmentation.shop_assignment WHERE snapshot_id = %s"
    assert books.rows(parent, first) == before


def test_a_customer_is_in_a_snapshot_once(books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """A duplicated key is refused by the primary key, and the snapshot's partition is not left behind."""
    snapshot_id = books.align(1)
    twice = books.labels({1: 1, 2: 2}).take([0, 1, 0])
    monkeypatch.setattr(books, "labels", lambda _: twice)
    with pytest.raises(errors.UniqueViolation):
        _load(books, snapshot_id, {})
    assert books.scalar("SELECT to_regclass(%s)", f"segmentation.shop_assignment_{snapshot_id}") is None


def test_loading_does_not_block_readers(books: Books) -> None:
    """While a snapshot is loaded and attached in an open transaction, the history and the views can be read."""
    books.publish(books.align(1), {1: 1})
    second = books.align(2)
    with books.engine.begin() as connection:
        ledger = snapshots.lock(connection, books.name)
        assert ledger is not None
        assignments.load(connection, ledger, second, books.labels({1: 2}))
        with books.engine.begin() as reader:
            reader.exec_driver_sql("SET LOCAL lock_timeout = '500ms'")
            assert reader.exec_driver_sql("SELECT count(*) FROM segmentation.shop_assignment").scalar() == 1
            assert reader.exec_driver_sql("SELECT segment_id FROM segmentation.shop_current").scalar() == 1


def test_making_the_tables_again_keeps_them(books: Books) -> None:
    """The tables of a segmentation are made once; later runs leave them and their rows alone."""
    books.publish(books.align(1), {1: 1})
    books.register()
    assert books.scalar("SELECT count(*) FROM segmentation.shop_assignment") == 1


def test_segmentations_have_tables_of_their_own(books: Books) -> None:
    """Names that begin alike do not share tables or views."""
    longer = Books(books.engine, name="shop_assignment", key="id")
    longer.register("text")
    longer.publish(longer.align(1), {}, spec=_publish_nowhere(books))
    books.publish(books.align(1), {1: 1})
    assert books.rows("SELECT customer_id FROM segmentation.shop_current") == [(1,)]
    assert books.rows("SELECT id FROM segmentation.shop_assignment_current") == []


def _publish_nowhere(books: Books) -> Any:
    from segmentation_pipeline.spec import PublishSpec

    books.execute("CREATE TABLE nowhere (id text, segment_id integer)")
    return PublishSpec(table="public.nowhere", key="id")


def test_current_shows_names_and_since_when(books: Books) -> None:
    """`since` is the start of the unbroken stretch in the present segment; names are the segments' present ones."""
    months = [{1: 1, 2: 1, 3: 2}, {1: 1, 2: 2, 3: 1}, {1: 1, 2: 2, 3: 2, 4: None}]
    for number, segment_of in enumerate(months, start=1):
        books.publish(books.align(number), segment_of)
    with books.engine.begin() as connection:
        name_segment(connection, "shop", 2, text="Gone quiet", description=None)
    first, second, third = (month(number)[1] for number in (1, 2, 3))
    assert books.rows("SELECT * FROM segmentation.shop_current ORDER BY customer_id") == [
        (1, 1, "segment 1", first),
        (2, 2, "Gone quiet", second),
        (3, 2, "Gone quiet", third),
        (4, None, None, third),
    ]


def test_since_reads_published_versions_only(books: Books) -> None:
    """A replaced version of a month, a rejected month and a month without the customer do not break a stretch."""
    books.publish(books.align(1), {1: 1, 2: 1})
    books.publish(books.align(2), {1: 2, 2: 2})
    books.publish(books.align(2), {1: 1})
    books.align(3, status="rejected")
    books.publish(books.align(4), {1: 1, 2: 1})
    assert books.rows("SELECT customer_id, since FROM segmentation.shop_current ORDER BY 1") == [
        (1, month(1)[1]),
        (2, month(1)[1]),
    ]


def test_a_month_published_late_lengthens_the_stretch(books: Books) -> None:
    """History filled in afterwards moves `since` back, and the current snapshot stays current."""
    books.publish(books.align(2), {1: 1})
    books.publish(books.align(1), {1: 1})
    assert books.rows("SELECT customer_id, since FROM segmentation.shop_current") == [(1, month(1)[1])]


def test_movers_are_between_the_current_snapshot_and_its_parent(books: Books) -> None:
    """Only customers known to both and in another segment now are listed, those newly unassigned too."""
    books.publish(books.align(1, (1, 2, 3)), {1: 3, 2: 3, 3: 3, 4: 3})
    assert books.rows("SELECT * FROM segmentation.shop_movers") == []
    books.publish(books.align(2, (1, 2, 3)), {1: 1, 2: 1, 3: 2, 4: 2, 6: 1})
    books.publish(books.align(3, (1, 2, 3)), {1: 1, 2: 2, 3: None, 5: 1, 6: 3})
    query = 'SELECT customer_id, "from", "to" FROM segmentation.shop_movers ORDER BY 1'
    assert books.rows(query) == [(2, 1, 2), (3, 2, None), (6, 1, 3)]


def test_rejected_rows_are_kept_with_every_reason(books: Books) -> None:
    """The rejected rows of a run are stored as JSON with their key and reasons; NaN is null, dates and numpy are text."""
    rejected = pd.DataFrame({
        "customer_id": [7.0, np.nan],
        "spend": [np.nan, -5.5],
        "name": ["two\nlines\t\\ 🛒", None],
        "seen": pd.to_datetime(["2024-01-05", None]),
        "ok": np.array([True, False]),
    })  # fmt: skip
    reasons = [["spend: null", "name: not an allowed value"], ["key is null"]]
    _reject(books, rejected, reasons)
    assert books.rows('SELECT run_id, partition, key, reasons, "row" FROM segmentation.shop_rejected ORDER BY key') == [
        ("run-1", "2024-01-01", "7.0", reasons[0], {"customer_id": 7.0, "spend": None, "name": "two\nlines\t\\ 🛒",
                                                    "seen": "2024-01-05 00:00:00", "ok": True}),
        ("run-1", "2024-01-01", None, ["key is null"], {"customer_id": None, "spend": -5.5, "name": None,
                                                        "seen": None, "ok": False}),
    ]  # fmt: skip
    rejected_at = books.scalar("SELECT max(rejected_at) FROM segmentation.shop_rejected")
    assert abs((datetime.now(tz=UTC) - rejected_at).total_seconds()) < 60


def test_a_run_tried_again_replaces_its_rejected_rows(books: Books) -> None:
    """The same run writes its rejected rows once, other runs keep theirs."""
    frame = pd.DataFrame({"customer_id": [1, 2]})
    _reject(books, frame, [["a"], ["b"]])
    _reject(books, frame.head(1), [["c"]])
    _reject(books, frame.head(1), [["d"]], run_id="run-2")
    assert books.rows("SELECT run_id, key, reasons FROM segmentation.shop_rejected ORDER BY 1") == [
        ("run-1", "1", ["c"]),
        ("run-2", "1", ["d"]),
    ]


def test_rows_can_be_left_out_of_the_rejected(books: Books) -> None:
    """With `store_rows: false` only the key and the reasons are kept."""
    _reject(books, pd.DataFrame({"customer_id": [1], "email": ["a@b.c"]}), [["a"]], store_rows=False)
    assert books.rows('SELECT key, reasons, "row" FROM segmentation.shop_rejected') == [("1", ["a"], None)]


def _reject(
    books: Books, rejected: pd.DataFrame, reasons: list[list[str]], *, run_id: str = "run-1", store_rows: bool = True
) -> None:
    with books.engine.begin() as connection:
        clear_rejected(connection, "shop", run_id=run_id)
        record_rejected(
            connection, "shop", run_id=run_id, partition="2024-01-01", key="customer_id",
            rejected=rejected, reasons=reasons, store_rows=store_rows,
        )  # fmt: skip
