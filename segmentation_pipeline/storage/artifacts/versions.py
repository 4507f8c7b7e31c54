"""Data versions: of rows in any order, of text, of JSON."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd

from segmentation_pipeline.storage.artifacts.rows import NULLABLE

if TYPE_CHECKING:
    import pyarrow as pa


class RowsVersion:
    """A data version of rows that does not depend on their order: a sum of row hashes, the schema and the count."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = "\n".join(f"{column.name}:{column.type}" for column in schema)
        self._sum = 0
        self._n_rows = 0

    def add(self, batch: pa.RecordBatch | pa.Table) -> Self:
        """Count in the rows of `batch`."""
        if batch.num_rows:
            # nullable types: a null must not turn its batch into floats or objects, which hash otherwise
            frame = batch.to_pandas(types_mapper=NULLABLE.get, date_as_object=False)
            hashes = pd.util.hash_pandas_object(frame, index=False, categorize=True)
            with np.errstate(over="ignore"):
                self._sum = (self._sum + int(hashes.to_numpy(dtype=np.uint64).sum(dtype=np.uint64))) % 2**64
            self._n_rows += batch.num_rows
        return self

    @property
    def hexdigest(self) -> str:
        """Sixteen hexadecimal digits."""
        return text_version(f"{self._schema}\n{self._n_rows}\n{self._sum}")


def text_version(text: str) -> str:
    """Return sixteen hexadecimal digits that change with `text`."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def json_version(value: object) -> str:
    """Return sixteen hexadecimal digits that change with the plain `value`."""
    return text_version(json.dumps(value, sort_keys=True, default=str))
