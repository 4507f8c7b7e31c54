"""Parquet files as the steps read them: a column as a whole, or all columns in blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

NULLABLE: Final[dict[pa.DataType, pd.api.extensions.ExtensionDtype]] = {
    pa.int8(): pd.Int8Dtype(), pa.int16(): pd.Int16Dtype(), pa.int32(): pd.Int32Dtype(), pa.int64(): pd.Int64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}  # fmt: skip
# the columns of a million customers are kept, of ten millions none
KEPT_ROWS: Final = 2_000_000
KEPT_BYTES: Final = 128 * 2**20


class ParquetRows:
    """The rows of one Parquet file. Integers stay integers, of a nullable type in a column with nulls.

    Text in `categories` comes as pandas' categorical, which is what the file holds: a number a row. A block then ends
    where a row group does, for each has its own categories.
    """

    def __init__(self, path: Path, *, categories: Collection[str] = ()) -> None:
        self._file = pq.ParquetFile(path, read_dictionary=list(categories))
        self.schema: pa.Schema = self._file.schema_arrow
        self._with_nulls = {name for name in self.columns if self._has_nulls(name)}
        self._kept: dict[str, pd.Series] = {}
        self._room = KEPT_BYTES if len(self) <= KEPT_ROWS else 0

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(self.schema.names)

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self._file.metadata.num_rows)

    def __getitem__(self, column: str, /) -> pd.Series:
        """Read one column; a column of a small table is kept for the next reader."""
        if column in self._kept:
            return self._kept[column]
        # a name is taken for a prefix of others too: "a" reads "a.b" as well
        values = self._frame(self._file.read(columns=[column]).select([column]))[column]
        if (size := values.memory_usage(index=False)) <= self._room:
            self._kept[column], self._room = values, self._room - size
        return values

    def iter_blocks(self, size: int, /) -> Iterator[pd.DataFrame]:
        """Read all columns, at most `size` rows at a time, in order."""
        for batch in self.batches(size):
            yield self._frame(pa.Table.from_batches([batch]))

    def batches(self, size: int, /) -> Iterator[pa.RecordBatch]:
        """Read all columns as Arrow, at most `size` rows at a time, in order."""
        yield from self._file.iter_batches(batch_size=size)

    def _frame(self, table: pa.Table) -> pd.DataFrame:
        """Return the same types in every block, whether it has nulls or not."""
        frame: pd.DataFrame = table.to_pandas()
        for name in table.schema.names:
            if name in self._with_nulls:  # as doubles, two keys beyond 2**53 would become one
                frame[name] = table.column(name).to_pandas(types_mapper=NULLABLE.get)
        return frame

    def _has_nulls(self, name: str) -> bool:
        if not pa.types.is_integer(self.schema.field(name).type):
            return False
        index = self.schema.get_field_index(name)
        found = [self._file.metadata.row_group(group).column(index) for group in range(self._file.num_row_groups)]
        statistics = [chunk.statistics for chunk in found]
        if all(known is not None and known.has_null_count for known in statistics):
            return any(known.null_count for known in statistics)
        return bool(self._file.read(columns=[name]).column(name).null_count)


def with_types(schema: pa.Schema, types: Mapping[str, pa.DataType]) -> pa.Schema:
    """Return the schema with other types for some of its columns."""
    fields = [pa.field(column.name, types.get(column.name, column.type)) for column in schema]
    return pa.schema(fields)
