"""`features: auto`: decide per column what it is, and say why a column was left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from pandas.api import types

from segmentation_pipeline.analysis.features.dates import count_days_before, is_date
from segmentation_pipeline.analysis.features.numeric import choose_transform, find_winsor_limits
from segmentation_pipeline.errors import SpecError
from segmentation_pipeline.spec import FeatureSpec

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    import pandas as pd
    from numpy.typing import NDArray

    from segmentation_pipeline.analysis.arrays.rows import Rows

MAX_CATEGORIES: Final = 50
# with fewer values a percentile lies between the last two
ENOUGH_FOR_A_PERCENTILE: Final = 100


@dataclass(frozen=True, slots=True)
class InferredFeatures:
    """The features chosen, and the columns left out with the reason."""

    features: tuple[FeatureSpec, ...]
    left_out: dict[str, str]


def infer_features(
    rows: Rows, *, key: str, ignore: Collection[str] = (), as_of: datetime | None = None
) -> InferredFeatures:
    """Choose the features among the columns of `rows`, shape (n, c), one at a time.

    Numeric columns become numeric features: with log1p where they are skewed (skewness above 1) and never negative,
    with yeo-johnson where they are skewed and negative. From 100 values on they are winsorized: after a transform too,
    a handful of customers far out would own a cluster, and a rule that winsorizes only when it sees them would come and
    go from month to month. Dates become days before `as_of`, treated alike. Booleans become boolean features; text with
    2 to 50 values categorical ones. The key, `ignore`, constants, numbers of which 98 % are the same, all-null columns,
    text with more values and dates after as_of are left out.

    Raises:
        SpecError: no column is left.
    """
    chosen: list[FeatureSpec] = []
    left_out: dict[str, str] = {}
    for column in rows.columns:
        if column == key:
            continue
        if column in ignore:
            left_out[column] = "named in outcomes, exclude or source.fresh"
            continue
        feature = infer_feature(rows[column], as_of)
        if isinstance(feature, FeatureSpec):
            chosen.append(feature)
        else:
            left_out[column] = feature
    if not chosen:
        reasons = "; ".join(f"{column}: {reason}" for column, reason in left_out.items()) or "there is only the key"
        message = f"features: auto found no usable column ({reasons}). List the features in defs.yaml."
        raise SpecError(message)
    return InferredFeatures(tuple(chosen), left_out)


def infer_feature(values: pd.Series, as_of: datetime | None) -> FeatureSpec | str:  # noqa: PLR0911  one for each kind
    """The feature that a column, shape (n,), makes under `features: auto`, or the reason why it makes none."""
    present = values.dropna()
    if present.empty:
        return "all values are null"
    n_values = present.nunique()
    if n_values == 1:
        return "constant"
    has_nulls = len(present) < len(values)
    if types.is_bool_dtype(present.dtype):
        if has_nulls:
            return "a boolean with nulls; list it as categorical with missing: category"
        return FeatureSpec(column=str(values.name), kind="boolean")
    if types.is_numeric_dtype(present.dtype):
        return _number(
            present.to_numpy(dtype=np.float64), str(values.name), missing="median" if has_nulls else "reject"
        )
    if is_date(present):
        return _date(present, as_of, has_nulls=has_nulls)
    if types.is_string_dtype(present.dtype) or types.is_object_dtype(present.dtype):
        return _category(present, has_nulls=has_nulls)
    return f"of type {present.dtype}"


def _date(present: pd.Series, as_of: datetime | None, *, has_nulls: bool) -> FeatureSpec | str:
    if as_of is None:
        return f"of type {types.infer_dtype(present)}"
    days = count_days_before(present, as_of).to_numpy(dtype=np.float64)
    if n_after := int(np.count_nonzero(days < 0)):
        return f"{n_after:,} of {len(days):,} dates are after as_of, {as_of:%Y-%m-%d}"
    # a date that is null is mostly one that has not come yet: that says more than the median day
    return _number(days, str(present.name), kind="date", missing="indicator" if has_nulls else "reject")


def _number(
    numbers: NDArray[np.float64],
    column: str,
    *,
    missing: Literal["reject", "median", "indicator"],
    kind: Literal["numeric", "date"] = "numeric",
) -> FeatureSpec | str:
    finite = numbers[np.isfinite(numbers)]
    if finite.size == 0:
        return "no finite value"
    feature = FeatureSpec(column=column, kind=kind, transform=choose_transform(finite), missing=missing)
    if finite.size < ENOUGH_FOR_A_PERCENTILE:
        return feature
    limits = find_winsor_limits(finite, feature.winsorize)
    if limits.low == limits.high:
        return f"nearly constant: {np.mean(finite == limits.low):.1%} of the values are {limits.low:g}"
    return feature.model_copy(update={"outliers": "winsorize"})


def _category(present: pd.Series, *, has_nulls: bool) -> FeatureSpec | str:
    n_values = present.nunique()
    if n_values > MAX_CATEGORIES:
        return f"{n_values:,} different texts, more than {MAX_CATEGORIES}"
    return FeatureSpec(
        column=str(present.name),
        kind="categorical",
        max_categories=MAX_CATEGORIES,
        missing="category" if has_nulls else "reject",
    )
