"""What the artifact of each stage holds: its files and their contents are named here and nowhere else.

A dataset is opened on a finished artifact and reads it; its `write` fills an artifact that is being written.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
import pyarrow as pa

from segmentation_pipeline.model import Encoding, Finding, FitSummary, FittedModel, SweepResult
from segmentation_pipeline.spec import FeatureSpec
from segmentation_pipeline.storage.artifacts.versions import json_version, text_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from numpy.typing import NDArray

    from segmentation_pipeline.model import Alignment, GateResult, Json, SilhouetteSample
    from segmentation_pipeline.storage.artifacts.artifact import Artifact, TableWriter
    from segmentation_pipeline.storage.artifacts.rows import ParquetRows
    from segmentation_pipeline.storage.artifacts.versions import RowsVersion

ROWS: Final = "rows"


@dataclass(frozen=True, slots=True)
class Dataset:
    """The artifact of one stage, opened."""

    STAGE: ClassVar[str]
    artifact: Artifact

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.artifact.rows

    @property
    def data_version(self) -> str:
        """The version of the data."""
        return self.artifact.data_version


@dataclass(frozen=True, slots=True)
class RawExtract(Dataset):
    """The customers as the source returned them, and the type of their key."""

    STAGE: ClassVar[str] = "raw_extract"

    @property
    def rows(self) -> ParquetRows:
        """The rows of the source."""
        return self.artifact.open_rows(ROWS)

    @property
    def key_type(self) -> str:
        """The type of the key in the source database."""
        return str(self.artifact.manifest.key_type)

    @staticmethod
    def path(draft: Artifact) -> Path:
        """Return the file that the extraction fills."""
        return draft.folder / f"{ROWS}.parquet"

    @staticmethod
    def write(draft: Artifact, *, n_rows: int, data_version: str, key_type: str, as_of: str) -> None:
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
        text = [feature.column for feature in self.features if not feature.is_number and feature.kind == "categorical"]
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


@dataclass(frozen=True, slots=True)
class KSweep(Dataset):
    """Every K that was tried, with the centers of its fit, and the findings of the diagnosis."""

    STAGE: ClassVar[str] = "k_sweep"

    @property
    def sweep(self) -> SweepResult:
        """The figures of every K, and the K that was taken."""
        return SweepResult.from_json(self.artifact.json("sweep"))

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the diagnosis noticed."""
        return tuple(Finding(**finding) for finding in self.artifact.json("findings"))

    def centers(self, k: int) -> NDArray[np.float64]:
        """Return the centers of the sweep's fit with `k` clusters, shape (k, D)."""
        return np.asarray(self.artifact.json("centers")[str(k)])

    @staticmethod
    def write(
        draft: Artifact,
        *,
        sweep: SweepResult,
        silhouettes: SilhouetteSample,
        centers: Mapping[int, NDArray[np.float64]],
        findings: Iterable[Finding],
        made_from: EncodedFeatures,
    ) -> None:
        """Write all of it."""
        draft.write_json("findings", [asdict(finding) for finding in findings])
        draft.write_json("sweep", sweep.to_json())
        sample = {
            "cluster": silhouettes.clusters,
            "silhouette": silhouettes.silhouettes,
            "weight": silhouettes.weights,
        }
        draft.write_table("silhouettes", pa.table(sample))
        draft.write_json("centers", {k: rows.tolist() for k, rows in centers.items()})
        draft.note(data_version=json_version([made_from.data_version, sweep.to_json()]))


@dataclass(frozen=True, slots=True)
class FinalFit(Dataset):
    """The fitted model, each customer's cluster by it, and how the fit went."""

    STAGE: ClassVar[str] = "final_fit"
    _LABELS: ClassVar[str] = "labels"

    @property
    def model(self) -> FittedModel:
        """The clustering; its labels are cluster indices."""
        return FittedModel.from_json(self.artifact.json("model"))

    @property
    def summary(self) -> FitSummary:
        """How the fit went."""
        data = self.artifact.json("summary")
        return FitSummary(**data | {"notes": tuple(data["notes"])})

    @property
    def labels(self) -> ParquetRows:
        """A row a customer: the key, `cluster`, `distance`, `second_cluster`, `margin`."""
        return self.artifact.open_rows(self._LABELS)

    @staticmethod
    def schema(key: str, key_type: pa.DataType) -> pa.Schema:
        """Return the columns of `labels`."""
        return pa.schema(
            [
                (key, key_type),
                ("cluster", pa.int64()),
                ("distance", pa.float64()),
                ("second_cluster", pa.int64()),
                ("margin", pa.float64()),
            ]
        )

    @classmethod
    def writing_labels(cls, draft: Artifact, schema: pa.Schema) -> AbstractContextManager[TableWriter]:
        """Write the labels block by block."""
        return draft.writing_table(cls._LABELS, schema, distinct=True)

    @classmethod
    def read_label_column(cls, draft: Artifact, column: str) -> NDArray[Any]:
        """Read one column of the labels that were written, shape (n,)."""
        values: NDArray[Any] = draft.column(cls._LABELS, column).to_numpy()
        return values

    @staticmethod
    def write(
        draft: Artifact, *, model: FittedModel, summary: FitSummary, n_rows: int, made_from: EncodedFeatures
    ) -> None:
        """Write the model and the summary beside the labels, and note the counts."""
        plain = model.to_json()
        draft.write_json("model", plain)
        draft.write_json("summary", asdict(summary))
        draft.note(rows=n_rows, data_version=json_version([made_from.data_version, plain]))


@dataclass(frozen=True, slots=True)
class AlignedSegments(Dataset):
    """Each customer's segment in one snapshot, and what was made of the segments for people."""

    STAGE: ClassVar[str] = "aligned_segments"
    _ASSIGNMENTS: ClassVar[str] = "assignments"

    @property
    def snapshot_id(self) -> int:
        """The snapshot that was recorded."""
        return int(self.artifact.manifest.snapshot_id or 0)

    @property
    def run_id(self) -> str:
        """The run that wrote it."""
        return self.artifact.manifest.run_id

    @property
    def assignments(self) -> ParquetRows:
        """A row a customer: the key, `segment_id`, `distance`, `second_segment_id`, `margin`."""
        return self.artifact.open_rows(self._ASSIGNMENTS)

    @property
    def rules(self) -> list[Json]:
        """The rules of thumb, as plain values."""
        return list(self.artifact.json("rules")["rules"])

    @property
    def matches(self) -> list[Json]:
        """Which cluster became which segment, as plain values."""
        return list(self.artifact.json("alignment")["matches"])

    @staticmethod
    def schema(key: str, key_type: pa.DataType) -> pa.Schema:
        """Return the columns of `assignments`."""
        return pa.schema(
            [
                (key, key_type),
                ("segment_id", pa.int32()),
                ("distance", pa.float64()),
                ("second_segment_id", pa.int32()),
                ("margin", pa.float64()),
            ]
        )

    @classmethod
    def writing_assignments(cls, draft: Artifact, schema: pa.Schema) -> AbstractContextManager[TableWriter]:
        """Write the assignments block by block."""
        return draft.writing_table(cls._ASSIGNMENTS, schema, distinct=True)

    @staticmethod
    def write_portraits(draft: Artifact, *, rules: Json, profiles: Mapping[int, Json]) -> None:
        """Write the rules of thumb and the segments' profiles."""
        draft.write_json("rules", rules)
        draft.write_json("profiles", profiles)

    @staticmethod
    def write(
        draft: Artifact,
        *,
        alignment: Alignment,
        gates: Iterable[GateResult],
        model: FittedModel,
        n_rows: int,
        snapshot_id: int,
        made_from: FinalFit,
    ) -> None:
        """Write alignment, gates and model beside the assignments, and note the snapshot."""
        draft.write_json("alignment", alignment.to_json())
        draft.write_json("gates", [asdict(gate) for gate in gates])
        draft.write_json("model", model.to_json())
        version = json_version([made_from.data_version, model.labels])
        draft.note(rows=n_rows, snapshot_id=snapshot_id, data_version=version)


@dataclass(frozen=True, slots=True)
class PublishedSegments(Dataset):
    """The receipt of a publication."""

    STAGE: ClassVar[str] = "published_segments"
    RECEIPT: ClassVar[str] = "receipt"

    @property
    def receipt(self) -> Json:
        """What the publication did, as plain values."""
        data: Json = self.artifact.json(self.RECEIPT)
        return data

    @classmethod
    def write(cls, draft: Artifact, *, receipt: Json, made_from: AlignedSegments) -> None:
        """Write the receipt, and note what was published."""
        draft.write_json(cls.RECEIPT, receipt)
        version = json_version([made_from.data_version, made_from.snapshot_id])
        draft.note(rows=len(made_from), data_version=version)


@dataclass(frozen=True, slots=True)
class SegmentReport(Dataset):
    """The HTML report of one snapshot."""

    STAGE: ClassVar[str] = "segment_report"

    @property
    def path(self) -> Path:
        """The HTML file."""
        return self.artifact.folder / "report.html"

    @staticmethod
    def write(draft: Artifact, *, html: bytes, snapshot_id: int) -> None:
        """Write the page."""
        draft.write_html("report", html)
        draft.note(snapshot_id=snapshot_id, data_version=text_version(html.decode()))
