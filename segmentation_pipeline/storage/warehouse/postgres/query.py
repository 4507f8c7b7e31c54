"""The text of a source's query: where it stands, where the period's dates go, and its columns."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from psycopg import sql

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.storage.warehouse.postgres.tables import split_table_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from pathlib import Path

    import psycopg

    from segmentation_pipeline.model import Period
    from segmentation_pipeline.spec import SourceSpec
    from segmentation_pipeline.storage.warehouse.base import Columns

# quoted text, dollar-quoted text, comments: a parameter's name in there is not a parameter
_TOKENS: Final = re.compile(
    r"""(?P<skip>\b[eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*"
          | (?P<tag>\$\w*\$).*?(?P=tag) | --[^\n]* | /\*.*?\*/ | ::)
      | :(?P<name>as_of|window_start)\b""",
    re.VERBOSE | re.DOTALL,
)


def read_query(source: SourceSpec, folder: Path) -> str:
    """Return the SQL of a source: the `.sql` file beside the defs.yaml in `folder`, the inline query, or a table's.

    Raises:
        SourceError: the file does not exist.
    """
    if source.table is not None:
        return sql.SQL("SELECT * FROM {}").format(sql.Identifier(*split_table_name(source.table))).as_string()
    query = (source.query or "").strip()
    if not query.endswith(".sql"):
        return query
    path = folder / query
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        message = f"source.query names {query}, which is not beside the defs.yaml in {folder}"
        raise SourceError(message) from None


def is_dated(query: str) -> bool:
    """Return whether the query uses `:as_of` or `:window_start`, so that an earlier period differs from today."""
    return any(match["name"] for match in _TOKENS.finditer(query))


def insert_dates(query: str, period: Period) -> sql.Composable:
    """Replace `:as_of` and `:window_start` by the period's dates, as quoted timestamptz literals.

    Literals and not bound parameters: PostgreSQL allows none in COPY, which is twice as fast.
    """
    values: Mapping[str, datetime] = {"as_of": period.as_of, "window_start": period.window_start}
    parts: list[sql.Composable] = []
    end = 0
    for match in _TOKENS.finditer(query):
        if match["name"]:
            parts.append(sql.SQL(query[end : match.start()]))
            parts.append(sql.Literal(values[match["name"]].isoformat()) + sql.SQL("::timestamptz"))
            end = match.end()
    parts.append(sql.SQL(query[end:]))
    return sql.Composed(parts)


def prepare_query(query: str, period: Period) -> sql.Composable:
    """Return the query with the period's dates, ready to be the subquery of another one."""
    return insert_dates(_strip_end(query), period)


def _strip_end(query: str) -> str:
    """Remove the semicolon and the comments that may end a file."""
    comments = [match for match in _TOKENS.finditer(query) if match[0].startswith(("--", "/*"))]
    while True:
        query = query.rstrip()
        if comments and comments[-1].end() >= len(query):
            query = query[: comments.pop().start()]
        elif query.endswith(";"):
            query = query[:-1]
        else:
            return query


def describe_query(connection: psycopg.Connection[Any], query: sql.Composable) -> Columns:
    """Return the columns of a prepared query with PostgreSQL's type names; the server does not run the query.

    Raises:
        SourceError: two columns have one name.
    """
    statement = sql.SQL("SELECT * FROM (\n{}\n) AS source LIMIT 0").format(query)
    columns = connection.execute(statement, prepare=True).description or []  # prepared: one statement, no more
    names = [column.name for column in columns]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        message = f"the source query has the column {', '.join(repeated)} more than once; name them differently"
        raise SourceError(message)
    types: dict[object, object] = dict(
        connection.execute(
            "SELECT t.oid, coalesce(b.typname, t.typname) FROM pg_type t "
            "LEFT JOIN pg_type b ON t.typtype = 'd' AND b.oid = t.typbasetype WHERE t.oid = ANY(%s)",
            [[column.type_code for column in columns]],
        ).fetchall()
    )
    return {column.name: str(types.get(column.type_code, "text")) for column in columns}
