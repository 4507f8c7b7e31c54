"""How far today's customers are from the parent's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class CentroidShift:
    """The mean of a segment's customers in one feature, in the parent and now; `z` in standard deviations of all."""

    segment_id: int
    column: str
    before: float
    now: float
    z: float


@dataclass(frozen=True, slots=True)
class Drift:
    """How far today is from the parent: population stability indices of each feature and of the segment shares."""

    features: Mapping[str, float]
    shares: float
    shifts: tuple[CentroidShift, ...]


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a segment's customers were from its prototypes at the fit: `limit` is a quantile of `n_customers`."""

    n_customers: int
    limit: float
