"""Categories: text, and everything else by its name."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pandas as pd
from pandas.api import types

from segmentation_pipeline.analysis.features.categorical import (
    fit_categories,
    fit_one_hot,
    number_categories,
    read_categories,
)
from segmentation_pipeline.analysis.features.kinds.column import FEW, NEARLY_ALL
from segmentation_pipeline.analysis.features.kinds.kind import Kind, ReadColumn, read_all
from segmentation_pipeline.analysis.features.numeric import fit_number
from segmentation_pipeline.spec import FeatureSpec

if TYPE_CHECKING:
    from datetime import datetime

    import pandera.pandas as pa

    from segmentation_pipeline.analysis.features.kinds.column import UnknownColumn
    from segmentation_pipeline.analysis.features.numeric import Limits
    from segmentation_pipeline.model import FeatureEncoding

# a text with more values is not a category, unless the spec says so
MAX_CATEGORIES: Final = 50
_WORDS_OF_FREE_TEXT: Final = 4
_CODE: Final = re.compile(
    r"(^|_)(code|type|category|class|group|channel|region|status|segment|plan|tier|store|branch|country|state|department)$"
)


def _read(values: pd.Series, _feature: FeatureSpec, _as_of: datetime | None) -> ReadColumn:
    """Name the categories, nulls where they are; text is its own name."""
    if isinstance(values.dtype, pd.StringDtype):
        return read_all(values)
    categories = read_categories(values)
    names = np.array(categories.names, dtype=object)[categories.codes] if len(values) else np.array([], dtype=object)
    return read_all(pd.Series(names, index=values.index, name=values.name, dtype=object).where(values.notna()))


def _check(feature: FeatureSpec) -> list[pa.Check]:
    import pandera.pandas as pa

    if feature.allowed is None:
        return []
    return [pa.Check.isin(feature.allowed, error=f"{feature.column}: not an allowed value")]


def _fit(values: pd.Series, feature: FeatureSpec, _limits: Limits) -> FeatureEncoding:
    """Fit 0/1 columns, or one number: the place in an order, or a frequency."""
    if feature.encode == "one_hot":
        return fit_one_hot(values, feature)
    categories = fit_categories(values, feature)
    numbers = number_categories(values, categories.names, categories.frequencies).numbers
    # a value that has no place in the order stands in its middle
    fitted = fit_number(numbers, feature, fill="median" if feature.encode == "ordinal" else None)
    return replace(fitted, categories=categories.names, frequencies=categories.frequencies)


def _infer(column: UnknownColumn) -> FeatureSpec | str | None:
    if not (types.is_string_dtype(column.present.dtype) or types.is_object_dtype(column.present.dtype)):
        return None
    if column.n_values > MAX_CATEGORIES:
        return f"{column.n_values:,} different texts, more than {MAX_CATEGORIES}"
    return FeatureSpec(
        column=column.name,
        kind=CATEGORICAL.name,
        max_categories=MAX_CATEGORIES,
        missing="category" if column.has_nulls else "reject",
    )


def _draft(column: UnknownColumn) -> FeatureSpec | str | None:
    """Take a few integers with the name of a code, and text of up to MAX_CATEGORIES values, for a category."""
    missing: Literal["category", "reject"] = "category" if column.has_nulls else "reject"
    present = column.present
    if types.is_integer_dtype(present.dtype) and column.n_values <= FEW and _CODE.search(column.snake_name):
        return FeatureSpec(column=column.name, kind=CATEGORICAL.name, missing=missing)
    if not column.is_text:
        return None
    if column.n_values <= MAX_CATEGORIES:
        return FeatureSpec(
            column=column.name,
            kind=CATEGORICAL.name,
            max_categories=max(20, min(column.n_values, MAX_CATEGORIES)),
            missing=missing,
        )
    words = column.read_words()
    if (words[words != ""].str.count(r"\s+") + 1).mean() >= _WORDS_OF_FREE_TEXT:
        return f"free text ({column.n_values:,} different ones)"
    if present.nunique() >= NEARLY_ALL * len(present):
        return "unique text: nearly every customer has another one"
    return f"{column.n_values:,} different texts, more than {MAX_CATEGORIES}"


def _explain(feature: FeatureSpec, column: UnknownColumn) -> list[str]:
    return [f"{column.n_values} values, {feature.encode}"]


CATEGORICAL: Final = Kind(
    name="categorical",
    wanted="a category",
    read=_read,
    checks=_check,
    fit=_fit,
    infer=_infer,
    draft=_draft,
    explain=_explain,
)
