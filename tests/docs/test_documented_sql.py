"""Every SQL block runs, in the shop with two published months, and finds something.

The statements of a block run one after the other in a transaction that is rolled back. `DATABASE shop` is the test's own
database. The tutorial's blocks run in the tutorial's own test.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from support.documents import DOCS, TUTORIAL, Block, read_all_blocks, read_headings, split_tables, to_anchor

if TYPE_CHECKING:
    import psycopg

BLOCKS = [block for block in read_all_blocks("sql") if block.page != TUTORIAL]
# these ask whether something is wrong, and nothing is
FINDS_NOTHING = ("SELECT partition, n_rows", "SELECT c.customer_id, c.segment_id, u.segment_id")
PAGE = (DOCS / "database.md").read_text()


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_sql_blocks_run_and_find_something(block: Block, connection: psycopg.Connection) -> None:
    """Every block runs as it is on the page and finds rows: a query for marketers without a result would show nothing."""
    text = block.text.replace("DATABASE shop", f'DATABASE "{connection.info.dbname}"')
    # that schema is there already, made by the role that runs the tests
    text = text.replace("CREATE SCHEMA segmentation AUTHORIZATION", "ALTER SCHEMA segmentation OWNER TO")
    for statement in re.sub(r"--[^\n]*", "", text).split(";"):
        if not statement.strip():
            continue
        cursor = connection.execute(statement)  # type: ignore[arg-type]  # a page's text
        if cursor.description is not None:
            assert bool(cursor.fetchall()) is not statement.strip().startswith(FINDS_NOTHING), statement


def _read_documented_columns() -> dict[str, list[tuple[str, str]]]:
    """Read the columns of each table and view from the page."""
    parts = re.split(r"^### segmentation\.(\w+)$", PAGE, flags=re.MULTILINE)
    return {
        name: [(row[0].strip("`"), row[1]) for row in split_tables(text)[0]]
        for name, text in zip(parts[1::2], parts[2::2], strict=True)
    }


def test_the_page_has_every_table_with_its_columns(connection: psycopg.Connection) -> None:
    """The page has name and type of every column, in order, for exactly the tables and views of the schema."""
    rows = connection.execute(
        "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) "
        "FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
        "WHERE c.relnamespace = 'segmentation'::regnamespace AND c.relkind IN ('r', 'v', 'p') AND NOT c.relispartition "
        "AND a.attnum > 0 AND NOT a.attisdropped AND c.relname <> 'alembic_version' ORDER BY c.relname, a.attnum"
    ).fetchall()
    found: dict[str, list[tuple[str, str]]] = {}
    for table, column, kind in rows:
        found.setdefault(table, []).append((column, kind))
    assert _read_documented_columns() == found


def test_the_values_that_the_page_lists_are_those_the_database_takes(connection: psycopg.Connection) -> None:
    """Statuses, events, severities, actions and sources of a name are those of the tables' constraints."""
    checks = " ".join(
        text for (text,) in connection.execute(
            "SELECT pg_get_constraintdef(oid) FROM pg_constraint "
            "WHERE contype = 'c' AND connamespace = 'segmentation'::regnamespace"
        )
    )  # fmt: skip
    allowed = set(re.findall(r"'(\w+)'::text", checks))
    listed = set()
    for column in ("status", "event", "severity", "action", "name_source"):
        (row,) = re.findall(rf"^\| `{column}` \| text \| (.+) \|$", PAGE, flags=re.MULTILINE)
        listed |= set(re.findall(r"`(\w+)`", row))
    assert listed == allowed


def test_the_list_of_tables_links_to_each() -> None:
    """The table at the top of the page links to every section except the two that only the package needs."""
    first = PAGE[: PAGE.index("## For marketers")]
    linked = set(re.findall(r"\(#(\w+)\)", first))
    sections = {
        to_anchor(heading) for heading in read_headings(DOCS / "database.md") if heading.startswith("segmentation.")
    }
    assert sections - linked == {"segmentationshop_scored", "segmentationsegmentation"}
