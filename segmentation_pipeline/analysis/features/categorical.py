"""Categories as 0/1 columns, as places in an order, or as the share of customers who have them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from segmentation_pipeline.errors import UnusableDataError
from segmentation_pipeline.model import FeatureEncoding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from segmentation_pipeline.spec import FeatureSpec

CATEGORY_WEIGHT: Final = 0.5
MISSING_CATEGORY: Final = "(missing)"


@dataclass(frozen=True, slots=True)
class Categories:
    """The categories of a column: distinct `names`, and `codes`, shape (n,), the place of each value's among them."""

    codes: NDArray[np.intp]
    names: tuple[str, ...]

    def count(self) -> dict[str, int]:
        """Count the values of each category, the most frequent first.

        Ties are ordered by name, so that the order of the rows does not show.
        """
        sizes = np.bincount(self.codes, minlength=len(self.names)).tolist()
        counts = {name: size for name, size in zip(self.names, sizes, strict=True) if size}
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    def locate(self, wanted: Sequence[str]) -> NDArray[np.intp]:
        """Return the place of each value's category in `wanted`, shape (n,), -1 where it is not there."""
        places = {name: place for place, name in enumerate(wanted)}
        return np.array([places.get(name, -1) for name in self.names], dtype=np.intp)[self.codes]


@dataclass(frozen=True, slots=True)
class FittedCategories:
    """The categories of an ordinal or frequency encoding, and for the latter the share of rows that each has."""

    names: tuple[str, ...]
    frequencies: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class CategoryNumbers:
    """The numbers of categories, shape (n,), and how many values are not one of the categories."""

    numbers: NDArray[np.float64]
    n_unknown: int


def read_categories(values: pd.Series) -> Categories:
    """Name the categories of a column, shape (n,); a null has a name of its own."""
    if values.dtype == bool:
        return Categories(values.to_numpy().astype(np.intp), ("false", "true"))
    if values.dtype == object and pd.api.types.infer_dtype(values, skipna=True) not in {"string", "empty"}:
        # 1, 1.0 and True hash alike: every value is named by itself
        named = [
            MISSING_CATEGORY if is_null else name_category(value)
            for value, is_null in zip(values, values.isna(), strict=True)
        ]
        codes, of_named = pd.factorize(np.array(named, dtype=object))
        return Categories(codes, tuple(of_named))
    if isinstance(values.dtype, pd.CategoricalDtype):
        codes, distinct = values.cat.codes.to_numpy().astype(np.intp), values.cat.categories
    else:
        codes, distinct = pd.factorize(values)
    names = [*map(name_category, distinct), MISSING_CATEGORY]
    codes[codes < 0] = len(distinct)
    merged = {name: place for place, name in enumerate(dict.fromkeys(names))}
    if len(merged) < len(names):  # a text that is the name of the nulls
        codes = np.array([merged[name] for name in names])[codes]
    return Categories(codes, tuple(merged))


def name_category(value: object) -> str:
    """Return one name for a category, whatever the type of its column.

    3.0 and 3 are "3" (a column of integers with nulls arrives as doubles), True is "true".
    """
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def fit_one_hot(values: pd.Series, feature: FeatureSpec) -> FeatureEncoding:
    """Choose the categories that get a column of their own: the most frequent `max_categories`, if there are more."""
    ordered = list(read_categories(values).count())
    n_kept = len(ordered) if len(ordered) <= feature.max_categories else feature.max_categories - 1
    return FeatureEncoding(
        column=feature.column,
        kind=feature.kind,
        weight=feature.weight * CATEGORY_WEIGHT,
        categories=tuple(sorted(ordered[:n_kept])),
        infrequent=tuple(sorted(ordered[n_kept:])),
    )


def fill_one_hot(
    columns: NDArray[np.float32] | NDArray[np.float64], values: pd.Series, feature: FeatureEncoding
) -> int:
    """Fill the weighted 0/1 `columns`, shape (n, c); returns the number of values not seen when fitting."""
    categories = read_categories(values)
    codes = categories.locate(feature.categories)
    known = codes >= 0
    columns[:] = 0.0
    if known.all():
        columns[np.arange(len(codes)), codes] = feature.weight
        return 0
    inside = np.flatnonzero(known)
    columns[inside, codes[inside]] = feature.weight
    if feature.infrequent:
        columns[~known, -1] = feature.weight
    return int(np.count_nonzero(~known & (categories.locate(feature.infrequent) < 0)))


def fit_categories(values: pd.Series, feature: FeatureSpec) -> FittedCategories:
    """Find the categories of an ordinal or frequency encoding.

    Raises:
        UnusableDataError: no value is in the stated order.
    """
    counts = read_categories(values).count()
    if feature.order is not None:
        if not counts.keys() & set(feature.order):
            examples = ", ".join(sorted(counts)[:5])
            message = f"{feature.column}: no value is in order {list(feature.order)}; there are {examples}"
            raise UnusableDataError(message)
        return FittedCategories(feature.order)
    names = sorted(counts)
    return FittedCategories(tuple(names), tuple(counts[name] / len(values) for name in names))


def number_categories(
    values: pd.Series, categories: tuple[str, ...], frequencies: tuple[float, ...]
) -> CategoryNumbers:
    """Return the place of each value among `categories`, or its frequency where there are `frequencies`.

    A value that is not one of them has no place (NaN, filled like a null), and the frequency 0. A null is not counted
    as unknown.
    """
    codes = read_categories(values).locate(categories)
    known = codes >= 0
    numbers = np.full(len(values), 0.0 if frequencies else np.nan)
    numbers[known] = np.asarray(frequencies)[codes[known]] if frequencies else codes[known]
    return CategoryNumbers(numbers, int(np.count_nonzero(~known & values.notna().to_numpy())))
