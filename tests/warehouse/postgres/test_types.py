"""What becomes of PostgreSQL's types in an extraction."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from support.extraction import execute, extract, extract_value

if TYPE_CHECKING:
    from pathlib import Path

TYPES = """
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN euros AS numeric(12, 2) CHECK (value >= 0);
CREATE DOMAIN budget AS euros;
CREATE DOMAIN big_id AS bigint;
"""
# an expression, the Arrow type it arrives as, and the value
FATES: list[tuple[str, pa.DataType, Any]] = [
    ("7::int2", pa.int16(), 7),
    ("7::int4", pa.int32(), 7),
    ("9007199254740993::int8", pa.int64(), 2**53 + 1),
    ("9007199254740993::big_id", pa.int64(), 2**53 + 1),
    ("4000000000::oid", pa.int64(), 4_000_000_000),
    ("true", pa.bool_(), True),
    ("NULL::bool", pa.bool_(), None),
    ("1.5::float4", pa.float64(), 1.5),
    ("0.1::float8", pa.float64(), 0.1),
    ("12345.6789::numeric", pa.float64(), 12345.6789),
    ("NULL::numeric(10, 2)", pa.float64(), None),
    ("'Infinity'::numeric", pa.float64(), math.inf),
    ("'-0.005'::numeric(9, 3)", pa.float64(), -0.005),
    ("99.95::euros", pa.float64(), 99.95),
    ("99.95::budget", pa.float64(), 99.95),
    ("'$1,234.56'::money", pa.float64(), 1234.56),
    ("interval '1 day 2 hours 0.5 seconds'", pa.float64(), 93600.5),
    ("interval '-1 hour'", pa.float64(), -3600.0),
    ("date '2011-03-31'", pa.date32(), date(2011, 3, 31)),
    ("timestamp '2011-03-31 23:59:59.25'", pa.timestamp("us"), datetime(2011, 3, 31, 23, 59, 59, 250_000)),  # noqa: DTZ001  a timestamp without a zone
    ("timestamptz '2011-03-31 23:00+02'", pa.timestamp("us", "UTC"), datetime(2011, 3, 31, 21, tzinfo=UTC)),
    ("'infinity'::date", pa.date32(), None),
    ("'-infinity'::timestamp", pa.timestamp("us"), None),
    ("'infinity'::timestamptz", pa.timestamp("us", "UTC"), None),
    ("date '5874897-12-31'", pa.date32(), None),
    ("date '0001-01-01 BC'", pa.date32(), None),
    ("date '9999-12-31'", pa.date32(), date(9999, 12, 31)),
    ("date '0001-01-01'", pa.date32(), date(1, 1, 1)),
    ("timestamp '294276-12-31'", pa.timestamp("us"), None),
    ("timestamptz '4713-02-01 BC'", pa.timestamp("us", "UTC"), None),
    ("timestamptz '9999-12-31 00:00+00'", pa.timestamp("us", "UTC"), datetime(9999, 12, 31, tzinfo=UTC)),
    ("'Grüße, 山 🛒'::text", pa.string(), "Grüße, 山 🛒"),
    ("E'two\\nlines, \"quoted\"'::varchar(40)", pa.string(), 'two\nlines, "quoted"'),
    ("''::text", pa.string(), ""),
    ("'ab'::char(4)", pa.string(), "ab"),
    ("'6F9619FF-8B86-D011-B42D-00CF4FC964FF'::uuid", pa.string(), "6f9619ff-8b86-d011-b42d-00cf4fc964ff"),
    ("'happy'::mood", pa.string(), "happy"),
    ("""'{"a":  1}'::json""", pa.string(), '{"a":  1}'),
    ("""'{"b": 2, "a": [1, null]}'::jsonb""", pa.string(), '{"a": [1, null], "b": 2}'),
    ("ARRAY[1, 2, NULL]", pa.string(), "{1,2,NULL}"),
    ("ARRAY['a', 'b c']", pa.string(), '{a,"b c"}'),
    ("ARRAY[1.5]::numeric[]", pa.string(), "{1.5}"),
    ("ROW(1, 'x')::pair", pa.string(), "(1,x)"),
    ("time '10:30'", pa.string(), "10:30:00"),
    ("'\\x00ff'::bytea", pa.string(), "\\x00ff"),
    ("'10.0.0.1'::inet", pa.string(), "10.0.0.1/32"),
    ("'[1,5)'::int4range", pa.string(), "[1,5)"),
    ("NULL", pa.string(), None),
]


def test_every_type_arrives_as_it_is_documented(source: str, destination: Path) -> None:
    """Every PostgreSQL type becomes the Arrow type and the value that the module says."""
    execute(source, TYPES)
    columns = ", ".join(f"{expression} AS c{number}" for number, (expression, _, _) in enumerate(FATES))
    extract(f"SELECT 1 AS id, {columns}", destination)
    rows = pq.read_table(destination)
    found = [(rows.schema.field(f"c{number}").type, rows[f"c{number}"][0].as_py()) for number in range(len(FATES))]
    assert found == [(kind, value) for _, kind, value in FATES]


def test_numeric_nan_is_not_null(destination: Path) -> None:
    """NUMERIC 'NaN' stays not-a-number; it does not become a missing value."""
    assert math.isnan(extract_value("'NaN'::numeric", destination))


def test_a_numeric_becomes_the_double_that_postgres_makes_of_it(destination: Path) -> None:
    """To the last bit, with any number of digits, and the server's own cast beside it."""
    digits = "(random() * 1e9)::int8::text || '.' || (random() * 1e18)::int8::text || (random() * 1e18)::int8::text"
    numeric = f"left({digits}, 2 + n % 40)::numeric * power(10::numeric, n % 60 - 30)"
    extract(
        f"SELECT n AS id, value, value::float8 AS cast FROM (SELECT n, CASE WHEN n % 7 > 0 THEN {numeric} END AS value "
        "FROM generate_series(1, 20000) n) drawn",
        destination,
    )
    rows = pq.read_table(destination)
    assert rows["value"].null_count == 20_000 // 7
    assert rows["value"].equals(rows["cast"])
    assert len(rows["value"].unique()) > 15_000
