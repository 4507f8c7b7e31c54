"""The segments: as aligned, as published, as reported."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, ClassVar

import pyarrow as pa

from segmentation_pipeline.model.receipts import PublicationReceipt
from segmentation_pipeline.model.report import Rule
from segmentation_pipeline.storage.artifacts.versions import json_version, text_version

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from segmentation_pipeline.model import Alignment, FittedModel, GateResult, Json
    from segmentation_pipeline.storage.artifacts.artifact import Artifact, TableWriter
    from segmentation_pipeline.storage.artifacts.datasets.fits import FinalFit
    from segmentation_pipeline.storage.artifacts.rows import ParquetRows
from segmentation_pipeline.storage.artifacts.datasets.dataset import Dataset


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
    def rules(self) -> tuple[Rule, ...]:
        """The rules of thumb."""
        return tuple(Rule.from_json(rule) for rule in self.artifact.json("rules")["rules"])

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
    def receipt(self) -> PublicationReceipt:
        """What the publication did."""
        return PublicationReceipt.from_json(self.artifact.json(self.RECEIPT))

    @classmethod
    def write(cls, draft: Artifact, *, receipt: PublicationReceipt, made_from: AlignedSegments) -> None:
        """Write the receipt, and note what was published."""
        draft.write_json(cls.RECEIPT, receipt.to_json())
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
