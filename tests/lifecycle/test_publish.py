"""Publishing: one transaction, only what differs, never old over new, never what was not accepted."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from support.books import PUBLISH, Books, month

from segmentation_pipeline.errors import NotAcceptedError, ParentChangedError, TargetError
from segmentation_pipeline.lifecycle import publish as publication
from segmentation_pipeline.model import GateResult
from segmentation_pipeline.model.receipts import PublicationReceipt
from segmentation_pipeline.spec import PublishSpec
from segmentation_pipeline.storage.registry import assignments, snapshots
from segmentation_pipeline.storage.warehouse.postgres import write
from segmentation_pipeline.storage.warehouse.postgres.target import PostgresTarget

if TYPE_CHECKING:
    from segmentation_pipeline.model import Status

ALL = {1: 1, 2: 1, 3: 2, 4: 2, 5: 1, 6: 2}


def _check(books: Books, spec: PublishSpec, key_type: str = "integer") -> None:
    with books.engine.begin() as connection:
        PostgresTarget(spec, connection).check(key_type=key_type)


def _everything(books: Books) -> list[Any]:
    """All that a publication may change."""
    return [
        books.rows("SELECT user_id, segment_id, last_updated, xmin::text FROM target ORDER BY 1"),
        books.rows("SELECT snapshot_id, status, published_at FROM segmentation.snapshot ORDER BY 1"),
        books.rows("SELECT * FROM segmentation.segmentation ORDER BY 1"),
        books.rows(
            "SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'segmentation'::regnamespace ORDER BY 1"
        ),
    ]


def test_publishing_writes_target_history_status_and_pointer(books: Books) -> None:
    """A publication fills the target, the history, the status, the time and the pointer, and says what it did."""
    snapshot_id = books.align(1)
    receipt = books.publish(snapshot_id, ALL)
    assert receipt == PublicationReceipt(
        snapshot_id, already_published=False, became_current=True,
        changed=6, unchanged=0, not_in_target=0, not_in_source=0, cleared=0,
    )  # fmt: skip
    assert books.target() == ALL
    assert books.scalar("SELECT count(*) FROM segmentation.shop_assignment WHERE snapshot_id = %s", snapshot_id) == 6
    assert (books.status(snapshot_id), books.current()) == ("published", snapshot_id)
    assert books.scalar("SELECT published_at IS NOT NULL FROM segmentation.snapshot")


def test_only_rows_that_differ_are_touched(books: Books) -> None:
    """A second month updates who changed segment; rows and timestamps of the others stay as they were."""
    books.publish(books.align(1), ALL)
    before, versions = books.target("last_updated"), books.target("xmin::text")
    receipt = books.publish(books.align(2), ALL | {1: 2, 4: 1})
    assert (receipt.changed, receipt.unchanged) == (2, 4)
    after = books.target("last_updated")
    assert {user for user in ALL if after[user] != before[user]} == {1, 4}
    assert {user for user in ALL if books.target("xmin::text")[user] != versions[user]} == {1, 4}
    assert after[1] > before[1]


def test_publishing_again_changes_nothing(books: Books) -> None:
    """What is published already is left exactly as it is, also when other rows are handed over."""
    snapshot_id = books.align(1)
    books.publish(snapshot_id, ALL)
    before = _everything(books)
    receipt = books.publish(snapshot_id, {1: 2})
    assert (receipt.already_published, receipt.became_current, receipt.changed) == (True, True, 0)
    assert _everything(books) == before


def test_a_new_version_with_the_same_segments_changes_no_row(books: Books) -> None:
    """A rerun that finds the same replaces the version and the pointer, and touches no row of the target."""
    first = books.align(1)
    books.publish(first, ALL)
    before = books.target("xmin::text")
    second = books.align(1)
    receipt = books.publish(second, ALL)
    assert (receipt.changed, receipt.unchanged) == (0, 6)
    assert books.target("xmin::text") == before
    assert (books.status(first), books.status(second), books.current()) == ("superseded", "published", second)


def test_an_older_version_does_not_replace_a_newer_one(books: Books) -> None:
    """Of two versions aligned at the same time, the older one is refused once the newer one is published."""
    older, newer = books.align(1), books.align(1)
    books.publish(newer, ALL)
    before = _everything(books)
    with pytest.raises(NotAcceptedError, match=rf"newer version 2 is \(snapshot {newer}\)"):
        books.publish(older, {1: 2})
    assert _everything(books) == before


def test_the_user_s_other_columns_are_left_alone(books: Books) -> None:
    """The target's other columns and rows keep their values, and a target without a timestamp column is enough."""
    books.execute("ALTER TABLE target ADD COLUMN email text DEFAULT 'x@y.z', DROP COLUMN last_updated")
    books.execute("UPDATE target SET email = user_id || '@shop'")
    books.publish(books.align(1), ALL, PublishSpec(table="public.target", key="user_id"))
    assert books.target("email") == {user: f"{user}@shop" for user in ALL}
    assert books.target() == ALL


def test_older_news_goes_to_the_history_only(books: Books) -> None:
    """Rule 6: publishing an earlier month after a later one writes its history and leaves target and pointer."""
    later = books.align(3)
    books.publish(later, ALL)
    before = books.rows("SELECT user_id, segment_id, last_updated, xmin::text FROM target ORDER BY 1")
    earlier = books.align(1)
    receipt = books.publish(earlier, {1: 2, 2: 2})
    assert (receipt.already_published, receipt.became_current, receipt.changed) == (False, False, None)
    assert books.rows("SELECT user_id, segment_id, last_updated, xmin::text FROM target ORDER BY 1") == before
    assert (books.status(earlier), books.current()) == ("published", later)
    assert books.scalar("SELECT count(*) FROM segmentation.shop_assignment WHERE snapshot_id = %s", earlier) == 2
    assert not books.publish(earlier, {}).became_current


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        ("rejected", "min_silhouette: too low"),
        ("candidate", "min_silhouette: too low"),
        ("waiting", "segmentation approve shop"),
        ("declined", "declined it"),
        ("superseded", "newer version"),
        ("rolled_back", "rolled back"),
    ],
)
def test_what_was_not_accepted_is_refused(books: Books, status: Status, advice: str) -> None:
    """Rule 4: only a candidate whose gates held is published; the message says why not, and nothing changes."""
    gate = GateResult("min_silhouette", passed=False, severity="block", value=0.0, threshold=0.1, message="too low")
    snapshot_id = books.align(1, status=status, gates=(gate,) if advice.startswith(gate.name) else ())
    before = _everything(books)
    with pytest.raises(NotAcceptedError, match=advice) as caught:
        books.publish(snapshot_id, ALL)
    assert f"snapshot {snapshot_id} (2024-01-01 v1) is {status}" in str(caught.value)
    assert _everything(books) == before


def test_an_unknown_snapshot_is_refused(books: Books) -> None:
    """A snapshot that is not there, or is another segmentation's, is not published."""
    other = Books(books.engine, name="other")
    other.register()
    foreign = other.align(1)
    for snapshot_id in (foreign, 99):
        with pytest.raises(NotAcceptedError, match=f"shop has no snapshot {snapshot_id}"):
            books.publish(snapshot_id, ALL)


def test_a_changed_parent_is_refused(books: Books) -> None:
    """Rule 1: if another month was published between aligning and publishing, it says to align again."""
    january = books.align(1)
    books.publish(january, ALL)
    march, february = books.align(3), books.align(2)
    books.publish(february, ALL)
    before = _everything(books)
    with pytest.raises(ParentChangedError, match=f"parent {january}, but the parent is now {february}.*2024-03-01"):
        books.publish(march, ALL)
    assert _everything(books) == before
    books.publish(books.align(3), ALL)


def test_a_replaced_parent_is_refused(books: Books) -> None:
    """A rerun of the parent's month makes the child's alignment stale too."""
    books.publish(books.align(1), ALL)
    child = books.align(2)
    books.publish(books.align(1), ALL)
    with pytest.raises(ParentChangedError):
        books.publish(child, ALL)


def _failing_trigger(books: Books, body: str) -> None:
    books.execute(f"CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NEW; END $$")
    books.execute("CREATE TRIGGER fail BEFORE UPDATE ON target FOR EACH ROW WHEN (NEW.user_id = 5) EXECUTE FUNCTION fail()")  # fmt: skip


@pytest.mark.parametrize("body", ["RAISE 'disk on fire';", "PERFORM pg_terminate_backend(pg_backend_pid());"])
def test_a_failure_in_the_middle_leaves_everything_as_it_was(books: Books, body: str) -> None:
    """Rule 5: an error, or the connection killed, while the target is written undoes history, status and pointer too."""
    books.publish(books.align(1), dict.fromkeys(ALL, 1))
    snapshot_id = books.align(2)
    _failing_trigger(books, body)
    before = _everything(books)
    with pytest.raises(Exception, match=r"disk on fire|terminat|closed|lost"):
        books.publish(snapshot_id, dict.fromkeys(ALL, 2))
    assert _everything(books) == before
    books.execute("DROP TRIGGER fail ON target")
    assert books.publish(snapshot_id, dict.fromkeys(ALL, 2)).changed == 6


def test_two_publications_at_once_wait_for_each_other(books: Books) -> None:
    """The second publication waits for the first, then sees that its parent changed; the first one's state stands."""
    january, february = books.align(1), books.align(2)
    raised: list[Exception] = []

    def second() -> None:
        try:
            books.publish(february, dict.fromkeys(ALL, 2))
        except ParentChangedError as error:
            raised.append(error)

    with books.engine.begin() as connection:
        publication.publish(connection, PUBLISH, "shop", january, books.labels(ALL))
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(0.5)
        assert waiting.is_alive()
    waiting.join(10)
    assert len(raised) == 1
    assert (books.target(), books.current(), books.status(february)) == (ALL, january, "candidate")


def test_two_publications_of_one_snapshot_publish_it_once(books: Books) -> None:
    """Eight connections publish the same snapshot at the same moment: one does, the others find it done."""
    snapshot_id = books.align(1)
    receipts: list[PublicationReceipt] = []
    threads = [threading.Thread(target=lambda: receipts.append(books.publish(snapshot_id, ALL))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(receipt.already_published for receipt in receipts) == [False] + [True] * 7
    assert sum(receipt.changed for receipt in receipts) == 6
    assert books.target() == ALL


def test_two_segmentations_publish_side_by_side(books: Books) -> None:
    """While one segmentation publishes, another can enter, align and publish: they share no lock."""
    books.execute("CREATE TABLE elsewhere (user_id integer, segment_id integer)")
    with books.engine.begin() as connection:
        publication.publish(connection, PUBLISH, "shop", books.align(1), books.labels(ALL))
        other = Books(books.engine, name="other")
        other.register()
        receipt = other.publish(other.align(1), ALL, PublishSpec(table="public.elsewhere", key="user_id"))
    assert receipt.not_in_target == 6
    assert books.target() == ALL


def test_customers_only_one_side_knows_are_counted(books: Books) -> None:
    """A customer who is not in the target is counted, with examples; one who is not in the source keeps the segment and is counted."""
    books.publish(books.align(1), ALL)
    receipt = books.publish(books.align(2), {1: 1, 2: 2, 10: 1, 11: 1, 12: 2, 13: 2})
    assert (receipt.changed, receipt.unchanged, receipt.not_in_target, receipt.not_in_source) == (1, 1, 4, 4)
    assert (receipt.cleared, receipt.examples_not_in_target) == (0, ("10", "11", "12"))
    assert books.target() == ALL | {2: 2}


def test_absent_customers_can_be_cleared(books: Books) -> None:
    """`absent: clear` empties the segment of customers who are no longer in the source, once, and counts them."""
    spec = PUBLISH.model_copy(update={"absent": "clear"})
    books.publish(books.align(1), ALL, spec)
    before = books.target("last_updated")
    receipt = books.publish(books.align(2), {1: 1, 2: 1, 3: 2}, spec)
    assert (receipt.changed, receipt.not_in_source, receipt.cleared) == (0, 3, 3)
    assert books.target() == {1: 1, 2: 1, 3: 2, 4: None, 5: None, 6: None}
    after = books.target("last_updated")
    assert {user for user in ALL if after[user] != before[user]} == {4, 5, 6}
    again = books.publish(books.align(3), {1: 1, 2: 1, 3: 2}, spec)
    assert (again.not_in_source, again.cleared) == (0, 0)


def test_unassigned_customers_lose_their_segment(books: Books) -> None:
    """A customer whom the model leaves out has no segment in the target afterwards."""
    books.publish(books.align(1), ALL)
    assert books.publish(books.align(2), ALL | {3: None}).changed == 1
    assert books.target()[3] is None


def test_create_mode_makes_table_and_rows(books: Books) -> None:
    """`mode: create` makes a missing table with the key's type, adds missing rows, and keeps those that are there."""
    spec = PublishSpec(table="public.fresh", key="Customer", column="segment", updated_column="at", mode="create")
    _check(books, spec)
    receipt = books.publish(books.align(1), ALL, spec)
    assert (receipt.changed, receipt.not_in_target) == (6, 0)
    assert dict(books.rows('SELECT "Customer", segment FROM fresh WHERE at IS NOT NULL')) == ALL
    receipt = books.publish(books.align(2), ALL | {1: 2, 7: 1}, spec)
    assert (receipt.changed, receipt.unchanged) == (2, 5)
    assert dict(books.rows('SELECT "Customer", segment FROM fresh')) == ALL | {1: 2, 7: 1}


def test_create_mode_adds_missing_columns_and_rows_to_a_table(books: Books) -> None:
    """`mode: create` on a table that exists adds what it lacks and touches nothing else."""
    books.execute("CREATE TABLE half (user_id integer PRIMARY KEY, email text)")
    books.execute("INSERT INTO half VALUES (1, 'a@b.c')")
    books.publish(books.align(1), ALL, PublishSpec(table="public.half", key="user_id", mode="create"))
    assert books.rows("SELECT email, segment_id FROM half WHERE user_id = 1") == [("a@b.c", 1)]
    assert books.scalar("SELECT count(*) FROM half") == 6


def test_create_mode_does_not_block_readers_of_a_complete_table(books: Books) -> None:
    """While a publication in create mode is open, a table that lacks nothing can be read."""
    spec = PUBLISH.model_copy(update={"mode": "create"})
    with books.engine.begin() as connection:
        publication.publish(connection, spec, "shop", books.align(1), books.labels(ALL))
        with books.engine.begin() as reader:
            reader.exec_driver_sql("SET LOCAL lock_timeout = '500ms'")
            assert reader.exec_driver_sql("SELECT count(segment_id) FROM target").scalar() == 0
    assert books.target() == ALL


def test_create_mode_names_a_missing_schema(books: Books) -> None:
    """`mode: create` makes tables, not schemas; a schema that is not there is named with the statement that makes it."""
    with pytest.raises(TargetError, match='CREATE SCHEMA "crm"'):
        _check(books, PublishSpec(table="crm.users", key="id", mode="create"))


@pytest.mark.parametrize(
    ("key_type", "keys"),
    [
        ("integer", (1, 2)),
        ("bigint", (2**53 + 1, 2**53 + 2)),
        ("uuid", ("00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000b")),
        ("text", ("it's", 'a "quoted", key\n')),
    ],
)
def test_names_and_keys_of_every_kind(engine: sa.Engine, key_type: str, keys: tuple[Any, ...]) -> None:
    """Quoted and mixed-case schemas, tables and columns work with integer, bigint, uuid and text keys."""
    books = Books(engine, key="Kunden Nr.")
    books.register(key_type)
    books.execute('CREATE SCHEMA "Mein.Shop"')
    table = '"Mein.Shop"."User Analytics"'
    books.execute(f'CREATE TABLE {table} ("User ""Id" {key_type}, "Segment %%s" bigint, "Last {{}}" timestamptz)')
    with books.engine.begin() as connection:
        for key in keys:
            connection.exec_driver_sql(f'INSERT INTO {table} ("User ""Id") VALUES (%s)', (key,))
    spec = PublishSpec(table=table, key='User "Id', column="Segment %s", updated_column="Last {}")
    assert books.publish(books.align(1), dict(zip(keys, (1, 2), strict=True)), spec).changed == 2
    found = books.rows(f'SELECT "User ""Id"::text, "Segment %%s" FROM {table} WHERE "Last {{}}" IS NOT NULL')
    assert dict(found) == {str(keys[0]): 1, str(keys[1]): 2}
    assert books.rows('SELECT "Kunden Nr."::text FROM segmentation.shop_current ORDER BY segment_id') == [
        (str(keys[0]),),
        (str(keys[1]),),
    ]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (
            "user_id integer",
            'ALTER TABLE "public"."wanting" ADD COLUMN "segment_id" integer, ADD COLUMN "last_updated" timestamptz;',
        ),
        (
            "user_id integer, segment_id integer",
            'ALTER TABLE "public"."wanting" ADD COLUMN "last_updated" timestamptz;',
        ),
        ("id integer, segment_id integer", "no column user_id (publish.key); it has id, segment_id"),
        ("user_id integer, segment_id text, last_updated timestamptz", "segment_id is text; a segment id needs an integer"),
        ("user_id text, segment_id integer, last_updated timestamptz", "user_id is text, and the source's key is integer"),
    ],
)  # fmt: skip
def test_a_target_that_cannot_take_segments_says_what_to_do(books: Books, columns: str, said: str) -> None:
    """A missing or wrong column is named, with the statement that mends it where there is one."""
    books.execute(f"CREATE TABLE wanting ({columns})")
    with pytest.raises(TargetError) as caught:
        _check(books, PUBLISH.model_copy(update={"table": "public.wanting"}))
    assert said in str(caught.value)


def test_the_statement_of_the_message_mends_the_target(books: Books) -> None:
    """The ALTER TABLE of the message can be run as it stands, and the target is good afterwards."""
    books.execute('CREATE TABLE "Wanting" (user_id integer)')
    spec = PUBLISH.model_copy(update={"table": 'public."Wanting"'})
    with pytest.raises(TargetError) as caught:
        _check(books, spec)
    books.execute(str(caught.value).partition("Run:")[2])
    _check(books, spec)


def test_a_missing_target_is_named(books: Books) -> None:
    """A target table that does not exist is named, with how to have it created."""
    with pytest.raises(TargetError, match=r"public\.gone does not exist.*mode: create"):
        _check(books, PUBLISH.model_copy(update={"table": "public.gone"}))


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("integer", "bigint"),
        ("bigint", "integer"),
        ("smallint", "numeric"),
        ("text", "varchar(9)"),
        ("text", "char(9)"),
    ],
)
def test_keys_of_kindred_types_are_compared(books: Books, source: str, target: str) -> None:
    """Source and target may keep the key in different types that PostgreSQL can compare."""
    books.execute(f"CREATE TABLE kindred (user_id {target}, segment_id integer, last_updated timestamptz)")
    _check(books, PUBLISH.model_copy(update={"table": "public.kindred"}), key_type=source)


def test_a_role_without_the_privilege_is_told_the_grant(books: Books) -> None:
    """A role that may not update the columns gets the GRANT its owner must run, before anything is written."""
    books.execute("CREATE ROLE reader")
    try:
        books.execute("GRANT SELECT ON target TO reader")
        with books.engine.begin() as connection:
            connection.exec_driver_sql("SET LOCAL ROLE reader")
            with pytest.raises(
                TargetError, match=r'GRANT UPDATE \("segment_id", "last_updated"\) ON "public"\."target"'
            ):
                PostgresTarget(PUBLISH, connection).check(key_type="integer")
    finally:
        books.execute("DROP OWNED BY reader")
        books.execute("DROP ROLE reader")


def test_the_unique_index_guards_the_published_version(books: Books) -> None:
    """A second published version of a month cannot be written, even past the code."""
    first, second = books.align(1), books.align(1)
    books.publish(first, ALL)
    with pytest.raises(Exception, match="snapshot_published"), books.engine.begin() as connection:
        snapshots.set_status(connection, second, "published")


def test_history_and_target_agree(books: Books) -> None:
    """After months in and out of order, the target shows the segments of the current snapshot's history."""
    for number, segment_of in ((1, ALL), (3, ALL | {1: 2}), (2, dict.fromkeys(ALL, 2)), (4, ALL | {6: 1})):
        books.publish(books.align(number), segment_of)
    assert dict(books.rows("SELECT customer_id, segment_id FROM segmentation.shop_current")) == books.target()
    with books.engine.begin() as connection:
        ledger = snapshots.lock(connection, "shop")
        assert ledger is not None
        found = assignments.read_assignments(connection, ledger, books.scalar("SELECT snapshot_id FROM segmentation.snapshot "
                                                                         "WHERE partition = %s", month(2)[0]))  # fmt: skip
    assert found.to_dict() == dict.fromkeys(ALL, 2)


def test_publishing_takes_part_in_the_callers_transaction(books: Books) -> None:
    """Nothing is visible to others before the caller commits, and all of it after."""
    snapshot_id = books.align(1)
    before = _everything(books)
    with books.engine.begin() as connection:
        publication.publish(connection, PUBLISH, "shop", snapshot_id, books.labels(ALL))
        assert _everything(books) == before
    assert books.target() == ALL


@pytest.mark.parametrize(
    ("many_rows", "own", "during"), [(3, "4MB", "128MB"), (3, "256MB", "256MB"), (1_000_000, "4MB", "4MB")]
)
def test_the_server_may_join_many_rows_in_one_go(
    books: Books, monkeypatch: pytest.MonkeyPatch, many_rows: int, own: str, during: str
) -> None:
    """For this one statement, and not where the server allows more already."""
    monkeypatch.setattr(write, "_MANY_ROWS", many_rows)
    books.execute("CREATE TABLE seen (work_mem text)")
    books.execute(
        "CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN INSERT INTO seen SELECT current_setting('work_mem'); RETURN NULL; END $$"
    )
    books.execute("CREATE TRIGGER see AFTER UPDATE ON target EXECUTE FUNCTION see()")
    snapshot_id = books.align(1)
    with books.engine.begin() as connection:
        connection.execute(sa.text(f"SET LOCAL work_mem = '{own}'"))
        publication.publish(connection, PUBLISH, "shop", snapshot_id, books.labels(ALL))
        assert connection.scalar(sa.text("SHOW work_mem")) == own
    assert books.rows("SELECT work_mem FROM seen") == [(during,)]
