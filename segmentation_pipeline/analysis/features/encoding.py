"""From validated rows to a float32 matrix, through an encoding that is saved as JSON.

Weighting of categories: the 0/1 columns of a category are multiplied by 1/2, so two customers in different categories
are a squared distance of 1/2 apart in it, whatever the number of categories. That is the mismatch weight gamma = 0.5
times the standard deviation of the numeric features (here 1) that Huang (1998), "Extensions to the k-means algorithm
for clustering large data sets with categorical values", found balanced, and the default of `kmodes`. Two random
customers differ by 2 on average in a standardised numeric feature, so a category never outweighs a number; `weight`
shifts the balance.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from segmentation_pipeline.analysis.arrays.rows import iter_blocks, iter_placed_blocks
from segmentation_pipeline.analysis.arrays.threads import map_in_order
from segmentation_pipeline.analysis.features.categorical import (
    CATEGORY_WEIGHT,
    MISSING_CATEGORY,
    fill_one_hot,
    number_categories,
)
from segmentation_pipeline.analysis.features.kinds import kind_of
from segmentation_pipeline.analysis.features.numeric import (
    Limits,
    choose_transform,
    encode_numbers,
    find_removal_limits,
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
    """The matrix, shape (n, D), float32, C-contiguous, and notes about its rows.

    `unknown` and `missing` count values not seen when fitting, and nulls, by column where there are any; `outliers`,
    shape (n,), are the rows that `outliers: remove` leaves out of a fit.
    """

    matrix: NDArray[np.float32]
    unknown: dict[str, int]
    missing: dict[str, int]
    outliers: NDArray[np.bool_]


def fit_encoding(rows: Rows, features: Sequence[FeatureSpec], *, pca: float | None = None) -> Encoding:
    """Fit transforms, fills, scales, categories and axes on `rows`, shape (n, c), as `validate` returns them.

    One column is read after the other; only a PCA needs all of them encoded at once, in float64. Rows that are outliers
    of a feature with `outliers: remove` are found first and take no part in the fit. `pca` is the share of variance
    that the principal components must explain; None: no PCA.

    Raises:
        UnusableDataError: there are no rows, all rows are outliers, or a feature to be filled has only nulls.
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
    for column, usual_range in limits.items():
        outside |= usual_range.find_outside(to_numbers(rows[column]))
    if outside.all():
        message = f"all {len(rows):,} rows are outliers of {', '.join(limits)}; raise `fence`"
        raise UnusableDataError(message)
    usual = ~outside if outside.any() else slice(None)

    def fit(column: tuple[FeatureSpec, pd.Series]) -> FeatureEncoding:
        feature, values = column
        return kind_of(feature).fit(values.loc[usual], feature, limits.get(feature.column, Limits()))

    columns = ((feature, rows[feature.column]) for feature in features)
    encoding = Encoding(tuple(map_in_order(fit, columns)))
    if pca is None:
        return encoding
    encoded = np.empty((len(rows), len(encoding.names)))
    _encode_all_into(encoded, rows, encoding)
    return replace(encoding, pca=fit_axes(encoded[usual], share=pca))


def transform(frame: pd.DataFrame, encoding: Encoding) -> Encoded:
    """Encode `frame`, shape (n, c); a row becomes the same floats whatever rows surround it.

    A category not seen when fitting is counted. One-hot, it is infrequent where that column exists, otherwise all its
    columns are 0; ordinal, it takes the middle place; as a frequency, it is 0.

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
        notes = _encode_into(matrix, frame, encoding)
    else:
        wide = np.empty(shape)
        notes = _encode_into(wide, frame, encoding)
        matrix = project_on_axes(wide, encoding.pca).astype(np.float32)
    return Encoded(matrix, notes.unknown, notes.missing, notes.outliers)


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
    """Return which rows of `matrix`, shape (n, D), have distances that can be computed; shape (n,)."""
    return np.asarray((np.abs(matrix) < FARTHEST).all(axis=1))


def decode_names(encoding: Encoding) -> dict[str, FeatureEncoding]:
    """Return the feature behind each encoded column, which is a matrix column unless there is a PCA."""
    return {name: feature for feature in encoding.features for name in feature.names}


def compute_variance_shares(rows: Rows, encoding: Encoding) -> dict[str, float]:
    """Compute each column's share of the variance of the encoded rows before a PCA: its share of the distances."""
    plain = replace(encoding, pca=None)
    n, mean, total = 0, np.zeros(len(plain.names)), np.zeros(len(plain.names))
    for block in iter_blocks(rows):
        encoded = transform(block, plain)
        inside = encoded.matrix[~encoded.outliers].astype(np.float64)
        if not len(inside):
            continue
        # Chan, Golub and LeVeque (1983): the parts' sums of squares, and how far apart their means are
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
    """Decide `transform: auto` by all values where outliers are removed: the transform must take the outliers too."""
    return feature.model_copy(update={"transform": choose_transform(to_numbers(values))})


def _encode_all_into(matrix: NDArray[np.float64], rows: Rows, encoding: Encoding) -> None:
    """Fill `matrix`, shape (n, D), without the PCA."""
    for here, block in iter_placed_blocks(rows):
        _encode_into(matrix[here], block, encoding)


@dataclass(frozen=True, slots=True)
class _Notes:
    """The fields of `Encoded` beside the matrix."""

    unknown: dict[str, int]
    missing: dict[str, int]
    outliers: NDArray[np.bool_]


def _encode_into(matrix: NDArray[np.float32] | NDArray[np.float64], frame: pd.DataFrame, encoding: Encoding) -> _Notes:
    """Fill `matrix`, shape (n, D), without the PCA."""
    outliers = np.zeros(len(frame), dtype=np.bool_)
    unknown: dict[str, int] = {}
    missing: dict[str, int] = {}
    start = 0
    for feature in encoding.features:
        values, stop = frame[feature.column], start + len(feature.names)
        n_unknown = 0
        if feature.is_one_number:
            if feature.categories:
                encoded = number_categories(values, feature.categories, feature.frequencies)
                numbers, n_unknown = encoded.numbers, encoded.n_unknown
            else:
                numbers = to_numbers(values)
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
    return _Notes(unknown, missing, outliers)
