"""`features: auto`: decide per column what it is, and say why a column was left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from pandas.api import types

from segmentation_pipeline.errors import SpecError
from segmentation_pipeline.spec import FeatureSpec

if TYPE_CHECKING:
    from collections.abc import Collection

    import pandas as pd
    from numpy.typing import NDArray

MAX_CATEGORIES: Final = 50
# Bulmer (1979), Principles of Statistics: a skewness beyond 1 is highly skewed
SKEWED: Final = 1.0


@dataclass(frozen=True, slots=True)
class InferredFeatures:
    """The features chosen, and the columns left out with the reason."""

    features: tuple[FeatureSpec, ...]
    left_out: dict[str, str]


def infer_features(frame: pd.DataFrame, *, key: str, ignore: Collection[str] = ()) -> InferredFeatures:
    """Choose the features among the columns of `frame`, shape (n, c).

    Numeric columns become numeric features, with log1p where they are skewed (skewness above 1) and never negative;
    booleans boolean ones; text with 2 to 50 values categorical ones. The key, `ignore`, dates, constants, all-null
    columns and text with more values are left out.

    Raises:
        SpecError: no column is left.
    """
    chosen: list[FeatureSpec] = []
    left_out: dict[str, str] = {}
    for column in frame.columns:
        if column == key:
            continue
        if column in ignore:
            left_out[column] = "named in outcomes or exclude"
            continue
        feature = _feature(frame[column])
        if isinstance(feature, FeatureSpec):
            chosen.append(feature)
        else:
            left_out[column] = feature
    if not chosen:
        reasons = "; ".join(f"{column}: {reason}" for column, reason in left_out.items()) or "there is only the key"
        message = f"features: auto found no usable column ({reasons}). List the features in defs.yaml."
        raise SpecError(message)
    return InferredFeatures(tuple(chosen), left_out)


def is_date(values: pd.Series) -> bool:
    """Whether a column holds dates or timestamps; a PostgreSQL `date` arrives as Python's, in an object column."""
    if types.is_object_dtype(values.dtype):
        return types.infer_dtype(values, skipna=True) in {"date", "datetime", "datetime64"}
    return bool(types.is_datetime64_any_dtype(values.dtype))


def _skewness(numbers: NDArray[np.float64]) -> float:
    """The adjusted Fisher-Pearson coefficient; 0 for fewer than three numbers."""
    from scipy.stats import skew

    return float(skew(numbers, bias=False)) if numbers.size > 2 else 0.0


def _feature(values: pd.Series) -> FeatureSpec | str:  # noqa: PLR0911  one return for each reason to leave a column out
    """The feature a column makes, or the reason why it makes none."""
    column = str(values.name)
    present = values.dropna()
    if present.empty:
        return "all values are null"
    n_values = present.nunique()
    if n_values == 1:
        return "constant"
    if types.is_bool_dtype(present.dtype):
        if len(present) < len(values):
            return "a boolean with nulls; list it as categorical with missing: category"
        return FeatureSpec(column=column, kind="boolean")
    if types.is_numeric_dtype(present.dtype):
        numbers = present.to_numpy(dtype=np.float64)
        finite = numbers[np.isfinite(numbers)]
        if finite.size == 0:
            return "no finite value"
        skewed = finite.min() >= 0 and _skewness(finite) > SKEWED
        return FeatureSpec(
            column=column,
            kind="numeric",
            transform="log1p" if skewed else "none",
            missing="reject" if len(present) == len(values) else "median",
        )
    if is_date(present):
        return f"of type {types.infer_dtype(present)}"
    if types.is_string_dtype(present.dtype) or types.is_object_dtype(present.dtype):
        if n_values > MAX_CATEGORIES:
            return f"{n_values:,} different texts, more than {MAX_CATEGORIES}"
        return FeatureSpec(
            column=column,
            kind="categorical",
            max_categories=MAX_CATEGORIES,
            missing="reject" if len(present) == len(values) else "category",
        )
    return f"of type {present.dtype}"
