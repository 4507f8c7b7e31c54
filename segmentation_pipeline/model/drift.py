"""How far a snapshot's customers are from those of its parent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class CentroidShift:
    """A segment's mean in one feature, in the parent and now; `z` is the shift in standard deviations of everybody."""

    segment_id: int
    column: str
    before: float
    now: float
    z: float


@dataclass(frozen=True, slots=True)
class Drift:
    """How far a snapshot is from its parent: population stability indices of the features and of the segment shares."""

    features: Mapping[str, float]
    shares: float
    shifts: tuple[CentroidShift, ...]


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a segment's customers were from its prototypes at the fit: `limit` is a quantile over `n_customers`."""

    n_customers: int
    limit: float
