"""An opened artifact of one stage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from segmentation_pipeline.storage.artifacts.artifact import Artifact


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
