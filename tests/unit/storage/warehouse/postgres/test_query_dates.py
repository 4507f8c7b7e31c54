"""Where `:as_of` and `:window_start` stand in a query, and where they only seem to."""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.model import Period
from segmentation_pipeline.spec import SourceSpec
from segmentation_pipeline.storage.warehouse.postgres.query import insert_dates, is_dated, read_query

BERLIN = ZoneInfo("Europe/Berlin")
MARCH = Period("2024-03-01", datetime(2024, 3, 1, tzinfo=BERLIN), datetime(2024, 4, 1, tzinfo=BERLIN))
AS_OF = "'2024-04-01T00:00:00+02:00'::timestamptz"
START = "'2024-03-01T00:00:00+01:00'::timestamptz"


def _dated(query: str) -> str:
    return insert_dates(query, MARCH).as_string()


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT :as_of", f"SELECT {AS_OF}"),
        (":as_of", AS_OF),
        ("a >= :window_start AND a < :as_of", f"a >= {START} AND a < {AS_OF}"),
        ("(:as_of::date - day)", f"({AS_OF}::date - day)"),
        ("a<:as_of;", f"a<{AS_OF};"),
        ("f(:as_of,:window_start)", f"f({AS_OF},{START})"),
        ("'it''s' || :as_of", f"'it''s' || {AS_OF}"),
        ("'' || :as_of || ''", f"'' || {AS_OF} || ''"),
        ('"odd ""name""" < :as_of', f'"odd ""name""" < {AS_OF}'),
        ("-- the customers\nSELECT :as_of", f"-- the customers\nSELECT {AS_OF}"),
        ("/* all */ :as_of /* of them */", f"/* all */ {AS_OF} /* of them */"),
        ("$$a$$ || :as_of || $x$b$x$", f"$$a$$ || {AS_OF} || $x$b$x$"),
        ("x LIKE '50%' AND :as_of > '{}'", f"x LIKE '50%' AND {AS_OF} > '{{}}'"),
        ("name = '🍣' AND :as_of > d", f"name = '🍣' AND {AS_OF} > d"),
        ("5 / 2 - -1 < :as_of", f"5 / 2 - -1 < {AS_OF}"),
    ],
)
def test_the_dates_are_put_in_as_literals(query: str, expected: str) -> None:
    """A parameter becomes a quoted timestamptz of the period, in its time zone; the rest stays letter by letter."""
    assert _dated(query) == expected
    assert is_dated(query)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1",
        "",
        "day::as_of",
        "day::date",
        "SELECT ':as_of'",
        "SELECT 'it''s :as_of'",
        r"SELECT E'it\'s :as_of'",
        'SELECT ":as_of"',
        'SELECT "a "":as_of"',
        "SELECT $$:as_of$$",
        "SELECT $body$ $$ :as_of $$ $body$",
        "SELECT 1 -- :as_of",
        "SELECT 1 -- it's :as_of\n",
        "SELECT /* :as_of\n:window_start */ 1",
        ":as_off",
        ":as_of_date",
        ":as_of2",
        "as_of",
        ":AS_OF",
        ":window",
        "SELECT x[1:2], y::int",
    ],
)
def test_what_only_looks_like_a_date_stays(query: str) -> None:
    """In text, names, dollar quotes, comments, casts and longer names there is no parameter."""
    assert _dated(query) == query
    assert not is_dated(query)


def test_a_comment_ends_with_its_line() -> None:
    """A parameter after a commented line is one, even if the comment has a lone quote."""
    assert _dated("-- don't\n:as_of -- :as_of\n") == f"-- don't\n{AS_OF} -- :as_of\n"


def test_a_comment_mark_inside_text_is_not_a_comment() -> None:
    """Comment marks inside text do not hide the parameter that follows."""
    assert _dated("'--' || '/*' || :as_of") == f"'--' || '/*' || {AS_OF}"


SKIPPED = st.sampled_from(
    ["':as_of'", '":as_of"', "$$:as_of$$", "$t$ ':as_of $t$", "-- :as_of '\n", "/* ':as_of */", "::as_of", " x ", ":other", "''"]
)  # fmt: skip


@given(parts=st.lists(st.one_of(SKIPPED, st.just(":as_of")), max_size=12))
@settings(deadline=None, max_examples=50)
def test_parameters_are_found_in_any_mixture(parts: list[str]) -> None:
    """In any order of text, comments, casts and parameters, exactly the parameters are replaced."""
    found = _dated(" ".join(parts))

    assert found == " ".join(AS_OF if part == ":as_of" else part for part in parts)
    assert is_dated(" ".join(parts)) is (":as_of" in parts)


def test_a_query_is_inline_or_a_file_beside_the_description(tmp_path: Path) -> None:
    """What ends in .sql is a file, a table is all of its columns with its name quoted, anything else is SQL."""
    (tmp_path / "customers.sql").write_text("  SELECT 1\n")

    assert read_query(SourceSpec(query="customers.sql", key="id"), tmp_path) == "SELECT 1"
    assert read_query(SourceSpec(query=" SELECT 2 ", key="id"), tmp_path) == "SELECT 2"
    assert read_query(SourceSpec(table="public.Odd name", key="id"), tmp_path) == 'SELECT * FROM "public"."Odd name"'


def test_a_query_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A missing .sql file is named together with the folder where it was looked for."""
    with pytest.raises(SourceError) as refused:
        read_query(SourceSpec(query="gone.sql", key="id"), tmp_path)

    assert str(refused.value) == f"source.query names gone.sql, which is not beside the defs.yaml in {tmp_path}"
