"""Scoring between two fits: only what differs is written, and the view says what the target says."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from psycopg import sql
from support.books import PUBLISH, Books, month

from segmentation_pipeline.errors import ScoringError, SnapshotChangedError, TargetError
from segmentation_pipeline.lifecycle import score as scoring
from segmentation_pipeline.lifecycle.publish import publish
from segmentation_pipeline.model import Reach
from segmentation_pipeline.model.receipts import ScoringReceipt
from segmentation_pipeline.spec import PublishSpec
from segmentation_pipeline.storage.registry.rejected import clear_rejected, record_rejected
from segmentation_pipeline.storage.registry.scores import clear_scores

if TYPE_CHECKING:
    from collections.abc import Mapping

    import sqlalchemy as sa

FITTED = {1: 1, 2: 1, 3: 2, 4: None}
SCORED = "SELECT customer_id, snapshot_id, segment_id, distance, second_segment_id, margin FROM segmentation.shop_scored ORDER BY 1"
UUIDS = ("00000000-0000-4000-8000-000000000001", "ffffffff-ffff-4fff-bfff-ffffffffffff")
# what was there before scoring was
OLDER_VIEW = """CREATE VIEW segmentation.shop_current AS SELECT a.customer_id, a.segment_id, s.name, NULL::timestamptz AS since
FROM segmentation.shop_assignment a LEFT JOIN segmentation.segment s USING (segment_id) WHERE s.segmentation = 'shop'"""


def _score(
    books: Books, snapshot_id: int, segment_of: Mapping[Any, int | None], spec: PublishSpec = PUBLISH
) -> ScoringReceipt:
    with books.engine.begin() as connection:
        return scoring.write_scores(connection, spec, books.name, snapshot_id, books.labels(segment_of))


def _versions(books: Books) -> list[Any]:
    """Every row that scoring may write, with the transaction that wrote it."""
    return [
        books.rows("SELECT user_id, xmin::text, ctid::text, segment_id, last_updated FROM target ORDER BY 1"),
        books.rows("SELECT customer_id, xmin::text, ctid::text FROM segmentation.shop_scored ORDER BY 1"),
    ]


def _agree(books: Books) -> None:
    """The view and the target say the same of every customer that the view knows and the target has."""
    differing = books.rows(
        "SELECT customer_id, v.segment_id, t.segment_id FROM segmentation.shop_current v "
        "JOIN target t ON t.user_id = v.customer_id WHERE v.segment_id IS DISTINCT FROM t.segment_id"
    )
    assert differing == []
    assert books.scalar("SELECT count(*) - count(DISTINCT customer_id) FROM segmentation.shop_current") == 0


def test_new_and_changed_customers_are_written_the_others_are_not_touched(books: Books) -> None:
    """Target rows and timestamps of the unchanged stay; the receipt counts new, moved, unassigned and not in the target."""
    snapshot_id = books.align(1)
    books.publish(snapshot_id, FITTED)
    before, times = books.target("xmin::text"), books.target("last_updated")

    receipt = _score(books, snapshot_id, {1: 1, 2: 2, 3: None, 4: None, 5: 1, 6: None, 7: 2, 8: 1})

    assert receipt == ScoringReceipt(
        snapshot_id, scored=8, unassigned=3, new=4, moved=2, written=6,
        changed=3, unchanged=3, not_in_target=2, kept=0, examples_not_in_target=("7", "8"),
    )  # fmt: skip
    assert books.target() == {1: 1, 2: 2, 3: None, 4: None, 5: 1, 6: None}
    assert {user for user, version in books.target("xmin::text").items() if version != before[user]} == {2, 3, 5}
    assert {user for user, time in books.target("last_updated").items() if time != times[user]} == {2, 3, 5}
    assert books.rows(SCORED) == [
        (2, snapshot_id, 2, 0.1, None, 1 / 3),
        (3, snapshot_id, None, 0.1, None, 1 / 3),
        *(
            (customer, snapshot_id, segment, 0.1, None, 1 / 3)
            for customer, segment in ((5, 1), (6, None), (7, 2), (8, 1))
        ),
    ]
    _agree(books)


def test_scoring_the_same_again_writes_no_row(books: Books) -> None:
    """The second scoring leaves every row version of the target and of the scored where it was."""
    snapshot_id = books.align(1)
    books.publish(snapshot_id, FITTED)
    answers = {1: 1, 2: 2, 3: None, 4: None, 5: 1, 6: None, 7: 2}
    _score(books, snapshot_id, answers)
    before = _versions(books)

    again = _score(books, snapshot_id, answers)

    assert (again.changed, again.written, again.unchanged, again.new, again.moved) == (0, 0, 6, 3, 2)
    assert _versions(books) == before


def test_an_unchanged_table_writes_no_row(books: Books) -> None:
    """Who is in the fit's segment has no row of a scoring, and keeps the target's row."""
    snapshot_id = books.align(1)
    books.publish(snapshot_id, FITTED)
    before = _versions(books)

    receipt = _score(books, snapshot_id, FITTED)

    assert (receipt.changed, receipt.written, receipt.new, receipt.moved) == (0, 0, 0, 0)
    assert _versions(books) == before


def test_a_customer_back_in_the_fit_s_segment_has_no_scored_row(books: Books) -> None:
    """The row goes, and target and view show the fit's segment and since when."""
    snapshot_id = books.align(1)
    books.publish(snapshot_id, FITTED)
    _score(books, snapshot_id, {2: 2})

    receipt = _score(books, snapshot_id, {2: 1})

    assert (receipt.changed, receipt.written, receipt.moved) == (1, 1, 0)
    assert books.rows(SCORED) == []
    assert books.target()[2] == 1
    assert books.rows("SELECT segment_id, since FROM segmentation.shop_current WHERE customer_id = 2") == [
        (1, month(1)[1])
    ]


def test_another_distance_alone_does_not_move_since(books: Books) -> None:
    """A new distance in the same segment is kept and touches neither the target nor `since`; a new segment does both."""
    snapshot_id = books.align(1)
    books.publish(snapshot_id, FITTED)
    _score(books, snapshot_id, {5: 1})
    since, updated = books.scalar("SELECT scored_at FROM segmentation.shop_scored"), books.target("last_updated")[5]
    nearer = books.labels({5: 1}).set_column(2, "distance", pa.array([0.05]))
    with books.engine.begin() as connection:
        receipt = scoring.write_scores(connection, PUBLISH, "shop", snapshot_id, nearer)

    assert (receipt.written, receipt.changed) == (1, 0)
    assert books.rows("SELECT distance, scored_at FROM segmentation.shop_scored") == [(0.05, since)]
    assert books.target("last_updated")[5] == updated

    _score(books, snapshot_id, {5: 2})
    assert books.scalar("SELECT since > %s FROM segmentation.shop_current WHERE customer_id = 5", since)
    assert books.target("last_updated")[5] > updated


def test_the_view_shows_the_scored_answer_with_name_and_since(books: Books) -> None:
    """Customers only scored, and those in another segment than at the fit, are in the view once, with the segment's name."""
    snapshot_id = books.align(1)
    books.publish(snapshot_id, FITTED)
    _score(books, snapshot_id, {2: 2, 5: 1})
    scored_at = books.scalar("SELECT max(scored_at) FROM segmentation.shop_scored")

    assert books.rows("SELECT * FROM segmentation.shop_current ORDER BY customer_id") == [
        (1, 1, "segment 1", month(1)[1]),
        (2, 2, "segment 2", scored_at),
        (3, 2, "segment 2", month(1)[1]),
        (4, None, None, month(1)[1]),
        (5, 1, "segment 1", scored_at),
    ]


def test_who_is_not_in_the_source_today_keeps_the_segment(books: Books) -> None:
    """Absent customers are counted and left alone, with `absent: clear` too."""
    snapshot_id = books.align(1)
    clear = PUBLISH.model_copy(update={"absent": "clear"})
    books.publish(snapshot_id, FITTED, clear)

    receipt = _score(books, snapshot_id, {1: 2}, clear)

    assert (receipt.kept, receipt.changed) == (2, 1)
    assert books.target() == {1: 2, 2: 1, 3: 2, 4: None, 5: None, 6: None}
    _agree(books)


def test_a_new_snapshot_makes_the_scored_answers_go(books: Books) -> None:
    """Publishing what becomes current empties the scored; history filled in afterwards does not."""
    snapshot_id = books.align(2)
    books.publish(snapshot_id, FITTED)
    _score(books, snapshot_id, {2: 2, 5: 1})
    books.publish(books.align(1), {1: 1, 2: 2})
    assert len(books.rows(SCORED)) == 2

    newer = books.align(3)
    books.publish(newer, {1: 1, 2: 1})

    assert books.rows(SCORED) == []
    assert books.rows("SELECT customer_id, segment_id FROM segmentation.shop_current ORDER BY 1") == [(1, 1), (2, 1)]
    _agree(books)


def test_answers_of_another_snapshot_are_not_shown_and_go_with_the_next_scoring(books: Books) -> None:
    """Whoever moves the pointer without emptying the scored leaves the view right, and the next scoring cleans up."""
    first = books.align(1)
    books.publish(first, FITTED)
    second = books.align(2)
    books.publish(second, FITTED | {1: 2})
    _score(books, second, {2: 2, 5: 1})
    books.execute("UPDATE segmentation.segmentation SET current_snapshot_id = %s", first)
    assert books.rows("SELECT customer_id, segment_id FROM segmentation.shop_current ORDER BY 1") == list(
        FITTED.items()
    )

    receipt = _score(books, first, {6: 1})

    assert receipt.written == 3
    assert [row[:3] for row in books.rows(SCORED)] == [(6, first, 1)]


def test_forgetting_the_scores_empties_them(books: Books) -> None:
    """A publication that makes another snapshot current empties the scored rows; their number is returned."""
    snapshot_id = books.align(1)
    books.publish(snapshot_id, FITTED)
    _score(books, snapshot_id, {2: 2, 5: 1})
    with books.engine.begin() as connection:
        assert clear_scores(connection, "shop") == 2
        assert clear_scores(connection, "never_run") == 0
    assert books.rows(SCORED) == []


def test_a_snapshot_that_is_no_longer_current_is_refused(books: Books) -> None:
    """Labels of a snapshot that was replaced in between are not written, and the message says which one is current."""
    first = books.align(1)
    books.publish(first, FITTED)
    second = books.align(2)
    books.publish(second, FITTED)
    before = _versions(books)

    with pytest.raises(SnapshotChangedError, match=rf"by snapshot {first}, and now snapshot {second} is the current"):
        _score(books, first, {1: 2, 5: 1})

    assert _versions(books) == before


def test_scoring_waits_for_a_publication_and_sees_what_it_did(books: Books) -> None:
    """A publication that is under way is let through first; the labels of the snapshot before it are then refused."""
    first = books.align(1)
    books.publish(first, FITTED)
    second = books.align(2)
    refused: list[Exception] = []

    def score() -> None:
        try:
            _score(books, first, {1: 2, 5: 1})
        except SnapshotChangedError as error:
            refused.append(error)

    scoring_thread = threading.Thread(target=score)
    with books.engine.begin() as connection:
        publish(connection, PUBLISH, "shop", second, books.labels(FITTED))
        scoring_thread.start()
        scoring_thread.join(0.5)
        assert scoring_thread.is_alive()
    scoring_thread.join(20)
    assert len(refused) == 1
    assert books.target() == FITTED | {5: None, 6: None}


def test_a_target_that_cannot_take_segments_is_refused(books: Books) -> None:
    """A column that went since the publication is named, and nothing is written."""
    snapshot_id = books.align(1)
    books.publish(snapshot_id, FITTED)
    books.execute("ALTER TABLE target DROP COLUMN segment_id")
    with pytest.raises(TargetError, match="ADD COLUMN"):
        _score(books, snapshot_id, {5: 1})
    assert books.rows(SCORED) == []


def test_create_mode_makes_the_missing_rows(books: Books) -> None:
    """With `mode: create` a new customer gets a row in the target."""
    snapshot_id = books.align(1)
    spec = PUBLISH.model_copy(update={"mode": "create"})
    books.publish(snapshot_id, FITTED, spec)
    receipt = _score(books, snapshot_id, {9: 2}, spec)
    assert (receipt.changed, receipt.not_in_target) == (1, 0)
    assert books.target()[9] == 2


@pytest.mark.parametrize(
    ("key_type", "keys"),
    [
        ("integer", (1, 2_147_483_647)),
        ("bigint", (2**53 + 1, -(2**63))),
        ("uuid", UUIDS),
        ("text", ("", 'say "hi", two\nlines \\N 🛒')),
    ],
)
def test_keys_and_names_of_every_kind(engine: sa.Engine, key_type: str, keys: tuple[Any, ...]) -> None:
    """Keys of every type and names that need quotes are scored, and a second time write nothing."""
    books = Books(engine, key='Customer "Id"')
    books.register(key_type)
    books.execute('CREATE SCHEMA "My Shop"')
    target = sql.SQL(
        'CREATE TABLE "My Shop"."Users %" ("User Id" {} PRIMARY KEY, "Segment" integer, "When" timestamptz)'
    )
    books.execute(target.format(sql.SQL(key_type)).as_string().replace("%", "%%"))
    spec = PublishSpec(
        table='"My Shop"."Users %"', key="User Id", column="Segment", updated_column="When", mode="create"
    )
    snapshot_id = books.align(1)
    books.publish(snapshot_id, {keys[0]: 1}, spec)

    receipt = _score(books, snapshot_id, {keys[0]: 2, keys[1]: 1}, spec)

    assert (receipt.new, receipt.moved, receipt.changed, receipt.written) == (1, 1, 2, 2)
    expected = {str(keys[0]): 2, str(keys[1]): 1}
    assert dict(books.rows('SELECT "User Id"::text, "Segment" FROM "My Shop"."Users %%"')) == expected
    assert dict(books.rows('SELECT "Customer ""Id"""::text, segment_id FROM segmentation.shop_current')) == expected
    again = _score(books, snapshot_id, {keys[0]: 2, keys[1]: 1}, spec)
    assert (again.changed, again.written) == (0, 0)


@pytest.mark.parametrize("way", ["register", "score"])
def test_a_segmentation_from_before_scoring_gets_its_table_and_view(books: Books, way: str) -> None:
    """Where the history is older than scoring, the next run or scoring makes what is missing and keeps the rest."""
    snapshot_id = books.align(1)
    books.publish(snapshot_id, FITTED)
    books.execute("DROP TABLE segmentation.shop_scored CASCADE")
    books.execute(OLDER_VIEW)
    books.execute("CREATE ROLE marketer") if not books.rows("SELECT FROM pg_roles WHERE rolname = 'marketer'") else None
    books.execute("GRANT SELECT ON segmentation.shop_current TO marketer")

    if way == "register":
        books.register()
    _score(books, snapshot_id, {2: 2, 5: 1})

    assert books.rows("SELECT customer_id, segment_id FROM segmentation.shop_current ORDER BY 1") == [
        (1, 1), (2, 2), (3, 2), (4, None), (5, 1),
    ]  # fmt: skip
    assert books.scalar("SELECT has_table_privilege('marketer', 'segmentation.shop_current', 'SELECT')")
    assert books.scalar("SELECT count(*) FROM segmentation.shop_assignment") == 4
    books.execute("DROP OWNED BY marketer")


def test_publishing_does_not_need_the_scored_table(books: Books) -> None:
    """The first publication after an upgrade finds no table to empty, and publishes."""
    books.publish(books.align(1), FITTED)
    books.execute("DROP TABLE segmentation.shop_scored CASCADE")
    assert books.publish(books.align(2), FITTED | {1: 2}).changed == 1


def test_the_fit_is_read_with_the_reach_of_every_segment(books: Books) -> None:
    """The quantile of the distances and the number of customers per segment; customers in no segment are counted apart."""
    snapshot_id = books.align(1)
    rows = books.labels({1: 1, 2: 1, 3: 1, 4: 2, 5: None})
    rows = rows.set_column(2, "distance", pa.array([0.0, 1.0, 2.0, 7.0, 99.0]))
    with books.engine.begin() as connection:
        publish(connection, PUBLISH, "shop", snapshot_id, rows)
        fit = scoring.read_scoring_model(connection, "shop", quantile=0.75)
    assert fit.reaches == {1: Reach(3, 1.5), 2: Reach(1, 7.0)}
    assert fit.n_unassigned == 1
    assert fit.snapshot.snapshot_id == snapshot_id


@pytest.mark.parametrize("name", ["shop", "never_run"])
def test_without_a_publication_nobody_is_scored(books: Books, name: str) -> None:
    """The message says what to run first, when there is no snapshot and when there is only a candidate."""
    books.align(1)
    with books.engine.begin() as connection, pytest.raises(ScoringError, match=f"segmentation run {name}"):
        scoring.read_scoring_model(connection, name, quantile=0.99)


def test_rejected_rows_of_the_last_scoring_replace_those_before(books: Books) -> None:
    """A row that cannot be scored every day is kept once; those of the periods stay."""
    import pandas as pd

    def reject(run_id: str, partition: str, keys: list[int], *, replacing: bool) -> None:
        with books.engine.begin() as connection:
            clear_rejected(connection, "shop", run_id=run_id, partition=partition if replacing else None)
            record_rejected(
                connection, "shop", run_id=run_id, partition=partition, key="customer_id",
                rejected=pd.DataFrame({"customer_id": keys}), reasons=[["a"]] * len(keys), store_rows=True,
            )  # fmt: skip

    reject("fit", "2024-01-01", [1], replacing=False)
    reject("monday", "scored", [2, 3], replacing=True)
    reject("tuesday", "scored", [3], replacing=True)
    assert books.rows("SELECT run_id, key FROM segmentation.shop_rejected ORDER BY 2") == [
        ("fit", "1"),
        ("tuesday", "3"),
    ]


def test_a_receipt_is_plain_json(books: Books) -> None:
    """The receipt's values are those that the UI can show."""
    snapshot_id = books.align(1)
    books.publish(snapshot_id, FITTED)
    receipt = replace(_score(books, snapshot_id, {7: 2}), written=9)
    assert receipt.to_json()["examples_not_in_target"] == ["7"]
    assert receipt.to_json()["written"] == 9
