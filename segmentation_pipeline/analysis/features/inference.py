"""`features: auto`: decide what each column is, and say why a column was left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from segmentation_pipeline.analysis.features.kinds import KINDS
from segmentation_pipeline.analysis.features.kinds.column import UnknownColumn
from segmentation_pipeline.errors import SpecError
from segmentation_pipeline.spec import FeatureSpec

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    import pandas as pd

    from segmentation_pipeline.analysis.arrays.rows import Rows


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
    go from period to period. Dates become days before `as_of` and are treated alike. Booleans become boolean features,
    text with 2 to 50 values categorical ones. The key, `ignore`, constants, numbers of which 98 % are the same,
    all-null columns, text with more values and dates after as_of are left out.

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


def infer_feature(values: pd.Series, as_of: datetime | None) -> FeatureSpec | str:
    """Return the feature that a column, shape (n,), makes under `features: auto`, or the reason why it makes none."""
    column = UnknownColumn.of(values, as_of)
    if column.present.empty:
        return "all values are null"
    if column.n_values == 1:
        return "constant"
    for kind in KINDS:
        feature = kind.infer(column)
        if feature is not None:
            return feature
    return f"of type {column.present.dtype}"
