"""PostgreSQL as a source: ADBC streams Arrow batches over COPY, column by column in a defined type, into Parquet."""

from __future__ import annotations

import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
from psycopg import sql

from segmentation_pipeline.errors import SourceError, TransientDatabaseError, UnusableDataError
from segmentation_pipeline.runtime.home import make_home
from segmentation_pipeline.storage.artifacts.artifact import COMPRESSION, Artifact
from segmentation_pipeline.storage.artifacts.store import disk_errors
from segmentation_pipeline.storage.artifacts.versions import RowsVersion
from segmentation_pipeline.storage.warehouse.base import Extracted, ExtractedFrame
from segmentation_pipeline.storage.warehouse.postgres import inspection, placement
from segmentation_pipeline.storage.warehouse.postgres.connection import resolve_url
from segmentation_pipeline.storage.warehouse.postgres.failures import (
    build_unreachable_error,
    describe_error,
    is_transient,
)
from segmentation_pipeline.storage.warehouse.postgres.query import describe_query, is_dated, prepare_query
from segmentation_pipeline.storage.warehouse.postgres.types import (
    cast_query,
    find_key_type,
    find_numerics,
    to_storage_batch,
    to_storage_schema,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from segmentation_pipeline.model import Period
    from segmentation_pipeline.spec import SourceSpec
    from segmentation_pipeline.storage.warehouse.base import Columns, InspectedTable, ProposedTarget


@dataclass(frozen=True, slots=True)
class PostgresSource:
    """A PostgreSQL database that customers are read from; dates and days are those of `timezone`."""

    spec: SourceSpec
    timezone: str

    def is_dated(self, query: str) -> bool:
        """Return whether the query uses `:as_of` or `:window_start`, so that an earlier period differs from today."""
        return is_dated(query)

    def describe(self, query: str, period: Period) -> Columns:
        """Return the columns of the query with PostgreSQL's type names; the server does not run the query.

        Raises:
            SourceError: the query fails.
            ConfigurationError: the database cannot be reached; UnreachableError where it may be later.
        """
        import psycopg

        url = resolve_url(self.spec.url_env)
        timeout = sql.Literal(self.spec.statement_timeout_s * 1000)
        try:
            with psycopg.connect(url, client_encoding="UTF8") as connection:
                connection.read_only = True
                connection.execute(sql.SQL("SET TIME ZONE {}").format(sql.Literal(self.timezone)))
                connection.execute(sql.SQL("SET statement_timeout = {}").format(timeout))
                return describe_query(connection, prepare_query(query, period))
        except psycopg.Error as error:
            if isinstance(error, psycopg.OperationalError) and error.sqlstate is None:  # no server answered
                raise build_unreachable_error(self.spec.url_env, url, error) from error
            raise _build_query_error(error, period) from error

    def extract(self, query: str, period: Period, destination: Path) -> Extracted:
        """Run `query` for `period` in a read-only transaction and write its rows to the Parquet file `destination`.

        Raises:
            SourceError: the query fails, lacks the key, or its key has a type that cannot identify a customer.
            TransientDatabaseError: the connection was lost on the way.
            UnusableDataError: the query returns no rows.
        """
        columns = self.describe(query, period)
        key_type = find_key_type(columns, self.spec.key)
        statement = cast_query(prepare_query(query, period), columns).as_string()
        n_rows, version = self._stream(statement, period, destination, numerics=find_numerics(columns))
        if n_rows == 0:
            message = (
                f"the source query returned 0 rows for {period.partition} (as of {period.as_of:%Y-%m-%d %H:%M}). Check "
                "that the period's data has arrived and that the query's dates are right."
            )
            raise UnusableDataError(message)
        return Extracted(n_rows, version, key_type, columns)

    def extract_frame(self, query: str, period: Period) -> ExtractedFrame:
        """Do what `extract` does and return the rows as every stage reads them; the file does not stay."""
        with (
            disk_errors("the extracted rows"),
            tempfile.TemporaryDirectory(prefix=".extract-", dir=make_home()) as folder,
        ):
            artifact = Artifact(Path(folder))
            extracted = self.extract(query, period, artifact.folder / "rows.parquet")
            return ExtractedFrame(extracted, artifact.frame("rows"))

    def inspect(self, table: str, period: Period) -> InspectedTable:
        """Return a sample of `table` and what the server knows of it; nothing is changed.

        Raises:
            SourceError: the table or the key does not exist, or the key is null or repeated.
            ConfigurationError: the database cannot be reached.
        """
        return inspection.inspect_table(self, table, self.spec.key, period=period, variable=self.spec.url_env)

    def propose_target(self, inspected: InspectedTable, name: str, *, wanted: str | None = None) -> ProposedTarget:
        """Return where the segments `name` of `inspected` can be written in this database; nothing is changed.

        Raises:
            SourceError: `wanted` is a table without a column that could be the key.
        """
        return placement.propose_target(inspected, name, variable=self.spec.url_env, wanted=wanted)

    def _stream(
        self, statement: str, period: Period, destination: Path, *, numerics: frozenset[str]
    ) -> tuple[int, str]:
        """Write the rows of a statement to a file; return their number and their version."""
        import adbc_driver_manager
        import adbc_driver_postgresql.dbapi as adbc

        settings = (
            "SET TRANSACTION READ ONLY",
            "SET LOCAL client_encoding = 'UTF8'",  # Arrow's; the driver would take the database's own
            sql.SQL("SET LOCAL TIME ZONE {}").format(sql.Literal(self.timezone)).as_string(),
            f"SET LOCAL statement_timeout = {self.spec.statement_timeout_s * 1000:d}",
        )
        try:
            with adbc.connect(resolve_url(self.spec.url_env)) as connection, connection.cursor() as cursor:
                for setting in settings:
                    cursor.execute(setting)
                cursor.execute(statement)
                reader = cursor._results.reader  # that of fetch_record_batch() has errors without an SQLSTATE
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
                    for batch in _read_batches(reader, period):
                        n_rows += batch.num_rows
                        if written is not None:
                            written.result()
                        written = aside.submit(keep, batch)
                    if written is not None:
                        written.result()
        except adbc_driver_manager.Error as error:
            # only libpq raises errors without an SQLSTATE: the connection is lost
            lost = isinstance(error, adbc_driver_manager.OperationalError) and not error.sqlstate
            raise _build_query_error(error, period, lost=lost) from error
        return n_rows, version.hexdigest


def _read_batches(reader: pa.RecordBatchReader, period: Period) -> Iterator[pa.RecordBatch]:
    """Yield the batches as they arrive; where the query fails on the way, Arrow raises its own error."""
    try:
        yield from reader
    except (pa.ArrowException, OSError) as error:
        raise _build_query_error(error, period) from error


def _build_query_error(error: Exception, period: Period, *, lost: bool = False) -> SourceError | TransientDatabaseError:
    """Return the error of a failed query: the server's words in one line, without the connection's address."""
    message = f"the source query failed for {period.partition}: {describe_error(error)}"
    return TransientDatabaseError(message) if lost or is_transient(error) else SourceError(message)
