"""A limit of memory."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Memory:
    """A limit in bytes, who sets it ("this container"), and how much of it is left."""

    where: str
    limit: int
    available: int
