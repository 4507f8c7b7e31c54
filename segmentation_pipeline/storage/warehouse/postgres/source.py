"""Out of PostgreSQL into Parquet: ADBC streams Arrow batches over COPY, column by column in a defined type."""

from __future__ import annotations

import re
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from psycopg import sql

from segmentation_pipeline.errors import SourceError, TransientDatabaseError, UnusableDataError
from segmentation_pipeline.runtime.home import make_home
from segmentation_pipeline.storage.artifacts.artifact import COMPRESSION, Artifact
from segmentation_pipeline.storage.artifacts.store import disk_errors
from segmentation_pipeline.storage.artifacts.versions import RowsVersion
from segmentation_pipeline.storage.warehouse.postgres.connection import (
    describe_error,
    is_transient,
    resolve_url,
    split_table_name,
    unreachable_error,
)
from segmentation_pipeline.storage.warehouse.postgres.types import (
    cast_query,
    find_key_type,
    find_numerics,
    to_storage_batch,
    to_storage_schema,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    import pandas as pd
    import psycopg

    from segmentation_pipeline.model import Period
    from segmentation_pipeline.spec import SourceSpec

# quoted text, dollar-quoted text, comments: a parameter's name in there is not a parameter
_TOKENS: Final = re.compile(
    r"""(?P<skip>\b[eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*"
          | (?P<tag>\$\w*\$).*?(?P=tag) | --[^\n]* | /\*.*?\*/ | ::)
      | :(?P<name>as_of|window_start)\b""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Extracted:
    """What was written: rows, their order-free data version, the key's PostgreSQL type, the type of each column."""

    n_rows: int
    data_version: str
    key_type: str
    column_types: dict[str, str]
    dated: bool


def read_query(source: SourceSpec, folder: Path) -> str:
    """The SQL of a source: the `.sql` file beside the defs.yaml in `folder`, the inline query, or the whole table.

    Raises:
        SourceError: the file is not there.
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
    """Whether the query asks for `:as_of` or `:window_start`, so that an older partition means something."""
    return any(match["name"] for match in _TOKENS.finditer(query))


def insert_dates(query: str, period: Period) -> sql.Composable:
    """Put the period's dates, as quoted timestamptz literals, where `:as_of` and `:window_start` stand.

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


def extract(source: SourceSpec, query: str, period: Period, destination: Path, *, timezone: str) -> Extracted:
    """Run `query` for `period` in a read-only transaction and write its rows to the Parquet file `destination`.

    Raises:
        SourceError: the query fails, lacks the key, or its key has a type that cannot identify a customer.
        TransientDatabaseError: the connection was lost on the way.
        UnusableDataError: it gives no rows.
    """
    import psycopg

    url = resolve_url(source.url_env)
    dated = insert_dates(_without_end(query), period)
    try:
        with psycopg.connect(url, client_encoding="UTF8") as connection:
            connection.read_only = True
            connection.execute(sql.SQL("SET TIME ZONE {}").format(sql.Literal(timezone)))
            connection.execute(
                sql.SQL("SET statement_timeout = {}").format(sql.Literal(source.statement_timeout_s * 1000))
            )
            columns = _columns(connection, dated)
            key_type = find_key_type(columns, source.key)
            statement = cast_query(dated, columns).as_string(connection)
    except psycopg.Error as error:
        if isinstance(error, psycopg.OperationalError) and error.sqlstate is None:  # no server answered
            raise unreachable_error(source.url_env, error) from error
        raise _failed(error, period) from error
    n_rows, version = _stream(
        url, statement, destination, numerics=find_numerics(columns), source=source, timezone=timezone, period=period
    )
    if n_rows == 0:
        message = (
            f"the source query gave 0 rows for {period.partition} (as of {period.as_of:%Y-%m-%d %H:%M}). Check that "
            "the period's data has arrived and that the query's dates are right."
        )
        raise UnusableDataError(message)
    return Extracted(n_rows, version, key_type, dict(columns), dated=is_dated(query))


def extract_frame(source: SourceSpec, query: str, period: Period, *, timezone: str) -> tuple[Extracted, pd.DataFrame]:
    """Do what `extract` does and read the rows as every stage reads them; the file does not stay."""
    with disk_errors("the extracted rows"), tempfile.TemporaryDirectory(prefix=".extract-", dir=make_home()) as folder:
        artifact = Artifact(Path(folder))
        extracted = extract(source, query, period, artifact.folder / "rows.parquet", timezone=timezone)
        return extracted, artifact.frame("rows")


def describe_query(connection: psycopg.Connection[Any], query: str, period: Period) -> dict[str, str]:
    """Each column that the query gives with its PostgreSQL type, asked of the server without running it."""
    return dict(_columns(connection, insert_dates(_without_end(query), period)))


def _without_end(query: str) -> str:
    """The query without the semicolon and the comments that may end a file."""
    comments = [match for match in _TOKENS.finditer(query) if match[0].startswith(("--", "/*"))]
    while True:
        query = query.rstrip()
        if comments and comments[-1].end() >= len(query):
            query = query[: comments.pop().start()]
        elif query.endswith(";"):
            query = query[:-1]
        else:
            return query


def _stream(
    url: str,
    statement: str,
    destination: Path,
    *,
    numerics: frozenset[str],
    source: SourceSpec,
    timezone: str,
    period: Period,
) -> tuple[int, str]:
    import adbc_driver_manager
    import adbc_driver_postgresql.dbapi as adbc

    settings = (
        "SET TRANSACTION READ ONLY",
        "SET LOCAL client_encoding = 'UTF8'",  # Arrow's; the driver would take the database's own
        sql.SQL("SET LOCAL TIME ZONE {}").format(sql.Literal(timezone)).as_string(),
        f"SET LOCAL statement_timeout = {source.statement_timeout_s * 1000:d}",
    )
    try:
        with adbc.connect(url) as connection, connection.cursor() as cursor:
            for setting in settings:
                cursor.execute(setting)
            cursor.execute(statement)
            reader = cursor.fetch_record_batch()
            schema = to_storage_schema(reader.schema, numerics)
            version, n_rows = RowsVersion(schema), 0

            def keep(batch: pa.RecordBatch) -> None:
                rows = to_storage_batch(batch, schema, numerics, period)
                writer.write_batch(rows)
                version.add(rows)

            with (
                pq.ParquetWriter(destination, schema, compression=COMPRESSION) as writer,
                ThreadPoolExecutor(1) as aside,
            ):
                # a batch is written while the server makes the next one
                written: Future[None] | None = None
                for batch in _read(reader, period):
                    n_rows += batch.num_rows
                    if written is not None:
                        written.result()
                    written = aside.submit(keep, batch)
                if written is not None:
                    written.result()
    except adbc_driver_manager.Error as error:
        raise _failed(error, period) from error
    return n_rows, version.hexdigest


def _read(reader: pa.RecordBatchReader, period: Period) -> Iterator[pa.RecordBatch]:
    """The batches as they come; what fails on the way is the query's doing, and comes as an error of Arrow."""
    try:
        yield from reader
    except (pa.ArrowException, OSError) as error:
        raise _failed(error, period) from error


def _columns(connection: psycopg.Connection[Any], query: sql.Composable) -> list[tuple[str, str]]:
    """Each column's name and PostgreSQL type name, asked of the server without running the query."""
    statement = sql.SQL("SELECT * FROM (\n{}\n) AS source LIMIT 0").format(query)
    describe_query = connection.execute(statement, prepare=True).description or []  # prepared: one statement, no more
    names = [column.name for column in describe_query]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        message = f"the source query gives the column {', '.join(twice)} more than once; give each its own name"
        raise SourceError(message)
    types: dict[object, object] = dict(
        connection.execute(
            "SELECT t.oid, coalesce(b.typname, t.typname) FROM pg_type t "
            "LEFT JOIN pg_type b ON t.typtype = 'd' AND b.oid = t.typbasetype WHERE t.oid = ANY(%s)",
            [[column.type_code for column in describe_query]],
        ).fetchall()
    )
    return [(column.name, str(types.get(column.type_code, "text"))) for column in describe_query]


def _failed(error: Exception, period: Period) -> SourceError | TransientDatabaseError:
    """What the server said, in one line, without the connection's address."""
    said = f"the source query failed for {period.partition}: {describe_error(error)}"
    return TransientDatabaseError(said) if is_transient(error) else SourceError(said)
