"""What a publication, a scoring and a rollback did: kept in the artifacts, and shown to people."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from segmentation_pipeline.model.json import Json

# what stands in the JSON for a count that was not made; earlier versions wrote and read it so
_NOT_COUNTED: Final = -1
_COUNTS: Final = ("changed", "unchanged", "not_in_target", "not_in_source", "cleared")


@dataclass(frozen=True, slots=True)
class PublicationReceipt:
    """What a publication did. The counts are of rows of the target, None where the target was left alone."""

    snapshot_id: int
    already_published: bool
    became_current: bool
    changed: int | None
    unchanged: int | None
    not_in_target: int | None
    not_in_source: int | None
    cleared: int | None
    examples_not_in_target: tuple[str, ...] = ()

    def to_json(self) -> Json:
        """Return plain values that `from_json` can read, for the artifact and the UI."""
        data = asdict(self)
        counts = {name: _NOT_COUNTED if data[name] is None else data[name] for name in _COUNTS}
        return {**data, **counts, "examples_not_in_target": list(self.examples_not_in_target)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> PublicationReceipt:
        """Read what `to_json` wrote."""
        own = {field.name: data[field.name] for field in fields(cls)}
        counts = {name: None if own[name] == _NOT_COUNTED else own[name] for name in _COUNTS}
        return cls(**{**own, **counts, "examples_not_in_target": tuple(own["examples_not_in_target"])})


@dataclass(frozen=True, slots=True)
class ScoringReceipt:
    """What a scoring did.

    `scored` customers are assigned or `unassigned`. Of them `new` were not in the fit, and `moved` are in another
    segment than at the fit. `changed` and `unchanged` are rows of the target, `written` rows of `<name>_scored`. `kept`
    are the target's customers who have a segment and were not scored: they are not in the source today, or were
    rejected.
    """

    snapshot_id: int
    scored: int
    unassigned: int
    new: int
    moved: int
    written: int
    changed: int
    unchanged: int
    not_in_target: int
    kept: int
    examples_not_in_target: tuple[str, ...] = ()

    def to_json(self) -> Json:
        """Return plain values that `from_json` can read, for the UI."""
        return {**asdict(self), "examples_not_in_target": list(self.examples_not_in_target)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ScoringReceipt:
        """Read what `to_json` wrote; other keys may be beside it."""
        own = {field.name: data[field.name] for field in fields(cls)}
        return cls(**{**own, "examples_not_in_target": tuple(data["examples_not_in_target"])})


@dataclass(frozen=True, slots=True)
class RollbackReceipt:
    """What a rollback did, in rows of the target; `emptied` are customers that the restored snapshot does not know.

    `rolled_back` are the ids of the newer snapshots that were published, `declined` of those that waited.
    """

    snapshot_id: int
    partition: str
    changed: int
    unchanged: int
    emptied: int
    not_in_target: int
    rolled_back: tuple[int, ...]
    declined: tuple[int, ...]

    def to_json(self) -> Json:
        """Return plain values for the UI."""
        return {**asdict(self), "rolled_back": list(self.rolled_back), "declined": list(self.declined)}
