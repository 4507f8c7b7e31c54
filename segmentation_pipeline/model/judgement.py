"""What the gates, the diagnosis and the outcomes report about a snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class GateResult:
    """The result of one gate."""

    name: str
    passed: bool
    severity: Literal["warn", "block"]
    value: float | None
    threshold: float | None
    message: str

    @property
    def blocks(self) -> bool:
        """Whether it stops the publication: it failed, and it does more than warn."""
        return not self.passed and self.severity == "block"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that the diagnosis found in a clustering, and what to do about it.

    `seen` says what was measured, with the number, `means` what follows from it, and `action` what to change in the
    defs.yaml. `value` is the number itself. `algorithm` is a value of `fit.algorithm` that suits the data better; None
    where no algorithm does.
    """

    name: str
    seen: str
    means: str
    action: str
    value: float
    severity: Literal["info", "warn"]
    algorithm: str | None = None

    @property
    def message(self) -> str:
        """All of it as one line."""
        return f"{self.seen}. {self.means}. {self.action}."


@dataclass(frozen=True, slots=True)
class OutcomeEffect:
    """How far the segments differ in one outcome.

    `measure` is omega squared (numbers: the share of the variance that segments explain) or Cramer's V (categories),
    both 0 where the segments explain nothing and 1 where they explain all; `low` to `high` is the 95 % interval.
    `p_adjusted` is corrected for the number of outcomes. All are None where there was nothing to compare, and
    `sentence` says why.
    """

    outcome: str
    measure: Literal["omega squared", "V"]
    effect: float | None
    low: float | None
    high: float | None
    p_value: float | None
    p_adjusted: float | None
    differ: bool
    n_rows: int
    n_null: int
    sentence: str
