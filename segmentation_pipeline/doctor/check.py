"""What a check found, and the fix of a problem."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked: what was found, and what to do where that is a problem.

    `code` is the database's own code of the problem (an SQLSTATE), where it has one: decide by it, never by `found`,
    which a server writes in its own language.
    """

    what: str
    ok: bool
    found: str
    fix: str = ""
    code: str = ""
