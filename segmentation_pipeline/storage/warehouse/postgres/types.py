"""What becomes of each PostgreSQL type on its way into Parquet.

Integers and booleans stay; `real`, `double precision`, `numeric` and `money` become float64; `interval` becomes seconds
as float64; `date`, `timestamp` and `timestamptz` stay dates, and null where they are infinite or not in the years 1 to
9999, which no calendar here can say; text, `uuid`, enums, JSON, arrays and everything else become text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from segmentation_pipeline.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segmentation_pipeline.model import Period

KEY_TYPES: Final = {"int2": "smallint", "int4": "integer", "int8": "bigint", "uuid": "uuid",
                    "text": "text", "varchar": "text", "bpchar": "text", "citext": "text"}  # fmt: skip
_KEPT: Final = frozenset({"int2", "int4", "int8", "bool", "float8"})
# half a day less where a time zone may still move it
_SAYABLE: Final = "CASE WHEN {{0}} BETWEEN '{0}' AND '{1}' THEN {{0}} END"
# as text: to make a double of a numeric the server writes text and reads it, which Arrow does three times as fast
_CASTS: Final = {"float4": "{}::float8", "numeric": "{}::text", "money": "{}::numeric::float8",
                 "oid": "{}::int8", "interval": "extract(epoch from {})::float8",
                 "date": _SAYABLE.format("0001-01-01", "9999-12-31"),
                 "timestamp": _SAYABLE.format("0001-01-01", "9999-12-31 23:59:59.999999"),
                 "timestamptz": _SAYABLE.format("0001-01-02 00:00+00", "9999-12-31 09:59:59+00")}  # fmt: skip


def find_key_type(columns: Sequence[tuple[str, str]], key: str) -> str:
    """The type of the key in the tables that are written, of columns with their PostgreSQL types.

    Raises:
        SourceError: there is no such column, or its type cannot identify a customer.
    """
    found = dict(columns)
    if key not in found:
        message = f"the source query has no key column {key!r}; it has {', '.join(found)}"
        raise SourceError(message)
    if found[key] not in KEY_TYPES:
        message = f"the key {key} is of type {found[key]}; use an integer, uuid or text column, or cast it in the query"
        raise SourceError(message)
    return KEY_TYPES[found[key]]


def find_numerics(columns: Sequence[tuple[str, str]]) -> frozenset[str]:
    """The columns that leave the server as the text of a `numeric`."""
    return frozenset(name for name, kind in columns if kind == "numeric")


def cast_query(query: sql.Composable, columns: Sequence[tuple[str, str]]) -> sql.Composable:
    """The query with each column cast to what it leaves the server as."""
    casts = []
    for name, kind in columns:
        template = "{}" if kind in _KEPT else _CASTS.get(kind, "{}::text")
        column = sql.Identifier("source", name)
        casts.append(sql.SQL(template).format(column) + sql.SQL(" AS ") + sql.Identifier(name))
    return sql.SQL("SELECT {} FROM (\n{}\n) AS source").format(sql.SQL(", ").join(casts), query)


def to_storage_schema(sent: pa.Schema, numerics: frozenset[str]) -> pa.Schema:
    """The schema of the file, of the one that the driver gives."""
    return pa.schema([(each.name, _stored_type(each, numerics)) for each in sent])


def _stored_type(field: pa.Field, numerics: frozenset[str]) -> pa.DataType:
    if field.name in numerics:
        return pa.float64()
    return field.type.storage_type if isinstance(field.type, pa.BaseExtensionType) else field.type


def to_storage_batch(
    batch: pa.RecordBatch, schema: pa.Schema, numerics: frozenset[str], period: Period
) -> pa.RecordBatch:
    """The batch as it is written: without Arrow's extension types, numerics as doubles."""
    arrays = []
    for name, array in zip(batch.schema.names, batch.columns, strict=True):
        plain = array.storage if isinstance(array, pa.ExtensionArray) else array
        arrays.append(_doubles(plain, name, period) if name in numerics else plain)
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _doubles(text: pa.Array, name: str, period: Period) -> pa.Array:
    """The nearest double of each numeric, which is what PostgreSQL's own cast gives.

    Raises:
        SourceError: there is none, as the cast would say too.
    """
    numbers = text.cast(pa.float64())
    infinite = pc.is_inf(numbers)
    if pc.any(infinite).as_py():
        beyond = text.filter(pc.and_(infinite, pc.invert(pc.ends_with(text, "Infinity"))))
        if len(beyond):
            found = beyond[0].as_py()
            rows = f"{len(beyond):,} row{'s' if len(beyond) > 1 else ''}"
            message = (
                f"the source query failed for {period.partition}: {name} is out of range for double precision in "
                f"{rows}, for example {found[:12]}... with {len(found.lstrip('-')):,} digits. Leave such values out, "
                "or divide them in the query."
            )
            raise SourceError(message)
    return numbers
