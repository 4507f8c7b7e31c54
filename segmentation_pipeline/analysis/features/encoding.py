"""From typed rows to a float32 matrix, through an encoding that is saved as JSON.

Weighting of categories: a categorical feature's 0/1 columns are multiplied by 1/2, so two customers in different
categories are a squared distance of 1/2 apart in it, whatever the number of categories. That is the mismatch weight
gamma = 0.5 times the standard deviation of the numeric features (here 1) that Huang (1998), "Extensions to the k-means
algorithm for clustering large data sets with categorical values", found balanced, and the default of `kmodes`. Two
random customers differ by 2 on average in a standardised numeric feature, so a category never outweighs a number;
`weight` shifts the balance.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from segmentation_pipeline.analysis.arrays.rows import iter_blocks, iter_placed_blocks
from segmentation_pipeline.analysis.arrays.threads import map_in_order
from segmentation_pipeline.analysis.features.categorical import (
    CATEGORY_WEIGHT,
    MISSING_CATEGORY,
    fill_one_hot,
    fit_categories,
    fit_one_hot,
    number_categories,
)
from segmentation_pipeline.analysis.features.numeric import (
    Limits,
    choose_transform,
    encode_numbers,
    find_removal_limits,
    find_winsor_limits,
    fit_number,
    to_numbers,
)
from segmentation_pipeline.analysis.features.pca import fit_axes, project_on_axes
from segmentation_pipeline.errors import SourceError, UnusableDataError
from segmentation_pipeline.model import Encoding, FeatureEncoding

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from segmentation_pipeline.analysis.arrays.rows import Rows
    from segmentation_pipeline.spec import FeatureSpec

__all__ = [
    "CATEGORY_WEIGHT",
    "MISSING_CATEGORY",
    "Encoded",
    "compute_variance_shares",
    "decode_names",
    "encode_block",
    "find_measurable",
    "fit_encoding",
    "transform",
]


# its square, summed over many columns, is still a float32
FARTHEST: Final = 1e15


@dataclass(frozen=True, slots=True)
class Encoded:
    """The matrix, shape (n, D), float32, C-contiguous, and what is to be known of its rows.

    `unknown` and `missing` count values not seen when fitting, and nulls, per column that has any; `outliers`, shape
    (n,), are the rows that `outliers: remove` keeps out of a fit.
    """

    matrix: NDArray[np.float32]
    unknown: dict[str, int]
    missing: dict[str, int]
    outliers: NDArray[np.bool_]


def fit_encoding(rows: Rows, features: Sequence[FeatureSpec], *, pca: float | None = None) -> Encoding:
    """Fit transforms, fills, scales, categories and axes on `rows`, shape (n, c), as `validate` gives them.

    One column is looked at after the other; only a PCA needs all of them encoded at once, in float64. Rows that are
    outliers of a feature with `outliers: remove` are found first and take no part in the fit. `pca` is the share of
    variance that the principal components must explain; None: no PCA.

    Raises:
        UnusableDataError: no rows, no row that is no outlier, or a feature to be filled has no value at all.
    """
    if not len(rows):
        message = "0 usable rows: nothing to encode. Look at the rejected rows and at the source query."
        raise UnusableDataError(message)
    features = [
        _decide_transform(rows[feature.column], feature) if _is_undecided(feature) else feature for feature in features
    ]
    limits = {
        feature.column: find_removal_limits(to_numbers(rows[feature.column]), feature)
        for feature in features
        if feature.outliers == "remove"
    }
    outside = np.zeros(len(rows), dtype=np.bool_)
    for column, each in limits.items():
        outside |= each.find_outside(to_numbers(rows[column]))
    if outside.all():
        message = f"all {len(rows):,} rows are outliers of {', '.join(limits)}; raise `fence`"
        raise UnusableDataError(message)
    usual = ~outside if outside.any() else slice(None)
    columns = ((each, rows[each.column]) for each in features)
    encoding = Encoding(
        tuple(map_in_order(lambda it: _fit(it[1].loc[usual], it[0], limits.get(it[0].column, Limits())), columns))
    )
    if pca is None:
        return encoding
    encoded = np.empty((len(rows), len(encoding.names)))
    _encode_all_into(encoded, rows, encoding)
    return replace(encoding, pca=fit_axes(encoded[usual], share=pca))


def transform(frame: pd.DataFrame, encoding: Encoding) -> Encoded:
    """Encode `frame`, shape (n, c); the same row gives the same floats whatever rows surround it.

    A category not seen when fitting is counted. One-hot, it is infrequent where that column exists, otherwise no
    category at all (all zeros); ordinal, it takes the middle place; as a frequency, it is 0.

    Raises:
        SourceError: a column of the encoding is not in the frame.
    """
    missing = [column for column in encoding.columns if column not in frame.columns]
    if missing:
        message = f"the encoding needs {', '.join(missing)}; the rows have {', '.join(map(str, frame.columns))}"
        raise SourceError(message)
    shape = (len(frame), len(encoding.encoded_names))
    if encoding.pca is None:
        matrix = np.empty(shape, dtype=np.float32)
        return Encoded(matrix, *_encode_into(matrix, frame, encoding))
    wide = np.empty(shape)
    noted = _encode_into(wide, frame, encoding)
    return Encoded(project_on_axes(wide, encoding.pca).astype(np.float32), *noted)


def encode_block(block: pd.DataFrame, encoding: Encoding) -> Encoded:
    """Encode a block of rows, shape (b, c), as `transform` does, for a fit: every distance must be computable.

    Raises:
        SourceError: a column of the encoding is not in the rows.
        UnusableDataError: a row is so far out that squared distances from it are not float32 numbers.
    """
    with np.errstate(over="ignore"):  # it is reported below, by its column
        encoded = transform(block, encoding)
    _require_measurable(encoded.matrix, encoding)
    return encoded


def _require_measurable(matrix: NDArray[np.float32], encoding: Encoding) -> None:
    farthest = np.maximum(matrix.max(axis=0, initial=0.0), -matrix.min(axis=0, initial=0.0))
    worst = int(farthest.argmax())
    if farthest[worst] < FARTHEST:
        return
    message = (
        f"{encoding.names[worst]}: a value is {farthest[worst]:.3g} units of the fit away, and distances beyond "
        f"{FARTHEST:g} cannot be computed. Give the feature a `max` or `min` that rejects such rows, or "
        "`outliers: winsorize`, or scale it."
    )
    raise UnusableDataError(message)


def find_measurable(matrix: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The rows of `matrix`, shape (n, D), whose distances can be computed; shape (n,)."""
    return np.asarray((np.abs(matrix) < FARTHEST).all(axis=1))


def decode_names(encoding: Encoding) -> dict[str, FeatureEncoding]:
    """The feature behind each encoded column, which is a matrix column unless there is a PCA."""
    return {name: feature for feature in encoding.features for name in feature.names}


def compute_variance_shares(rows: Rows, encoding: Encoding) -> dict[str, float]:
    """The share of each source column in the variance of the encoded rows, before a PCA: its share in the distances."""
    plain = replace(encoding, pca=None)
    n, mean, total = 0, np.zeros(len(plain.names)), np.zeros(len(plain.names))
    for block in iter_blocks(rows):
        encoded = transform(block, plain)
        inside = encoded.matrix[~encoded.outliers].astype(np.float64)
        if not len(inside):
            continue
        # Chan, Golub and LeVeque (1983): the parts' sums of squares, and what their means are apart
        step = inside.mean(axis=0) - mean
        both = n + len(inside)
        total += np.square(inside - inside.mean(axis=0)).sum(axis=0) + np.square(step) * n * len(inside) / both
        mean += step * len(inside) / both
        n = both
    whole = max(float(total.sum()), np.finfo(np.float64).tiny)
    shares = dict.fromkeys(encoding.columns, 0.0)
    for variance, feature in zip(total, decode_names(encoding).values(), strict=True):
        shares[feature.column] += float(variance) / whole
    return shares


def _is_undecided(feature: FeatureSpec) -> bool:
    return feature.outliers == "remove" and feature.transform == "auto"


def _decide_transform(values: pd.Series, feature: FeatureSpec) -> FeatureSpec:
    """Where outliers are removed, `transform: auto` decides by all values: it must take the outliers too."""
    return feature.model_copy(update={"transform": choose_transform(to_numbers(values))})


def _fit(values: pd.Series, feature: FeatureSpec, limits: Limits) -> FeatureEncoding:
    """Fit one feature on the usual rows; `limits` are those of `outliers: remove`."""
    if not feature.is_number and feature.encode == "one_hot":
        return fit_one_hot(values, feature)
    fields: dict[str, Any] = {"encode": feature.encode, "outliers": feature.outliers}
    transform, fill = feature.transform, feature.missing
    if feature.is_number:
        numbers = to_numbers(values)
        if feature.outliers == "winsorize":
            limits = find_winsor_limits(numbers, feature.winsorize)
            numbers = np.clip(numbers, limits.low, limits.high)
        fields |= {"low": limits.low, "high": limits.high}
    else:
        fields["categories"], fields["frequencies"] = fit_categories(values, feature)
        numbers, _ = number_categories(values, fields["categories"], fields["frequencies"])
        # what is in no order stands in its middle
        fill = "median" if feature.encode == "ordinal" else "reject"
    if feature.missing == "indicator":
        fields["indicator"] = feature.weight * CATEGORY_WEIGHT
        fill = "median"
    fitted = fit_number(numbers, feature, transform=transform, fill=None if fill == "reject" else fill)
    return FeatureEncoding(column=feature.column, kind=feature.kind, weight=feature.weight, **fields, **fitted)


def _encode_all_into(matrix: NDArray[np.float64], rows: Rows, encoding: Encoding) -> None:
    """Fill `matrix`, shape (n, D), without the PCA."""
    for here, block in iter_placed_blocks(rows):
        _encode_into(matrix[here], block, encoding)


def _encode_into(
    matrix: NDArray[np.float32] | NDArray[np.float64], frame: pd.DataFrame, encoding: Encoding
) -> tuple[dict[str, int], dict[str, int], NDArray[np.bool_]]:
    """Fill `matrix`, shape (n, D), without the PCA; gives the other fields of `Encoded`."""
    outliers = np.zeros(len(frame), dtype=np.bool_)
    unknown: dict[str, int] = {}
    missing: dict[str, int] = {}
    start = 0
    for feature in encoding.features:
        values, stop = frame[feature.column], start + len(feature.names)
        n_unknown = 0
        if feature.is_one_number:
            if feature.encode == "one_hot":
                numbers = to_numbers(values)
            else:
                numbers, n_unknown = number_categories(values, feature.categories, feature.frequencies)
            matrix[:, start] = encode_numbers(numbers, feature)
            if feature.indicator is not None:
                matrix[:, start + 1] = np.where(values.isna(), feature.indicator, 0.0)
            if feature.outliers == "remove":
                outliers |= Limits(feature.low, feature.high).find_outside(numbers)
        else:
            n_unknown = fill_one_hot(matrix[:, start:stop], values, feature)
        if n_unknown:
            unknown[feature.column] = n_unknown
        if n_missing := int(values.isna().sum()):
            missing[feature.column] = n_missing
        start = stop
    return unknown, missing, outliers
