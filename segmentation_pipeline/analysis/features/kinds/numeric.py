"""Numbers, including numbers that arrive as text."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pandas as pd
from pandas.api import types

from segmentation_pipeline.analysis.features.dates import is_date
from segmentation_pipeline.analysis.features.kinds.column import FEW, NEARLY_ALL
from segmentation_pipeline.analysis.features.kinds.kind import Kind, ReadColumn, read_all
from segmentation_pipeline.analysis.features.numeric import (
    choose_transform,
    compute_skewness,
    find_winsor_limits,
    fit_number,
    to_numbers,
)
from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.spec import ColumnKind, FeatureSpec

if TYPE_CHECKING:
    from datetime import datetime

    import pandera.pandas as pa
    from numpy.typing import NDArray

    from segmentation_pipeline.analysis.features.kinds.column import UnknownColumn
    from segmentation_pipeline.analysis.features.numeric import Limits
    from segmentation_pipeline.model import FeatureEncoding

# beyond it, the squares that a variance needs do not fit into a double
LARGEST_VALUE: Final = 1e100
# with fewer values a percentile lies between the last two
ENOUGH_FOR_A_PERCENTILE: Final = 100


def read_blanks_as_nulls(values: pd.Series, feature: FeatureSpec) -> pd.Series:
    """Replace the blanks of a column, shape (n,), by nulls where nulls are filled: text files write nulls so."""
    if feature.missing == "reject" or types.infer_dtype(values, skipna=True) != "string":
        return values
    return values.mask(values.astype("string").str.strip() == "")


def check_number(feature: FeatureSpec) -> list[pa.Check]:
    """Build the checks of a number: finite, at most LARGEST_VALUE, fit for the transform, within min and max."""
    import pandera.pandas as pa

    column = feature.column
    checks = [
        pa.Check(lambda values: values.isna() | ~np.isinf(values), error=f"{column}: infinite", ignore_na=False),
        pa.Check(
            lambda values: values.isna() | np.isinf(values) | (values.abs() <= LARGEST_VALUE),
            error=f"{column}: beyond {LARGEST_VALUE:g}",
            ignore_na=False,
        ),
    ]
    floor = {"log1p": -1.0, "sqrt": 0.0}.get(feature.transform)
    if floor is not None:
        wanted = f"> {floor:g}" if feature.transform == "log1p" else f">= {floor:g}"
        rule = pa.Check.gt if feature.transform == "log1p" else pa.Check.ge
        checks.append(rule(floor, error=f"{column}: {feature.transform} needs {wanted}"))
    if feature.min is not None:
        checks.append(pa.Check.ge(feature.min, error=f"{column}: below {feature.min:g}"))
    if feature.max is not None:
        checks.append(pa.Check.le(feature.max, error=f"{column}: above {feature.max:g}"))
    return checks


def fit_as_number(values: pd.Series, feature: FeatureSpec, limits: Limits) -> FeatureEncoding:
    """Fit one number for each value; `limits` are those of `outliers: remove`."""
    numbers = to_numbers(values)
    if feature.outliers == "winsorize":
        limits = find_winsor_limits(numbers, feature.winsorize)
        numbers = np.clip(numbers, limits.low, limits.high)
    fill = None if feature.missing == "reject" else feature.missing
    fitted = fit_number(numbers, feature, transform=feature.transform, fill=fill)
    return replace(fitted, low=limits.low, high=limits.high)


def infer_number(
    numbers: NDArray[np.float64], column: str, *, kind: ColumnKind, missing: Literal["reject", "median", "indicator"]
) -> FeatureSpec | str:
    """Make a winsorized, transformed feature of numbers, shape (m,), or return the reason why they make none."""
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


def explain_transform(numbers: pd.Series, feature: FeatureSpec) -> str:
    """Say how skewed the numbers, shape (n,), are, and which transform corrects it."""
    if feature.transform == "none":
        return "not skewed"
    return f"skewed ({compute_skewness(numbers.dropna().to_numpy(dtype=np.float64)):.1f}): {feature.transform}"


def _read(values: pd.Series, feature: FeatureSpec, _as_of: datetime | None) -> ReadColumn:
    values = read_blanks_as_nulls(values, feature)
    if types.is_numeric_dtype(values.dtype):
        return read_all(values.astype(np.float64))
    if is_date(values):
        message = (
            f"{feature.column} is a date, and a date is not a number. List it with kind: date (the days before "
            f"as_of), or give the number in the query, for example (:as_of::date - {feature.column}::date)."
        )
        raise SourceError(message)
    numbers = pd.to_numeric(values, errors="coerce").astype(np.float64)
    return ReadColumn(numbers, numbers.isna() & values.notna())


def _infer(column: UnknownColumn) -> FeatureSpec | str | None:
    if not types.is_numeric_dtype(column.present.dtype):
        return None
    numbers = column.present.to_numpy(dtype=np.float64)
    return infer_number(numbers, column.name, kind=NUMERIC.name, missing="median" if column.has_nulls else "reject")


def _draft(column: UnknownColumn) -> FeatureSpec | str | None:
    """Read text as numbers where nearly all values are, and there are more than a few; a blank is then a null."""
    if not column.is_text or column.n_values <= FEW:
        return None
    words = column.read_words()
    filled = words[words != ""]
    numbers = pd.to_numeric(filled, errors="coerce").astype(np.float64)
    if not len(filled) or numbers.notna().mean() < NEARLY_ALL:
        return None
    known = np.asarray(numbers.dropna(), dtype=np.float64)
    if (known == known[0]).all():
        return "constant"
    fills = column.has_nulls or len(filled) < len(words)
    missing: Literal["median", "reject"] = "median" if fills else "reject"
    return infer_number(known, column.name, kind=NUMERIC.name, missing=missing)


def _explain(feature: FeatureSpec, column: UnknownColumn) -> list[str]:
    values = column.series
    phrases = [explain_transform(pd.to_numeric(values, errors="coerce"), feature)]
    if types.is_integer_dtype(values.dtype) and column.n_values <= FEW:
        phrases.append(f"{column.n_values} values; if they are codes, kind: categorical")
    if types.is_string_dtype(values.dtype) or types.is_object_dtype(values.dtype):
        phrases.append("numbers written as text")
    return phrases


NUMERIC: Final = Kind(
    name="numeric",
    wanted="a number",
    read=_read,
    checks=check_number,
    fit=fit_as_number,
    infer=_infer,
    draft=_draft,
    explain=_explain,
)
