"""From typed rows to a float32 matrix, through an encoding that is saved as JSON.

Weighting of categories: a categorical feature's 0/1 columns are multiplied by 1/2, so two customers in different
categories are a squared distance of 1/2 apart in it, whatever the number of categories. That is the mismatch weight
gamma = 0.5 times the standard deviation of the numeric features (here 1) that Huang (1998), "Extensions to the k-means
algorithm for clustering large data sets with categorical values", found balanced, and the default of `kmodes`. Two
random customers differ by 2 on average in a standardised numeric feature, so a category never outweighs a number;
`weight` shifts the balance.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from pandas.api import types

from segmentation_pipeline.errors import SourceError, UnusableDataError
from segmentation_pipeline.model import Encoding, FeatureEncoding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from segmentation_pipeline.spec import FeatureSpec

CATEGORY_WEIGHT: Final = 0.5
MISSING_CATEGORY: Final = "(missing)"


@dataclass(frozen=True, slots=True)
class Encoded:
    """The matrix, shape (n, D), float32, C-contiguous, and per categorical column the number of unknown values."""

    matrix: NDArray[np.float32]
    unknown: dict[str, int]


def fit_encoding(frame: pd.DataFrame, features: Sequence[FeatureSpec]) -> Encoding:
    """Fit transforms, fills, scales and categories on `frame`, shape (n, c), as `validate` gives it.

    Raises:
        UnusableDataError: no rows, or a feature to be filled has no value at all.
    """
    if frame.empty:
        message = "0 usable rows: nothing to encode. Look at the rejected rows and at the source query."
        raise UnusableDataError(message)
    fitted = tuple(
        _fit_numeric(frame[feature.column], feature)
        if feature.kind == "numeric"
        else _fit_categories(frame[feature.column], feature)
        for feature in features
    )
    return Encoding(fitted)


def transform(frame: pd.DataFrame, encoding: Encoding) -> Encoded:
    """Encode `frame`, shape (n, c); the same row gives the same floats whatever rows surround it.

    A category not seen when fitting counts as infrequent where that column exists, otherwise as no category at all (all
    zeros), and is counted.

    Raises:
        SourceError: a column of the encoding is not in the frame.
    """
    missing = [column for column in encoding.columns if column not in frame.columns]
    if missing:
        message = f"the encoding needs {', '.join(missing)}; the rows have {', '.join(map(str, frame.columns))}"
        raise SourceError(message)
    matrix = np.empty((len(frame), len(encoding.names)), dtype=np.float32)
    unknown: dict[str, int] = {}
    start = 0
    for feature in encoding.features:
        stop = start + len(feature.names)
        if feature.kind == "numeric":
            matrix[:, start] = _numeric_column(frame[feature.column], feature)
        else:
            columns, n_unknown = _category_columns(frame[feature.column], feature)
            matrix[:, start:stop] = columns
            if n_unknown:
                unknown[feature.column] = n_unknown
        start = stop
    return Encoded(matrix, unknown)


def decode_names(encoding: Encoding) -> dict[str, FeatureEncoding]:
    """The feature behind each matrix column."""
    return {name: feature for feature in encoding.features for name in feature.names}


def _transformed(values: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    if name == "log1p":
        return np.log1p(values)
    if name == "sqrt":
        return np.sqrt(values)
    return values


def _fit_numeric(values: pd.Series, feature: FeatureSpec) -> FeatureEncoding:
    numbers = values.to_numpy(dtype=np.float64)
    present = numbers[~np.isnan(numbers)]
    fill = None
    if feature.missing in {"median", "mean"}:
        if present.size == 0:
            message = f"{feature.column}: all {len(numbers):,} values are null; take it out of the features"
            raise UnusableDataError(message)
        fill = float(np.median(present) if feature.missing == "median" else np.mean(present))
        numbers = np.where(np.isnan(numbers), fill, numbers)
    numbers = _transformed(numbers, feature.transform)
    center, scale = _center_and_scale(numbers, feature.scale)
    return FeatureEncoding(
        column=feature.column,
        kind="numeric",
        weight=feature.weight,
        transform=feature.transform,
        fill=fill,
        center=center,
        scale=scale,
    )


def _center_and_scale(numbers: NDArray[np.float64], how: str) -> tuple[float, float]:
    """What scikit-learn's StandardScaler, RobustScaler and MinMaxScaler fit; a constant has scale 1."""
    if how == "standard":
        center, scale = float(numbers.mean()), float(numbers.std())
        # a constant's rounding error is not a spread (scikit-learn's _is_constant_feature)
        tolerance = numbers.size * np.finfo(np.float64).eps * abs(center)
        return center, scale if scale > tolerance else 1.0
    if how == "robust":
        low, middle, high = (float(value) for value in np.quantile(numbers, (0.25, 0.5, 0.75)))
        return middle, high - low if high > low else 1.0
    if how == "minmax":
        low, high = float(numbers.min()), float(numbers.max())
        return low, high - low if high > low else 1.0
    return 0.0, 1.0


def _numeric_column(values: pd.Series, feature: FeatureEncoding) -> NDArray[np.float64]:
    if not types.is_numeric_dtype(values.dtype):
        # an earlier snapshot's feature that today is none, so it was not validated, and has become text
        values = pd.to_numeric(values, errors="coerce")
    numbers = values.to_numpy(dtype=np.float64)
    if feature.fill is not None:
        numbers = np.where(np.isnan(numbers), feature.fill, numbers)
    return (_transformed(numbers, feature.transform) - feature.center) / feature.scale * feature.weight


def _fit_categories(values: pd.Series, feature: FeatureSpec) -> FeatureEncoding:
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


def _category_columns(values: pd.Series, feature: FeatureEncoding) -> tuple[NDArray[np.float32], int]:
    names = as_categories(values)
    codes = pd.Index(feature.categories, dtype="object").get_indexer(pd.Index(names, dtype="object"))
    other = codes < 0
    known_rare = names.isin(list(feature.infrequent)).to_numpy() if feature.infrequent else np.False_
    columns = np.zeros((len(values), len(feature.names)), dtype=np.float32)
    inside = np.flatnonzero(~other)
    columns[inside, codes[inside]] = feature.weight
    if feature.infrequent:
        columns[other, -1] = feature.weight
    return columns, int(np.count_nonzero(other & ~known_rare))


def as_categories(values: pd.Series) -> pd.Series:
    """The names of a column's categories, null as a name of its own."""
    if values.dtype == bool:
        return values.map({True: "true", False: "false"})
    return values.astype("object").where(values.notna(), MISSING_CATEGORY).map(category_name)


def category_name(value: object) -> str:
    """A category's name in every type a column may come in: 3.0 and 3 are "3" (a null came in), True is "true"."""
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
