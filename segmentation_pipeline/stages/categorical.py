"""Categories as 0/1 columns, as places in an order, or as the share of customers who have them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from segmentation_pipeline.errors import UnusableDataError
from segmentation_pipeline.model import FeatureEncoding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from segmentation_pipeline.spec import FeatureSpec

CATEGORY_WEIGHT: Final = 0.5
MISSING_CATEGORY: Final = "(missing)"


def as_categories(values: pd.Series) -> pd.Series:
    """The names of a column's categories, null as a name of its own."""
    if values.dtype == bool:
        return values.map({True: "true", False: "false"})
    if values.dtype == object and pd.api.types.infer_dtype(values, skipna=True) not in {"string", "empty"}:
        # 1, 1.0 and True hash alike: each value is looked at
        return values.where(values.notna(), MISSING_CATEGORY).map(category_name)
    codes, found = pd.factorize(values)
    names = np.array([*map(category_name, found), MISSING_CATEGORY], dtype=object)
    return pd.Series(names[codes], index=values.index, name=values.name)


def category_name(value: object) -> str:
    """A category's name in every type a column may come in: 3.0 and 3 are "3" (a null came in), True is "true"."""
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def fit_one_hot(values: pd.Series, feature: FeatureSpec) -> FeatureEncoding:
    """Choose the categories that get a column of their own: the most frequent `max_categories`, if there are more."""
    if feature.kind == "boolean":
        return FeatureEncoding(
            column=feature.column,
            kind="boolean",
            weight=feature.weight * CATEGORY_WEIGHT,
            categories=("false", "true"),
        )
    counts = as_categories(values).value_counts()
    # most frequent first, ties by name, so that the choice does not depend on the order of rows
    ordered = sorted(counts.items(), key=lambda item: (-item[1], str(item[0])))
    kept = len(ordered) if len(ordered) <= feature.max_categories else feature.max_categories - 1
    return FeatureEncoding(
        column=feature.column,
        kind="categorical",
        weight=feature.weight * CATEGORY_WEIGHT,
        categories=tuple(sorted(str(name) for name, _ in ordered[:kept])),
        infrequent=tuple(sorted(str(name) for name, _ in ordered[kept:])),
    )


def one_hot_columns(values: pd.Series, feature: FeatureEncoding) -> tuple[NDArray[np.float32], int]:
    """The weighted 0/1 columns, shape (n, c), and the number of values not seen when fitting."""
    names = as_categories(values)
    codes = _codes(names, feature.categories)
    other = codes < 0
    known_rare = names.isin(list(feature.infrequent)).to_numpy() if feature.infrequent else np.False_
    columns = np.zeros((len(values), len(feature.names)), dtype=np.float32)
    inside = np.flatnonzero(~other)
    columns[inside, codes[inside]] = feature.weight
    if feature.infrequent:
        columns[other, -1] = feature.weight
    return columns, int(np.count_nonzero(other & ~known_rare))


def fit_categories(values: pd.Series, feature: FeatureSpec) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """The categories of an ordinal or frequency encoding, and for the latter the share of rows that each has.

    Raises:
        UnusableDataError: no value is in the stated order.
    """
    names = as_categories(values)
    if feature.order is not None:
        if not names.isin(feature.order).any():
            found = ", ".join(sorted(names.unique())[:5])
            message = f"{feature.column}: no value is in order {list(feature.order)}; there are {found}"
            raise UnusableDataError(message)
        return feature.order, ()
    shares = names.value_counts(normalize=True).sort_index()
    return tuple(str(name) for name in shares.index), tuple(float(share) for share in shares)


def category_numbers(
    values: pd.Series, categories: tuple[str, ...], frequencies: tuple[float, ...]
) -> tuple[NDArray[np.float64], int]:
    """The place of each value among `categories`, or its frequency, and the number of values that are none of them.

    A value that is none has no place (NaN, filled like a null), and the frequency 0; a null is not counted as unknown.
    """
    names = as_categories(values)
    codes = _codes(names, categories)
    known = codes >= 0
    numbers = np.full(len(values), 0.0 if frequencies else np.nan)
    numbers[known] = np.asarray(frequencies)[codes[known]] if frequencies else codes[known]
    return numbers, int(np.count_nonzero(~known & values.notna().to_numpy()))


def _codes(names: pd.Series, categories: tuple[str, ...]) -> NDArray[np.intp]:
    return np.asarray(pd.Index(categories, dtype="object").get_indexer(pd.Index(names, dtype="object")))
