"""The manifest of an artifact: what it is, what it was made from, and its counts."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from segmentation_pipeline.model import Json, KeyType


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What `manifest.json` says; None is what an artifact of this stage does not have.

    `made_from` names artifacts by stage/partition/run. `rejected` and `outliers` count rows, `forgotten` the rows of
    customers that were erased since; `bytes` is the size of the data files.
    """

    segmentation: str = ""
    stage: str = ""
    partition: str = ""
    run_id: str = ""
    code_version: str = ""
    made_from: tuple[str, ...] = ()
    rows: int | None = None
    rejected: int | None = None
    outliers: int | None = None
    key_type: KeyType | None = None
    as_of: str | None = None
    snapshot_id: int | None = None
    forgotten: int | None = None
    data_version: str = ""
    bytes: int = 0

    def to_json(self) -> Json:
        """Return plain values that `from_json` reads back; what an artifact does not have is left out."""
        present = {name: value for name, value in asdict(self).items() if value is not None}
        return present | {"made_from": list(self.made_from)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Manifest:
        """Read what `to_json` wrote; a key of another release is ignored."""
        known = {field.name: data[field.name] for field in fields(cls) if field.name in data}
        return cls(**known | {"made_from": tuple(data.get("made_from", ()))})
