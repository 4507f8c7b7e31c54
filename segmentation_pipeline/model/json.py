"""JSON as Python holds it, and the way from any value to JSON."""

from __future__ import annotations

import math
import sys
from typing import Any, Final

Json = dict[str, Any]  # any nesting of plain values

# pandas' missing values, by name: this room does not load pandas
_MISSING: Final = frozenset({"NaTType", "NAType"})


def to_plain(value: object) -> Any:  # any nesting of plain values
    """Return a value that JSON and jsonb can hold: numpy's become Python's; NaN, infinities and missing values null."""
    if isinstance(value, dict):
        return {str(name): to_plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [to_plain(item) for item in value]
    # a value can be numpy's only where numpy is loaded; commands that only read the database do not wait for it
    if (numpy := sys.modules.get("numpy")) is not None:
        if isinstance(value, numpy.ndarray):
            return to_plain(value.tolist())
        if isinstance(value, numpy.generic):
            value = value.item()
    if type(value).__name__ in _MISSING:
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value)
