"""Whether a period's data has arrived."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from segmentation_pipeline.errors import SourceError, StaleSourceError
from segmentation_pipeline.model import Period
from segmentation_pipeline.spec import FreshSpec
from segmentation_pipeline.storage.warehouse.freshness import require_fresh

if TYPE_CHECKING:
    from pathlib import Path

BERLIN = ZoneInfo("Europe/Berlin")
MARCH = Period("2011-03-01", datetime(2011, 3, 1, tzinfo=BERLIN), datetime(2011, 4, 1, tzinfo=BERLIN))


def _newest(values: list[Any], folder: Path, *, within: str = "1d", kind: pa.DataType | None = None) -> datetime:
    rows = folder / "rows.parquet"
    pq.write_table(pa.table({"id": range(len(values)), "at": pa.array(values, kind)}), rows, row_group_size=1)
    return require_fresh(rows, FreshSpec(column="at", within=within), MARCH, timezone="Europe/Berlin")


@pytest.mark.parametrize(
    ("values", "within", "newest"),
    [
        ([date(2011, 3, 31), None, date(2010, 1, 1)], "1d", datetime(2011, 3, 31, tzinfo=BERLIN)),
        ([datetime(2011, 3, 31), datetime(2011, 3, 30)], "24h", datetime(2011, 3, 31, tzinfo=BERLIN)),  # noqa: DTZ001  a plain timestamp
        ([datetime(2011, 3, 30, 22, tzinfo=UTC)], "1440m", datetime(2011, 3, 31, tzinfo=BERLIN)),
        ([date(2011, 3, 25)], "1w", datetime(2011, 3, 25, tzinfo=BERLIN)),
        ([date(2011, 4, 5)], "1d", datetime(2011, 4, 5, tzinfo=BERLIN)),
    ],
)
def test_the_newest_row_is_new_enough(values: list[Any], within: str, newest: datetime, tmp_path: Path) -> None:
    """Dates, timestamps with and without a zone: exactly as old as allowed is allowed, and newer than as_of is."""
    assert _newest(values, tmp_path, within=within) == newest


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (date(2011, 3, 29), "the newest at is 2011-03-29 00:00"),
        (datetime(2011, 3, 30, 23, 59), "the newest at is 2011-03-30 23:59"),  # noqa: DTZ001
        (datetime(2011, 3, 30, 21, 59, tzinfo=UTC), "the newest at is 2011-03-30 23:59"),
        (None, "every at is null"),
    ],
)
def test_an_older_row_is_refused_with_both_dates(value: Any, found: str, tmp_path: Path) -> None:
    """What was found and what was wanted are in the message, in the partitions' time zone."""
    with pytest.raises(StaleSourceError) as caught:
        _newest([value], tmp_path, kind=None if value else pa.date32())
    assert f"the data of 2011-03-01 has not arrived: {found}" in str(caught.value)
    assert "wants one of 2011-03-31 00:00 or later (1d before as_of, 2011-04-01 00:00)" in str(caught.value)


def test_a_column_that_cannot_say_it_is_named(tmp_path: Path) -> None:
    """A column that does not exist, or does not hold dates, is named with the columns that there are."""
    with pytest.raises(SourceError, match=r"source\.fresh names at, which is of type int64"):
        _newest([1, 2], tmp_path)
    fresh = FreshSpec(column="updated_at", within="1d")
    with pytest.raises(SourceError, match="updated_at, which the query does not return; it returns id, at"):
        require_fresh(tmp_path / "rows.parquet", fresh, MARCH, timezone="UTC")
