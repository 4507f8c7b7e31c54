"""JSON as Python holds it, and how a value becomes JSON."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

Json = dict[str, Any]  # JSON is what it is: any nesting of plain values

# pandas' missing values, known by name: the nouns do not load pandas
_MISSING: Final = frozenset({"NaTType", "NAType"})


def to_plain(value: object) -> Any:  # JSON is what it is
    """Make a value JSON and jsonb can hold: numpy's become Python's, NaN, infinities and missing values null."""
    if isinstance(value, dict):
        return {str(name): to_plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [to_plain(each) for each in value]
    if isinstance(value, np.ndarray):
        return to_plain(value.tolist())
    if isinstance(value, np.generic):
        value = value.item()
    if type(value).__name__ in _MISSING:
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value)
