"""The figures that are kept with a snapshot."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

from segmentation_pipeline.model.drift import CentroidShift, Drift
from segmentation_pipeline.model.identity import Transition

if TYPE_CHECKING:
    from collections.abc import Mapping

    from segmentation_pipeline.model.identity import Through
    from segmentation_pipeline.model.json import Json

# figures that only some fits have: what is not measured is left out of the JSON
_MEASURED: Final = ("simplified_silhouette", "davies_bouldin", "calinski_harabasz")


@dataclass(frozen=True, slots=True)
class SegmentMatch:
    """By which earlier snapshot a segment was recognized, and how sure that is; see `Match`."""

    segment_id: int
    score: float
    confidence: float
    through: Through | Literal["new"]


@dataclass(frozen=True, slots=True)
class SnapshotMetrics:
    """The figures of a snapshot's fit and of its alignment.

    The silhouette and the three figures after it are of all customers or of a sample, None where the algorithm has no
    such figure. `reason` says why this K was chosen, `won_by` which start led to the best fit, and `notes` what the
    algorithm reported. `features` are the features as the fit read them, and `distributions` their values, by
    column; see `quality.drift`. Of the `n_shared` customers whom the parent had in a segment, `n_moved` are in another
    one or in none. `reasons_to_wait` say why a person must look at the snapshot before it is published.
    """

    silhouette: float | None = None
    simplified_silhouette: float | None = None
    davies_bouldin: float | None = None
    calinski_harabasz: float | None = None
    inertia: float | None = None
    reason: str = ""
    won_by: str = ""
    notes: tuple[str, ...] = ()
    features: tuple[Json, ...] = ()
    distributions: Json = field(default_factory=dict)
    n_shared: int = 0
    n_moved: int = 0
    evidence: str = ""
    matches: tuple[SegmentMatch, ...] = ()
    transitions: tuple[Transition, ...] = ()
    drift: Drift | None = None
    reasons_to_wait: tuple[str, ...] = ()

    def to_json(self) -> Json:
        """Return plain values that `from_json` can read."""
        measured = {name: value for name in _MEASURED if (value := getattr(self, name)) is not None}
        return {
            "silhouette": self.silhouette,
            **measured,
            "inertia": self.inertia,
            "reason": self.reason,
            "won_by": self.won_by,
            "notes": list(self.notes),
            "features": list(self.features),
            "distributions": self.distributions,
            "n_shared": self.n_shared,
            "n_moved": self.n_moved,
            "evidence": self.evidence,
            "matches": [asdict(match) for match in self.matches],
            "transitions": [asdict(transition) for transition in self.transitions],
            "drift": asdict(self.drift) if self.drift is not None else None,
            "approval": list(self.reasons_to_wait),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SnapshotMetrics:
        """Read what `to_json` wrote, in this version or an earlier one, which had fewer figures."""
        drift = data.get("drift")
        return cls(
            silhouette=data.get("silhouette"),
            **{name: data.get(name) for name in _MEASURED},
            inertia=data.get("inertia"),
            reason=data.get("reason", ""),
            won_by=data.get("won_by", ""),
            notes=tuple(data.get("notes", ())),
            features=tuple(data.get("features", ())),
            distributions=data.get("distributions", {}),
            n_shared=data.get("n_shared", 0),
            n_moved=data.get("n_moved", 0),
            evidence=data.get("evidence", ""),
            matches=tuple(SegmentMatch(**match) for match in data.get("matches", ())),
            transitions=tuple(Transition(**transition) for transition in data.get("transitions", ())),
            drift=_read_drift(drift) if drift is not None else None,
            reasons_to_wait=tuple(data.get("approval", ())),
        )


def _read_drift(data: Mapping[str, Any]) -> Drift:
    return Drift(data["features"], data["shares"], tuple(CentroidShift(**shift) for shift in data["shifts"]))
