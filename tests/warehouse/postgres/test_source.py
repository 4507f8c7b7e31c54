"""PostgreSQL as a source: rows, dates, keys, and queries that cannot be run."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit
from zoneinfo import ZoneInfo

import psycopg
import pyarrow.parquet as pq
import pytest
from support.extraction import MARCH, execute, extract, extract_value

from segmentation_pipeline.errors import (
    ConfigurationError,
    SegmentationError,
    SourceError,
    TransientDatabaseError,
    UnusableDataError,
)
from segmentation_pipeline.model import Period
from segmentation_pipeline.spec import SourceSpec
from segmentation_pipeline.storage.warehouse.postgres.query import insert_dates, is_dated, read_query
from segmentation_pipeline.storage.warehouse.postgres.source import PostgresSource

if TYPE_CHECKING:
    from pathlib import Path


def test_columns_keep_unusual_names(destination: Path) -> None:
    """Capitals, spaces, quotes, percent signs and braces in column names survive."""
    extracted = extract("""SELECT 1 AS id, 2.5 AS "Total % {of} ""all"" Größe" """, destination)
    assert extracted.column_types == {"id": "int4", 'Total % {of} "all" Größe': "numeric"}
    assert pq.read_schema(destination).names == ["id", 'Total % {of} "all" Größe']


def test_many_rows_arrive_in_full(destination: Path) -> None:
    """More rows than one Arrow batch holds arrive, all of them, and are counted."""
    extracted = extract("SELECT g AS id, repeat('x', 100) AS pad FROM generate_series(1, 300000) g", destination)
    assert extracted.n_rows == 300_000
    ids = pq.read_table(destination, columns=["id"])["id"]
    assert sum(ids.to_pylist()) == 300_000 * 300_001 // 2


def test_data_version_ignores_order_and_sees_values(destination: Path) -> None:
    """The same rows in another order have the same data version; another value, type or duplicate changes it."""
    rows = "SELECT * FROM (VALUES (1, 'a'), (2, 'b'), (3, 'c')) v (id, name)"
    version = extract(rows, destination).data_version
    assert extract(f"{rows} ORDER BY id DESC", destination).data_version == version
    others = [
        rows.replace("'b'", "'B'"),
        f"{rows} UNION ALL SELECT 3, 'c'",
        f"{rows} LIMIT 2",
        rows.replace("SELECT *", "SELECT id::int8, name"),
    ]
    assert version not in {extract(other, destination).data_version for other in others}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (":as_of", datetime(2011, 4, 1, tzinfo=UTC)),
        (":window_start", datetime(2011, 3, 1, tzinfo=UTC)),
        (":as_of::date", date(2011, 4, 1)),
        (":window_start ::timestamp", datetime(2011, 3, 1)),  # noqa: DTZ001  without a time zone is the point
        ("CAST(:as_of AS date) - CAST(:window_start AS date)", 31),
        (":as_of - interval '1 second'", datetime(2011, 3, 31, 23, 59, 59, tzinfo=UTC)),
        ("':as_of'::text", ":as_of"),
        ("'it''s :as_of'::text", "it's :as_of"),
        ("$$:as_of$$::text", ":as_of"),
        ("$q$ $$ :as_of $q$::text", " $$ :as_of "),
        ("1 /* :as_of */", 1),
        ("1 -- :as_of\n", 1),
    ],
)
def test_dates_of_the_period_stand_where_they_are_asked_for(
    destination: Path, expression: str, expected: object
) -> None:
    """:as_of and :window_start become timestamptz literals, except in quotes and comments; casts stay casts."""
    assert extract_value(expression, destination) == expected


def test_longer_names_are_not_dates() -> None:
    """A parameter that only begins like ours is left alone, and so is the cast to a type of that name."""
    assert not is_dated("SELECT :as_of_date, x::as_of")
    query = "SELECT ':as_of'"
    assert insert_dates(query, MARCH).as_string() == query


@pytest.mark.parametrize(("query", "dated"), [("SELECT :as_of", True), ("SELECT 1 -- :as_of", False), ("", False)])
def test_undated_queries_are_known(query: str, dated: bool) -> None:
    """A query that uses neither date is recognised, also when it only names one in a comment."""
    assert is_dated(query) is dated


def test_days_begin_in_the_segmentation_s_time_zone(destination: Path) -> None:
    """Casts to date and comparisons with plain timestamps follow the partitions' time zone, not the server's."""
    berlin = ZoneInfo("Europe/Berlin")
    period = Period("2011-03-01", datetime(2011, 3, 1, tzinfo=berlin), datetime(2011, 4, 1, tzinfo=berlin))
    settings = {"period": period, "timezone": "Europe/Berlin"}
    assert extract_value(":as_of::date", destination, **settings) == date(2011, 4, 1)
    assert extract_value("timestamp '2011-03-31 23:30' < :as_of", destination, **settings) is True
    assert extract_value(":as_of", destination, **settings) == datetime(2011, 3, 31, 22, tzinfo=UTC)


@pytest.mark.parametrize("end", [";", " ;\n", "; -- the end", " -- the end", "\n/* the end */;\n"])
def test_a_query_may_end_as_files_do(destination: Path, end: str) -> None:
    """A semicolon, a comment or both at the end of the query do no harm."""
    assert extract(f"SELECT 1 AS id{end}", destination).n_rows == 1


def test_a_query_may_use_common_table_expressions_and_percent_signs(destination: Path) -> None:
    """WITH, LIKE '%' and the modulo operator are plain SQL, not placeholders."""
    query = "WITH a AS (SELECT 7 % 4 AS id, 'x%s' AS name) SELECT * FROM a WHERE name LIKE 'x%' ORDER BY id"
    extract(query, destination)
    assert pq.read_table(destination).to_pylist() == [{"id": 3, "name": "x%s"}]


def test_a_query_cannot_write(source: str, destination: Path) -> None:
    """The source is read in a read-only transaction: a function that writes fails and nothing is written."""
    execute(source, "CREATE TABLE log (n int)")
    execute(source, "CREATE FUNCTION note() RETURNS int LANGUAGE sql AS 'INSERT INTO log VALUES (1) RETURNING n'")
    with pytest.raises(SourceError, match="read-only transaction"):
        extract("SELECT note() AS id", destination)
    with pytest.raises(SourceError, match="2011-03-01"):
        extract("DELETE FROM log RETURNING n AS id", destination)
    with psycopg.connect(source) as connection:
        assert connection.execute("SELECT count(*) FROM log").fetchone() == (0,)


def test_a_query_cannot_bring_a_second_statement(source: str, destination: Path) -> None:
    """A statement hidden behind a semicolon is refused, also when it first leaves the read-only transaction."""
    execute(source, "CREATE TABLE kept (id int)")
    second = "COMMIT; SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE; DROP TABLE kept"
    with pytest.raises(SourceError, match="multiple commands"):
        extract(f"SELECT 1 AS id) AS source; {second}; SELECT * FROM (SELECT 1 AS id", destination)
    with psycopg.connect(source) as connection:
        assert connection.execute("SELECT to_regclass('kept')::text").fetchone() == ("kept",)


def test_a_query_that_fails_on_the_way_is_known_by_its_code(source: str, destination: Path) -> None:
    """An error among the rows is decided by its SQLSTATE, and reported in the server's words alone."""
    for name, code, words in (
        ("busy", "serialization_failure", "die Zugriffe konnten nicht serialisiert werden"),
        ("odd", "division_by_zero", "Division durch Null"),
    ):
        execute(
            source,
            f"CREATE FUNCTION {name}(n int) RETURNS int LANGUAGE plpgsql AS "
            f"$$ BEGIN IF n > 9000 THEN RAISE EXCEPTION '{words}' USING ERRCODE = '{code}'; END IF; RETURN n; END $$",
        )
    rows = "AS id FROM generate_series(1, 10000) g"
    with pytest.raises(TransientDatabaseError, match=r"2011-03-01: die Zugriffe konnten nicht serialisiert werden$"):
        extract(f"SELECT busy(g) {rows}", destination)
    with pytest.raises(SourceError, match=r"2011-03-01: Division durch Null$"):
        extract(f"SELECT odd(g) {rows}", destination)


def test_a_slow_query_is_cancelled(destination: Path) -> None:
    """statement_timeout_s ends the query, and the message says so."""
    with pytest.raises(SourceError, match="statement timeout"):
        extract("SELECT 1 AS id, pg_sleep(20)::text AS nap", destination, statement_timeout_s=1)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT 1 AS customer, 2 AS age", "no key column 'id'; it has customer, age"),
        ("SELECT 1.5 AS id", "the key id is of type numeric; use an integer, uuid or text"),
        ("SELECT now() AS id", "of type timestamptz"),
        ("SELECT 1 AS id, 2 AS n, 3 AS n", "column n more than once"),
        ("SELECT 1 AS id, 2, 3", "column ?column? more than once"),
        ("SELECT id FROM nowhere", 'relation "nowhere" does not exist'),
        ("SELECT 1 AS id, 1 / 0 AS oops", "division by zero"),
        ("SELECT 1 AS id, 1e400::numeric AS big", "big is out of range for double precision in 1 row,"),
        ("SELECT 1 AS id, 'Infinity'::numeric AS ok, -1e309 AS big", "for example -10000000000... with 310 digits"),
        ("SELEC 1", "syntax error"),
    ],
)
def test_an_impossible_query_is_explained(destination: Path, query: str, said: str) -> None:
    """What is wrong with the query, its columns or its key is reported in one line with the partition or the names."""
    with pytest.raises(SourceError) as caught:
        extract(query, destination)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("expression", ["1::int2", "1", "1::int8", "gen_random_uuid()", "'a'", "'a'::varchar(3)"])
def test_keys_are_integers_uuids_or_text(destination: Path, expression: str) -> None:
    """The six types a key may have, and the type the history stores it as."""
    expected = {"1::int2": "smallint", "1": "integer", "1::int8": "bigint", "gen_random_uuid()": "uuid"}
    assert extract(f"SELECT {expression} AS id", destination).key_type == expected.get(expression, "text")


def test_no_rows_is_an_error_with_the_date(destination: Path) -> None:
    """A query without rows stops the run, and the message names the partition and its as_of."""
    with pytest.raises(UnusableDataError, match=r"0 rows for 2011-03-01 \(as of 2011-04-01 00:00\)"):
        extract("SELECT 1 AS id WHERE false", destination)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:s3cret@127.0.0.1:1/shop",
        "postgresql+psycopg://ann:s3cret@127.0.0.1:1/shop?connect_timeout=2",
        "postgresql://ann:s3cret%zz@127.0.0.1:1/shop",
        "postgresql://ann:s3cret/1@127.0.0.1:1/shop",
        "postgresql://localhost:s3cret/1@127.0.0.1:1/shop",
        "postgresql://ann:x@s3cret@127.0.0.1:1/shop",
        "postgresql://ann@127.0.0.1:1/shop?password=s3cret",
        "postgresql://ann:x@127.0.0.1:1/shop?nonsense=s3cret",
        "ann:s3cret@127.0.0.1/shop",
        "mysql://ann:s3cret@127.0.0.1/shop",
    ],
)
def test_no_message_shows_the_url_or_the_password(destination: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Neither the URL nor the password of a connection that fails is in the message."""
    monkeypatch.setenv("OTHER_URL", url)
    with pytest.raises(SegmentationError) as caught:
        extract("SELECT 1 AS id", destination, url_env="OTHER_URL")
    assert "s3cret" not in str(caught.value)
    assert "://ann" not in str(caught.value)


def test_an_unset_variable_is_named(destination: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source whose environment variable is not set says which one."""
    monkeypatch.delenv("WAREHOUSE_URL", raising=False)
    with pytest.raises(ConfigurationError, match="WAREHOUSE_URL is not set"):
        extract("SELECT 1 AS id", destination, url_env="WAREHOUSE_URL")


def test_a_source_is_a_file_a_query_or_a_table(source: str, tmp_path: Path, destination: Path) -> None:
    """The .sql file beside the defs.yaml, inline SQL and a table in quotes return the same rows; a missing file is named."""
    execute(source, 'CREATE SCHEMA "My Shop"')
    execute(source, 'CREATE TABLE "My Shop"."Customers.All" AS SELECT 5 AS id')
    (tmp_path / "customers.sql").write_text('SELECT * FROM "My Shop"."Customers.All"\n')
    specs = [
        SourceSpec(query="customers.sql", key="id"),
        SourceSpec(query='SELECT id FROM "My Shop"."Customers.All"', key="id"),
        SourceSpec(table='"My Shop"."Customers.All"', key="id"),
    ]
    for spec in specs:
        PostgresSource(spec, "UTC").extract(read_query(spec, tmp_path), MARCH, destination)
        assert pq.read_table(destination).to_pylist() == [{"id": 5}]
    with pytest.raises(SourceError, match=r"gone\.sql, which is not beside"):
        read_query(SourceSpec(query="gone.sql", key="id"), tmp_path)


@pytest.mark.parametrize(
    ("encoding", "expression", "read"),
    [
        ("LATIN1", "convert_from('\\xe4'::bytea, 'LATIN1')", "ä"),
        ("SQL_ASCII", "E'\\xc3\\xa4'", "ä"),
        ("SQL_ASCII", "E'\\xe4'", None),
    ],
)
def test_a_database_of_another_encoding_returns_the_same_text(
    source: str, destination: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, expression: str, read: str | None
) -> None:
    """Text arrives as UTF-8 from a database of another encoding; bytes that are not text are refused with their value."""
    name = f"other_{encoding.lower()}"
    with psycopg.connect(source, autocommit=True) as owner:
        owner.execute(f"DROP DATABASE IF EXISTS {name}")
        owner.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
        try:
            monkeypatch.setenv("OTHER_URL", urlunsplit(urlsplit(source)._replace(path=f"/{name}")))
            if read is None:
                with pytest.raises(SourceError, match='invalid byte sequence for encoding "UTF8": 0xe4'):
                    extract_value(expression, destination, url_env="OTHER_URL")
            else:
                assert extract_value(expression, destination, url_env="OTHER_URL") == read
        finally:
            owner.execute(f"DROP DATABASE {name} WITH (FORCE)")
