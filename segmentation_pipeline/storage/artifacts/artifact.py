"""One artifact: a folder of Parquet, Arrow and JSON files with a manifest."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from segmentation_pipeline.errors import ArtifactError
from segmentation_pipeline.model.json import to_plain
from segmentation_pipeline.storage.artifacts.manifest import Manifest
from segmentation_pipeline.storage.artifacts.rows import ParquetRows

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from segmentation_pipeline.storage.artifacts.versions import RowsVersion

MATRIX: Final = "matrix.arrow"
FEATURES: Final = "features"
# the artifacts are read more often than they are kept long: it unpacks twice as fast as zstd
COMPRESSION: Final = "snappy"


@dataclass
class TableWriter:
    """Rows on their way into a Parquet file: counted, and versioned where a version is asked for."""

    _writer: pq.ParquetWriter
    _schema: pa.Schema
    _version: RowsVersion | None
    n_rows: int = 0

    def add(self, rows: pa.Table | pd.DataFrame) -> None:
        """Append a block of rows."""
        if isinstance(rows, pd.DataFrame):
            rows = pa.Table.from_pandas(rows, schema=self._schema, preserve_index=False)
        self._writer.write_table(rows)
        if self._version is not None:
            self._version.add(rows)
        self.n_rows += rows.num_rows


@dataclass
class Artifact:
    """One stage's output on disk: a folder of data files and what the manifest says of it."""

    folder: Path
    manifest: Manifest = field(default_factory=Manifest)

    def note(self, **facts: Any) -> None:  # the fields of Manifest, which checks their names
        """Set fields of the manifest."""
        self.manifest = replace(self.manifest, **facts)

    @property
    def place(self) -> str:
        """Its place below the segmentation's artifacts: stage/partition/run."""
        return "/".join(self.folder.parts[-3:])

    @property
    def rows(self) -> int:
        """The number of rows, where the artifact has rows."""
        return self.manifest.rows or 0

    @property
    def data_version(self) -> str:
        """The version of the data."""
        return self.manifest.data_version

    @property
    def run_id(self) -> str:
        """The run that wrote it."""
        return self.folder.name

    def open_rows(self, name: str, *, categories: Collection[str] = ()) -> ParquetRows:
        """Open `<name>.parquet` to be read a column or a block at a time, text in `categories` as categoricals."""
        return ParquetRows(self._existing(f"{name}.parquet"), categories=categories)

    def frame(self, name: str) -> pd.DataFrame:
        """Read `<name>.parquet` as a whole; integers stay integers, of a nullable type in a column with nulls."""
        rows = self.open_rows(name)
        return next(rows.iter_blocks(max(len(rows), 1)), pd.DataFrame(columns=list(rows.columns)))

    def table(self, name: str) -> pa.Table:
        """Read `<name>.parquet` as Arrow."""
        return pq.read_table(self._existing(f"{name}.parquet"))

    def column(self, name: str, column: str) -> pa.ChunkedArray:
        """Read one column of `<name>.parquet` as Arrow."""
        return pq.read_table(self._existing(f"{name}.parquet"), columns=[column]).column(column)

    def json(self, name: str) -> Any:  # an object or an array
        """Read `<name>.json`."""
        return json.loads(self._existing(f"{name}.json").read_text())

    def matrix(self) -> tuple[pa.Array, NDArray[np.float32]]:
        """Read the keys, and the float32 matrix of shape (n, D) as a read-only memory map."""
        with pa.memory_map(str(self._existing(MATRIX))) as source:
            return _keys_and_matrix(source)

    def changeable_matrix(self) -> NDArray[np.float32]:
        """Read the matrix to be changed in memory: pages are copied as they are written to, and the file stays.

        Half of the memory of a copy, whose source is mapped beside it.
        """
        return self._mapped("c")

    def write_table(self, name: str, table: pa.Table) -> None:
        """Write `<name>.parquet`."""
        pq.write_table(table, self.folder / f"{name}.parquet", compression=COMPRESSION)

    def write_json(self, name: str, value: object) -> None:
        """Write `<name>.json`; NaN and infinities become null."""
        (self.folder / f"{name}.json").write_text(json.dumps(to_plain(value), indent=1, allow_nan=False))

    def write_html(self, name: str, page: bytes) -> None:
        """Write `<name>.html`, for people; no stage reads it."""
        (self.folder / f"{name}.html").write_bytes(page)

    @contextmanager
    def writing_table(
        self, name: str, schema: pa.Schema, *, version: RowsVersion | None = None, distinct: bool = False
    ) -> Iterator[TableWriter]:
        """Write `<name>.parquet` block by block, each counted into `version` if there is one.

        Of `distinct` values no dictionary is tried: that takes three times as long, and the file grows by it.
        """
        path = self.folder / f"{name}.parquet"
        with pq.ParquetWriter(path, schema, compression=COMPRESSION, use_dictionary=not distinct) as writer:
            yield TableWriter(writer, schema, version)

    @contextmanager
    def writing_matrix(self, key: str, keys: pa.Array | pa.ChunkedArray, width: int) -> Iterator[NDArray[np.float32]]:
        """Yield a float32 matrix of shape (n, width) to fill, in its place in the file that holds it with the keys.

        It is written as zeros first, all of it: a full disk is an error then, and of a page that has no room later the
        process would die. A reader can map the file only where the matrix is one batch.
        """
        # zeros that nobody changes take no memory
        features = pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(len(keys) * width, dtype=np.float32)), width)
        whole = keys.combine_chunks() if isinstance(keys, pa.ChunkedArray) else keys
        table = pa.table([whole, features], names=[key, FEATURES])
        with pa.OSFile(str(self.folder / MATRIX), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=max(len(keys), 1))
        yield self._mapped("r+")

    def write_matrix(self, key: str, keys: pa.Array | pa.ChunkedArray, matrix: NDArray[np.float32]) -> None:
        """Write the keys and a float32 matrix of shape (n, D), row-major, as one Arrow file."""
        with self.writing_matrix(key, keys, matrix.shape[1]) as draft:
            draft[:] = matrix

    def _mapped(self, mode: Literal["r+", "c"]) -> NDArray[np.float32]:
        """Map the matrix where it lies in its file, which changes with it ("r+") or stays ("c")."""
        path = self._existing(MATRIX)
        with pa.memory_map(str(path)) as source:
            whole = source.read_buffer(source.size())
            source.seek(0)
            matrix = _keys_and_matrix(source)[1]
            place = matrix.__array_interface__["data"][0] - whole.address
        if not matrix.size:  # nothing can be mapped of nothing
            return np.empty(matrix.shape, dtype=np.float32)
        return np.memmap(path, dtype=np.float32, mode=mode, offset=place, shape=matrix.shape)

    def _existing(self, name: str) -> Path:
        path = self.folder / name
        if not path.exists():
            message = f"{path} is gone; materialize the asset that wrote it again for this partition"
            raise ArtifactError(message)
        return path


def _keys_and_matrix(source: pa.MemoryMappedFile) -> tuple[pa.Array, NDArray[np.float32]]:
    table = pa.ipc.open_file(source).read_all()
    # written as one batch, which needs no copy; without rows there is none
    keys, features = (
        column.chunk(0) if column.num_chunks == 1 else column.combine_chunks() for column in table.columns
    )
    values = features.values  # noqa: PD011  Arrow's, not pandas'
    return keys, values.to_numpy().reshape(-1, features.type.list_size)
