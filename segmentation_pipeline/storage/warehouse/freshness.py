"""Whether a period's data has arrived: the newest row that was extracted, compared with the period's end."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from segmentation_pipeline.errors import SourceError, StaleSourceError

if TYPE_CHECKING:
    from pathlib import Path

    from segmentation_pipeline.model import Period
    from segmentation_pipeline.spec import FreshSpec


def require_fresh(rows: Path, fresh: FreshSpec, period: Period, *, timezone: str) -> datetime:
    """Return the newest value of the column in the Parquet file `rows`; a date counts from its midnight in `timezone`.

    Raises:
        StaleSourceError: it is older than as_of minus `within`, or every value is null.
        SourceError: the column does not exist, or does not hold dates.
    """
    newest = _find_newest(rows, fresh.column, ZoneInfo(timezone))
    oldest_allowed = period.as_of - fresh.limit
    if newest is not None and newest >= oldest_allowed:
        return newest
    found = f"the newest {fresh.column} is {newest:%Y-%m-%d %H:%M}" if newest else f"every {fresh.column} is null"
    message = (
        f"the data of {period.partition} has not arrived: {found}, and source.fresh wants one of "
        f"{oldest_allowed:%Y-%m-%d %H:%M} or later ({fresh.within} before as_of, {period.as_of:%Y-%m-%d %H:%M}). "
        "Run the period again when it is there, or allow more in source.fresh.within."
    )
    raise StaleSourceError(message)


def _find_newest(rows: Path, column: str, zone: ZoneInfo) -> datetime | None:
    """Return the newest value of a date or timestamp column, in `zone`; None where every value is null."""
    file = pq.ParquetFile(rows)
    schema = file.schema_arrow
    if column not in schema.names:
        message = f"source.fresh names {column}, which the query does not return; it returns {', '.join(schema.names)}"
        raise SourceError(message)
    kind = schema.field(column).type
    if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        message = f"source.fresh names {column}, which is of type {kind}; it needs a date or timestamp column"
        raise SourceError(message)
    largest = [pc.max(batch.column(0)).as_py() for batch in file.iter_batches(columns=[column])]
    newest = pc.max(pa.array(largest, kind)).as_py()
    if newest is None:
        return None
    if not isinstance(newest, datetime):
        return datetime(newest.year, newest.month, newest.day, tzinfo=zone)
    return newest.replace(tzinfo=zone) if newest.tzinfo is None else newest.astimezone(zone)
