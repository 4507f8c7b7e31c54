"""One number for each value: pulled in, filled, transformed and scaled as scikit-learn's transformers do it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
from pandas.api import types

from segmentation_pipeline.analysis.features.categorical import CATEGORY_WEIGHT
from segmentation_pipeline.analysis.features.dates import is_date
from segmentation_pipeline.errors import UnusableDataError
from segmentation_pipeline.model import FeatureEncoding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from segmentation_pipeline.spec import FeatureSpec

# Bulmer (1979), Principles of Statistics: a skewness beyond 1 is highly skewed
SKEWED: Final = 1.0
# its square, and so a squared distance, still fits into float32
LARGEST_ENCODED: Final = 1e19
TRIMMED: Final = (0.01, 0.99)
# a normal distribution's interquartile range in standard deviations
_NORMAL_RANGE: Final = 1.349


@dataclass(frozen=True, slots=True)
class Limits:
    """The least and the largest value that is not an outlier, in original units; None: no limit on that side."""

    low: float | None = None
    high: float | None = None

    def find_outside(self, numbers: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which numbers, shape (n,), lie beyond the limits; a null does not."""
        low = -np.inf if self.low is None else self.low
        high = np.inf if self.high is None else self.high
        return np.asarray((numbers < low) | (numbers > high), dtype=np.bool_)


def to_numbers(values: pd.Series) -> NDArray[np.float64]:
    """Return the values as float64, contiguous, with NaN for nulls and for what is not a number."""
    if is_date(values):
        # an earlier snapshot's number that is a date today, or a date that was not validated: nothing to compare
        return np.full(len(values), np.nan)
    if not types.is_numeric_dtype(values.dtype):
        # a feature of an earlier snapshot that is not a feature any more: it was not validated, and has become text
        values = pd.to_numeric(values, errors="coerce")
    return np.ascontiguousarray(values.to_numpy(dtype=np.float64, na_value=np.nan))


def drop_nan(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the values of `numbers`, shape (n,), that are not NaN: the array itself when all are."""
    missing = np.isnan(numbers)
    return numbers[~missing] if missing.any() else numbers


def choose_transform(numbers: NDArray[np.float64]) -> str:
    """Choose the transform of `transform: auto`.

    It is log1p where the numbers are skewed and never negative, yeo-johnson where they are skewed and some are
    negative, else none. Skewness above 1 counts; below -1 too where there are negative values, because yeo-johnson
    alone corrects it.
    """
    finite = numbers[np.isfinite(numbers)]
    skew = compute_skewness(finite)
    if finite.size and finite.min() < 0:
        return "yeo-johnson" if abs(skew) > SKEWED else "none"
    return "log1p" if skew > SKEWED else "none"


def find_removal_limits(numbers: NDArray[np.float64], feature: FeatureSpec) -> Limits:
    """Find the limits of `outliers: remove`: `fence` interquartile ranges below and above the quartiles.

    They are the quartiles of the transformed values. Where half of the values are the same, that range is 0; the range
    of a normal distribution with the same standard deviation takes its place. The transform's power is fitted on the
    values between the 1st and 99th percentile: fitted on the outliers too, it would bend until they look usual.
    """
    finite = numbers[np.isfinite(numbers)]
    if finite.size == 0:
        return Limits()
    trimmed = finite[~find_winsor_limits(finite, TRIMMED).find_outside(finite)]
    transform, power = _fit_transform(trimmed, feature.transform)
    low, middle, high = np.quantile(apply_transform(finite, transform, power), (0.25, 0.5, 0.75))
    if high <= low:
        half = _NORMAL_RANGE / 2 * float(apply_transform(finite, transform, power).std())
        low, high = middle - half, middle + half
    reach = feature.fence * (high - low)
    return Limits(_invert_transform(low - reach, transform, power), _invert_transform(high + reach, transform, power))


def find_winsor_limits(numbers: NDArray[np.float64], quantiles: tuple[float, float]) -> Limits:
    """Find the limits of `outliers: winsorize`: the two quantiles of the finite values."""
    finite = numbers[np.isfinite(numbers)]
    return Limits(*(float(value) for value in np.quantile(finite, quantiles))) if finite.size else Limits()


def fit_number(
    numbers: NDArray[np.float64], feature: FeatureSpec, *, transform: str = "none", fill: str | None = None
) -> FeatureEncoding:
    """Fit fill, transform, center and scale on `numbers`, shape (n,), NaN for nulls.

    `fill` is one of the values of `missing`, None where nothing is filled; an indicator goes with the median.

    Raises:
        UnusableDataError: there are nulls to fill and no value to fill them from.
    """
    has_indicator = feature.missing == "indicator"
    filled_with = _fit_fill(numbers, feature, "median" if has_indicator else fill)
    if filled_with is not None:
        numbers = np.where(np.isnan(numbers), filled_with, numbers)
    transform, power = _fit_transform(numbers, transform)
    center, scale = _fit_scale(apply_transform(numbers, transform, power), feature.scale)
    return FeatureEncoding(
        column=feature.column,
        kind=feature.kind,
        weight=feature.weight,
        transform=transform,
        fill=filled_with,
        center=center,
        scale=scale,
        encode=feature.encode,
        power=power,
        indicator=feature.weight * CATEGORY_WEIGHT if has_indicator else None,
        outliers=feature.outliers,
    )


def _fit_fill(numbers: NDArray[np.float64], feature: FeatureSpec, how: str | None) -> float | None:
    """Return the value that nulls are filled with; None where they are not."""
    if how is None:
        return None
    if how == "constant":
        return feature.fill
    known = drop_nan(numbers)
    if known.size == 0:
        message = f"{feature.column}: all {len(numbers):,} values are null; take it out of the features"
        raise UnusableDataError(message)
    return float(np.mean(known) if how == "mean" else np.median(known))


def encode_numbers(numbers: NDArray[np.float64], feature: FeatureEncoding) -> NDArray[np.float64]:
    """Encode `numbers`, shape (n,), NaN for nulls; a number is encoded the same, whatever stands beside it."""
    if feature.outliers == "winsorize":
        numbers = np.clip(numbers, feature.low, feature.high)
    if feature.fill is not None:
        numbers = np.where(np.isnan(numbers), feature.fill, numbers)
    numbers = (
        (apply_transform(numbers, feature.transform, feature.power) - feature.center) / feature.scale * feature.weight
    )
    # a power above 1 takes a value far beyond those of the fit out of float32's range
    return np.clip(numbers, -LARGEST_ENCODED, LARGEST_ENCODED) if feature.power is not None else numbers


def apply_transform(numbers: NDArray[np.float64], name: str, power: float | None = None) -> NDArray[np.float64]:
    """Apply a transform to `numbers`, shape (n,)."""
    if name == "log1p":
        return np.log1p(numbers)
    if name == "sqrt":
        return np.sqrt(numbers)
    if name == "yeo-johnson" and power is not None:
        from scipy.special import boxcox1p

        # Yeo and Johnson (2000): Box-Cox of 1 + x, mirrored with the power 2 - power below zero
        right = boxcox1p(np.maximum(numbers, 0), power)
        return np.asarray(np.where(numbers < 0, -boxcox1p(-np.minimum(numbers, 0), 2 - power), right))
    return numbers


def _fit_transform(numbers: NDArray[np.float64], name: str) -> tuple[str, float | None]:
    """Decide what `auto` means, and fit yeo-johnson's power as scikit-learn's PowerTransformer does."""
    if name == "auto":
        name = choose_transform(numbers)
    if name != "yeo-johnson":
        return name, None
    from sklearn.preprocessing import PowerTransformer

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # a power tried on the way overflows; the final one does not
        power = float(PowerTransformer(standardize=False).fit(numbers.reshape(-1, 1)).lambdas_[0])
    # a constant has no best power; 1 leaves values as they are
    return name, power if np.isfinite(power) and np.ptp(numbers) > 0 else 1.0


def _invert_transform(value: float, name: str, power: float | None) -> float | None:
    """Return the original value of a transformed one; None where the transform does not reach that far."""
    if name == "log1p":
        original = float(np.expm1(min(value, 700.0)))  # beyond, exp overflows
    elif name == "sqrt":
        original = value**2 if value >= 0 else -np.inf
    elif name == "yeo-johnson" and power is not None:
        from scipy.special import inv_boxcox1p

        original = float(inv_boxcox1p(value, power) if value >= 0 else -inv_boxcox1p(-value, 2 - power))
    else:
        original = value
    return float(original) if np.isfinite(original) else None


def compute_skewness(numbers: NDArray[np.float64]) -> float:
    """Compute the adjusted Fisher-Pearson coefficient; 0 for fewer than three numbers or a constant."""
    from scipy.stats import skew as adjusted

    return float(adjusted(numbers, bias=False)) if numbers.size > 2 and np.ptp(numbers) > 0 else 0.0


def _fit_scale(numbers: NDArray[np.float64], how: str) -> tuple[float, float]:
    """Fit center and scale as scikit-learn's Standard-, Robust- and MinMaxScaler do; a constant has scale 1."""
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
