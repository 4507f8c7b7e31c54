"""PostgreSQL's types: of the key in our words, and of every column on its way into Parquet.

Integers and booleans stay; `real`, `double precision`, `numeric` and `money` become float64; `interval` becomes seconds
as float64; `date`, `timestamp` and `timestamptz` stay dates, and null where they are infinite or not in the years 1 to
9999, which pandas and Python cannot hold; text, `uuid`, enums, JSON, arrays and everything else become text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc
from psycopg import sql

from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.model.key import is_integer_key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from segmentation_pipeline.model import KeyType, Period
    from segmentation_pipeline.storage.warehouse.base import Columns

# the key's type in our words for PostgreSQL's, and back: the types of a table's columns
KEY_TYPES: Final[Mapping[str, KeyType]] = {
    "int2": "smallint", "int4": "integer", "int8": "bigint", "uuid": "uuid",
    "text": "text", "varchar": "text", "bpchar": "text", "citext": "text",
}  # fmt: skip
COLUMN_TYPES: Final[Mapping[KeyType, str]] = {
    "smallint": "smallint", "integer": "integer", "bigint": "bigint", "uuid": "uuid", "text": "text",
}  # fmt: skip
# what a column that holds segment ids may be
INTEGER_TYPES: Final = frozenset({"smallint", "integer", "bigint"})
_KEPT: Final = frozenset({"int2", "int4", "int8", "bool", "float8"})
# half a day less where a time zone may still move the date
_SAYABLE: Final = "CASE WHEN {{0}} BETWEEN '{0}' AND '{1}' THEN {{0}} END"
# as text: to make a double of a numeric the server writes text and reads it, which Arrow does three times as fast
_CASTS: Final = {"float4": "{}::float8", "numeric": "{}::text", "money": "{}::numeric::float8",
                 "oid": "{}::int8", "interval": "extract(epoch from {})::float8",
                 "date": _SAYABLE.format("0001-01-01", "9999-12-31"),
                 "timestamp": _SAYABLE.format("0001-01-01", "9999-12-31 23:59:59.999999"),
                 "timestamptz": _SAYABLE.format("0001-01-02 00:00+00", "9999-12-31 09:59:59+00")}  # fmt: skip


def find_key_type(columns: Columns, key: str) -> KeyType:
    """Return the type of the key among columns with PostgreSQL's type names.

    Raises:
        SourceError: there is no such column, or its type cannot identify a customer.
    """
    if key not in columns:
        message = f"the source query has no key column {key!r}; it has {', '.join(columns)}"
        raise SourceError(message)
    if columns[key] not in KEY_TYPES:
        message = (
            f"the key {key} is of type {columns[key]}; use an integer, uuid or text column, or cast it in the query"
        )
        raise SourceError(message)
    return KEY_TYPES[columns[key]]


def to_compared_type(key_type: KeyType) -> str:
    """Return the type that a key is compared as; a number too large for the column is then in no row, not an error."""
    return "bigint" if is_integer_key(key_type) else COLUMN_TYPES[key_type]


def find_numerics(columns: Columns) -> frozenset[str]:
    """Return the columns that leave the server as the text of a `numeric`."""
    return frozenset(name for name, kind in columns.items() if kind == "numeric")


def cast_query(query: sql.Composable, columns: Columns) -> sql.Composable:
    """Return the query with every column cast to the type it leaves the server as."""
    casts = []
    for name, kind in columns.items():
        template = "{}" if kind in _KEPT else _CASTS.get(kind, "{}::text")
        column = sql.Identifier("source", name)
        casts.append(sql.SQL(template).format(column) + sql.SQL(" AS ") + sql.Identifier(name))
    return sql.SQL("SELECT {} FROM (\n{}\n) AS source").format(sql.SQL(", ").join(casts), query)


def to_storage_schema(sent: pa.Schema, numerics: frozenset[str]) -> pa.Schema:
    """Return the schema of the file, for the schema that the driver returns."""
    return pa.schema([(field.name, _to_storage_type(field, numerics)) for field in sent])


def _to_storage_type(field: pa.Field, numerics: frozenset[str]) -> pa.DataType:
    if field.name in numerics:
        return pa.float64()
    return field.type.storage_type if isinstance(field.type, pa.BaseExtensionType) else field.type


def to_storage_batch(
    batch: pa.RecordBatch, schema: pa.Schema, numerics: frozenset[str], period: Period
) -> pa.RecordBatch:
    """Return the batch as it is written: without Arrow's extension types, numerics as doubles."""
    arrays = []
    for name, array in zip(batch.schema.names, batch.columns, strict=True):
        plain = array.storage if isinstance(array, pa.ExtensionArray) else array
        arrays.append(_to_doubles(plain, name, period) if name in numerics else plain)
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _to_doubles(text: pa.Array, name: str, period: Period) -> pa.Array:
    """Return the nearest double of every numeric, as PostgreSQL's own cast does.

    Raises:
        SourceError: a numeric has no double, which PostgreSQL's cast refuses too.
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
