"""The clusterings: every K that was tried, and the final fit."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pyarrow as pa

from segmentation_pipeline.model import Finding, FitSummary, FittedModel, SweepResult
from segmentation_pipeline.storage.artifacts.versions import json_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from contextlib import AbstractContextManager

    from numpy.typing import NDArray

    from segmentation_pipeline.model import SilhouetteSample
    from segmentation_pipeline.storage.artifacts.artifact import Artifact, TableWriter
    from segmentation_pipeline.storage.artifacts.datasets.customers import EncodedFeatures
    from segmentation_pipeline.storage.artifacts.rows import ParquetRows
from segmentation_pipeline.storage.artifacts.datasets.dataset import Dataset


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
