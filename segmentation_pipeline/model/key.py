"""The types that a segmentation's key may have."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias, get_args

# the width belongs to it: the history keeps the key in a column of its own type
KeyType: TypeAlias = Literal["smallint", "integer", "bigint", "text", "uuid"]

KEY_TYPES: Final[tuple[KeyType, ...]] = get_args(KeyType)


def is_integer_key(key_type: KeyType) -> bool:
    """Return whether keys of this type are integers; the others travel as text."""
    return key_type in {"smallint", "integer", "bigint"}
