"""How the values of a category are distributed over the segments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import pandas as pd

from segmentation_pipeline.analysis.features.categorical import MISSING_CATEGORY, read_categories

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from segmentation_pipeline.model import Json


@dataclass(frozen=True, slots=True)
class CategoryCounts:
    """How many customers of g segments have each of m values, shape (m, g): whole numbers that add up over any parts.

    `names` are in the order of their first appearance, which decides between equal shares. Where `nulls_last`, the name
    of the nulls comes after all others, wherever the first null stands.
    """

    names: tuple[str, ...]
    counts: NDArray[np.int64]
    nulls_last: bool

    def merge(self, following: Self) -> Self:
        """Add the counts of the rows that follow, of the same column, by the same segments."""
        nulls_last = self.nulls_last and following.nulls_last
        names = list(dict.fromkeys([*self.names, *following.names]))
        if nulls_last and MISSING_CATEGORY in names:
            names.remove(MISSING_CATEGORY)
            names.append(MISSING_CATEGORY)
        place = {name: index for index, name in enumerate(names)}
        counts = np.zeros((len(names), self.counts.shape[1]), dtype=np.int64)
        for part in (self, following):
            counts[[place[name] for name in part.names]] += part.counts
        return type(self)(tuple(names), counts, nulls_last)

    def finish(self) -> dict[int, Json]:
        """Return the share of each value in each segment, the largest first, and among everybody."""
        counts = self.counts.T
        everybody = counts.sum(axis=0) / max(int(counts.sum()), 1)
        found: dict[int, Json] = {}
        for segment in np.flatnonzero(counts.sum(axis=1)):
            shares = counts[segment] / counts[segment].sum()
            present = [code for code in np.argsort(-shares, kind="stable") if shares[code]]
            found[int(segment)] = {
                "shares": {self.names[code]: float(shares[code]) for code in present},
                "everybody": {self.names[code]: float(everybody[code]) for code in present},
            }
        return found


def count_categories(values: pd.Series, segments: NDArray[np.int32], *, n_segments: int) -> CategoryCounts:
    """Count a block of customers by value and segment, both shape (b,); segments are 0 to `n_segments` - 1.

    The values of a column have one type. Texts and numbers have their nulls last; objects of another type, such as
    truth values with nulls, have them where they appear.
    """
    categories = read_categories(values)
    in_place = values.dtype == object and pd.api.types.infer_dtype(values, skipna=True) not in {"string", "empty"}
    pairs = categories.codes  # a fresh array: the numbers of the pairs overwrite it, and no second one is needed
    pairs *= n_segments
    pairs += segments
    counts = np.bincount(pairs, minlength=len(categories.names) * n_segments)
    return CategoryCounts(categories.names, counts.reshape(len(categories.names), n_segments), nulls_last=not in_place)
