"""A column that no `defs.yaml` describes yet, as inference and drafting look at it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from pandas.api import types

from segmentation_pipeline.analysis.features.dates import is_date

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd

# from this share of a text column's values on, it is read as numbers or dates, or its values count as all different
NEARLY_ALL: Final = 0.95
# with up to this many different values, integers may be codes, and text that looks like numbers is a category
FEW: Final = 12


@dataclass(frozen=True, slots=True)
class UnknownColumn:
    """A column that may become a feature.

    `present`, shape (m,), is the `series`, shape (n,), without its nulls; `n_values` is the number of different values,
    those of the whole table where the series is a sample of it.
    """

    series: pd.Series
    present: pd.Series
    n_values: int
    as_of: datetime | None

    @classmethod
    def of(cls, values: pd.Series, as_of: datetime | None, *, n_distinct: int = 0) -> Self:
        """Look at a column, shape (n,); the whole table has at least `n_distinct` different values."""
        present = values.dropna()
        return cls(values, present, max(int(present.nunique()), n_distinct), as_of)

    @property
    def name(self) -> str:
        """The column's name."""
        return str(self.series.name)

    @property
    def snake_name(self) -> str:
        """The name in snake case: `CustomerID` and `Customer ID` are customer_id."""
        parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", self.name.strip())
        return re.sub(r"[^a-z0-9]+", "_", parted.lower()).strip("_")

    @property
    def has_nulls(self) -> bool:
        """Whether a value is null."""
        return len(self.present) < len(self.series)

    @property
    def is_text(self) -> bool:
        """Whether its values, by their type, are neither numbers nor dates: they can be read as text."""
        return not (types.is_numeric_dtype(self.present.dtype) or is_date(self.present))

    def read_words(self) -> pd.Series:
        """Return the values that are present as text without blanks around it, shape (m,)."""
        return self.present.astype("string").str.strip()
