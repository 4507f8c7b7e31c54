"""One period and its dates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Period:
    """One period: the name of its partition, its first moment, and its end (exclusive), which is its as_of."""

    partition: str
    window_start: datetime
    as_of: datetime
