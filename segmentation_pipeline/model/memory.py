"""A memory limit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Memory:
    """A limit in bytes, what sets it ("this container"), and how much of it is left."""

    where: str
    limit: int
    available: int
