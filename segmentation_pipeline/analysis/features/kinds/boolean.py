"""True or false, in any of the usual spellings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pandas.api import types

from segmentation_pipeline.analysis.features.categorical import CATEGORY_WEIGHT
from segmentation_pipeline.analysis.features.kinds.categorical import CATEGORICAL
from segmentation_pipeline.analysis.features.kinds.kind import Kind, ReadColumn, read_all
from segmentation_pipeline.model import FeatureEncoding
from segmentation_pipeline.spec import FeatureSpec

if TYPE_CHECKING:
    from datetime import datetime

    import pandas as pd
    import pandera.pandas as pa

    from segmentation_pipeline.analysis.features.kinds.column import UnknownColumn
    from segmentation_pipeline.analysis.features.numeric import Limits

_TRUTH: Final = {"true": True, "t": True, "1": True, "1.0": True, "yes": True,
                 "false": False, "f": False, "0": False, "0.0": False, "no": False}  # fmt: skip


def _read(values: pd.Series, _feature: FeatureSpec, _as_of: datetime | None) -> ReadColumn:
    if types.is_bool_dtype(values.dtype):
        return read_all(values)
    words = values.astype("string").str.strip().str.lower()
    truth = words.astype("object").map(_TRUTH).astype("object")
    return ReadColumn(truth, truth.isna() & values.notna())


def _check(_feature: FeatureSpec) -> list[pa.Check]:
    return []


def _fit(_values: pd.Series, feature: FeatureSpec, _limits: Limits) -> FeatureEncoding:
    """Give false and true a column each, also where one of them was not seen when fitting."""
    return FeatureEncoding(
        column=feature.column,
        kind=feature.kind,
        weight=feature.weight * CATEGORY_WEIGHT,
        categories=("false", "true"),
    )


def _infer(column: UnknownColumn) -> FeatureSpec | str | None:
    if not types.is_bool_dtype(column.present.dtype):
        return None
    if column.has_nulls:
        return "a boolean with nulls; list it as categorical with missing: category"
    return FeatureSpec(column=column.name, kind=BOOLEAN.name)


def _draft(column: UnknownColumn) -> FeatureSpec | None:
    """Take 0 and 1 for false and true; with nulls, which a boolean cannot have, it is a category."""
    is_truth = types.is_bool_dtype(column.present.dtype) or (
        types.is_integer_dtype(column.present.dtype) and set(column.present.unique()) <= {0, 1}
    )
    if not is_truth:
        return None
    if column.has_nulls:
        return FeatureSpec(column=column.name, kind=CATEGORICAL.name, missing="category")
    return FeatureSpec(column=column.name, kind=BOOLEAN.name)


def _explain(_feature: FeatureSpec, _column: UnknownColumn) -> list[str]:
    return ["yes or no"]


BOOLEAN: Final = Kind(
    name="boolean",
    wanted="true or false",
    read=_read,
    checks=_check,
    fit=_fit,
    infer=_infer,
    draft=_draft,
    explain=_explain,
)
