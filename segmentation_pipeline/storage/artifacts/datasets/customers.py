"""The customers on their way to the matrix: as extracted, as validated, as encoded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np
import pyarrow as pa

from segmentation_pipeline.errors import ArtifactError
from segmentation_pipeline.model import Encoding
from segmentation_pipeline.spec import FeatureSpec
from segmentation_pipeline.storage.artifacts.versions import json_version

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from numpy.typing import NDArray

    from segmentation_pipeline.model import KeyType
    from segmentation_pipeline.storage.artifacts.artifact import Artifact, TableWriter
    from segmentation_pipeline.storage.artifacts.rows import ParquetRows
    from segmentation_pipeline.storage.artifacts.versions import RowsVersion
from segmentation_pipeline.storage.artifacts.datasets.dataset import Dataset

ROWS: Final = "rows"


@dataclass(frozen=True, slots=True)
class RawExtract(Dataset):
    """The customers as the source returned them, and the type of their key."""

    STAGE: ClassVar[str] = "raw_extract"

    @property
    def rows(self) -> ParquetRows:
        """The rows of the source."""
        return self.artifact.open_rows(ROWS)

    @property
    def key_type(self) -> KeyType:
        """The type of the key in the source database."""
        if (key_type := self.artifact.manifest.key_type) is None:
            message = f"the artifact in {self.artifact.folder} does not name the type of its key; run raw_extract again"
            raise ArtifactError(message)
        return key_type

    @staticmethod
    def path(draft: Artifact) -> Path:
        """Return the file that the extraction fills."""
        return draft.folder / f"{ROWS}.parquet"

    @staticmethod
    def write(draft: Artifact, *, n_rows: int, data_version: str, key_type: KeyType, as_of: str) -> None:
        """Note what was extracted into `path`."""
        draft.note(rows=n_rows, data_version=data_version, key_type=key_type, as_of=as_of)


@dataclass(frozen=True, slots=True)
class ValidatedRows(Dataset):
    """The rows that can be used, in the types of their features."""

    STAGE: ClassVar[str] = "validated_rows"
    _REJECTED: ClassVar[str] = "rejected"

    @property
    def features(self) -> tuple[FeatureSpec, ...]:
        """The features that customers are compared by."""
        return tuple(FeatureSpec(**feature) for feature in self.artifact.json("features"))

    @property
    def rows(self) -> ParquetRows:
        """The usable rows, features of text as categoricals."""
        text = [feature.column for feature in self.features if feature.stored_as == "string"]
        return self.artifact.open_rows(ROWS, categories=text)

    @property
    def n_rejected(self) -> int:
        """The number of rows that cannot be used."""
        return int(self.artifact.manifest.rejected or 0)

    def keys(self, key: str) -> pa.ChunkedArray:
        """Read the key column as Arrow."""
        return self.artifact.column(ROWS, key)

    @staticmethod
    def writing_rows(draft: Artifact, schema: pa.Schema, version: RowsVersion) -> AbstractContextManager[TableWriter]:
        """Write the usable rows block by block."""
        return draft.writing_table(ROWS, schema, version=version)

    @classmethod
    def writing_rejected(cls, draft: Artifact, schema: pa.Schema) -> AbstractContextManager[TableWriter]:
        """Write the rejected rows block by block, to be loaded into the database and then dropped from the artifact."""
        return draft.writing_table(cls._REJECTED, schema)

    @classmethod
    def take_rejected(cls, draft: Artifact) -> ParquetRows:
        """Open the rejected rows that were written; the file is gone from the artifact, and stays round_number."""
        rows = draft.open_rows(cls._REJECTED)
        (draft.folder / f"{cls._REJECTED}.parquet").unlink()
        return rows

    @staticmethod
    def write(
        draft: Artifact, *, features: Sequence[FeatureSpec], n_rows: int, n_rejected: int, data_version: str
    ) -> None:
        """Write the features beside the rows, and note the counts."""
        draft.write_json("features", [feature.model_dump() for feature in features])
        draft.note(rows=n_rows, rejected=n_rejected, data_version=data_version)


@dataclass(frozen=True, slots=True)
class EncodedFeatures(Dataset):
    """The float32 matrix that is clustered, its keys and its encoding."""

    STAGE: ClassVar[str] = "encoded_features"

    @property
    def encoding(self) -> Encoding:
        """The encoding that made the matrix."""
        return Encoding.from_json(self.artifact.json("encoding"))

    @property
    def keys(self) -> pa.Array:
        """The customers' keys, row by row."""
        return self.artifact.matrix()[0]

    @property
    def matrix(self) -> NDArray[np.float32]:
        """The matrix, shape (n, D), as a read-only memory map."""
        return np.asarray(self.artifact.matrix()[1])

    @property
    def has_outliers(self) -> bool:
        """Whether `outliers: remove` keeps rows out of the fit."""
        return bool(self.artifact.manifest.outliers)

    def fitting_rows(self) -> NDArray[np.float32]:
        """Return the rows that are fitted on: all but the outliers of `outliers: remove`."""
        if not self.has_outliers:
            return self.matrix
        return np.delete(self.matrix, self.artifact.table("outliers").column("row").to_numpy(), axis=0)

    def load_writable_matrix(self) -> NDArray[np.float32]:
        """Return the matrix to be changed in memory; the file stays."""
        return self.artifact.changeable_matrix()

    @staticmethod
    def writing_matrix(
        draft: Artifact, key: str, keys: pa.ChunkedArray, width: int
    ) -> AbstractContextManager[NDArray[np.float32]]:
        """Yield the matrix, shape (n, width), to fill in its place in the file."""
        return draft.writing_matrix(key, keys, width)

    @staticmethod
    def write(
        draft: Artifact, *, encoding: Encoding, outliers: NDArray[np.intp], n_rows: int, made_from: ValidatedRows
    ) -> None:
        """Write the encoding and the places of the outliers beside the matrix, and note the counts."""
        plain = encoding.to_json()
        draft.write_json("encoding", plain)
        draft.write_table("outliers", pa.table({"row": outliers}))
        draft.note(rows=n_rows, outliers=len(outliers), data_version=json_version([made_from.data_version, plain]))
