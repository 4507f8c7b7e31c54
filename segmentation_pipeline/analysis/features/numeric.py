"""One number per value: pulled in, filled, transformed and scaled as scikit-learn's transformers would."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from pandas.api import types

from segmentation_pipeline.analysis.features.dates import is_date
from segmentation_pipeline.errors import UnusableDataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from segmentation_pipeline.model import FeatureEncoding
    from segmentation_pipeline.spec import FeatureSpec

# Bulmer (1979), Principles of Statistics: a skewness beyond 1 is highly skewed
SKEWED: Final = 1.0
# its square, and so a squared distance, still fits into float32
LARGEST: Final = 1e19
TRIMMED: Final = (0.01, 0.99)
# a normal distribution's interquartile range in standard deviations
_NORMAL_RANGE: Final = 1.349


@dataclass(frozen=True, slots=True)
class Limits:
    """The least and the largest value that is no outlier, in original units; None: no limit on that side."""

    low: float | None = None
    high: float | None = None

    def find_outside(self, numbers: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which numbers, shape (n,), lie beyond; a null does not."""
        low = -np.inf if self.low is None else self.low
        high = np.inf if self.high is None else self.high
        return np.asarray((numbers < low) | (numbers > high), dtype=np.bool_)


def to_numbers(values: pd.Series) -> NDArray[np.float64]:
    """The values as float64, contiguous, null and unreadable ones as NaN."""
    if is_date(values):
        # an earlier snapshot's number that is a date today, or a date that nobody validated: nothing to compare
        return np.full(len(values), np.nan)
    if not types.is_numeric_dtype(values.dtype):
        # an earlier snapshot's feature that today is none, so it was not validated, and has become text
        values = pd.to_numeric(values, errors="coerce")
    return np.ascontiguousarray(values.to_numpy(dtype=np.float64, na_value=np.nan))


def drop_nan(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Those of `numbers`, shape (n,), that are not NaN; no copy where none is."""
    missing = np.isnan(numbers)
    return numbers[~missing] if missing.any() else numbers


def choose_transform(numbers: NDArray[np.float64]) -> str:
    """What `transform: auto` takes: log1p where skewed and never negative, yeo-johnson where skewed and negative.

    Skewness above 1 counts; below -1 too where there are negative values, for only yeo-johnson mends it.
    """
    finite = numbers[np.isfinite(numbers)]
    skew = compute_skewness(finite)
    if finite.size and finite.min() < 0:
        return "yeo-johnson" if abs(skew) > SKEWED else "none"
    return "log1p" if skew > SKEWED else "none"


def find_removal_limits(numbers: NDArray[np.float64], feature: FeatureSpec) -> Limits:
    """What `outliers: remove` takes for usual: within `fence` interquartile ranges of the quartiles.

    They are the quartiles of the transformed values. Where half of the values are the same, there is no such range;
    that of a normal distribution with the same standard deviation stands in. The transform's power is that of the
    values between the 1st and 99th percentile: fitted on the outliers too, it would bend until they look usual.
    """
    finite = numbers[np.isfinite(numbers)]
    if finite.size == 0:
        return Limits()
    trimmed = finite[~find_winsor_limits(finite, TRIMMED).find_outside(finite)]
    transform, power = fit_transform(trimmed, feature.transform)
    low, middle, high = np.quantile(apply_transform(finite, transform, power), (0.25, 0.5, 0.75))
    if high <= low:
        half = _NORMAL_RANGE / 2 * float(apply_transform(finite, transform, power).std())
        low, high = middle - half, middle + half
    reach = feature.fence * (high - low)
    return Limits(_invert_transform(low - reach, transform, power), _invert_transform(high + reach, transform, power))


def find_winsor_limits(numbers: NDArray[np.float64], quantiles: tuple[float, float]) -> Limits:
    """The two quantiles of the finite values."""
    finite = numbers[np.isfinite(numbers)]
    return Limits(*(float(value) for value in np.quantile(finite, quantiles))) if finite.size else Limits()


def fit_number(
    numbers: NDArray[np.float64], feature: FeatureSpec, *, transform: str = "none", fill: str | None = None
) -> dict[str, Any]:  # values of several types, by field
    """Fit fill, transform, center and scale on `numbers`, shape (n,), NaN where there is none; fields of the encoding.

    Raises:
        UnusableDataError: there is something to fill and nothing to fill it from.
    """
    filled_with = None
    if fill == "constant":
        filled_with = feature.fill
    elif fill is not None:
        known = drop_nan(numbers)
        if known.size == 0:
            message = f"{feature.column}: all {len(numbers):,} values are null; take it out of the features"
            raise UnusableDataError(message)
        filled_with = float(np.mean(known) if fill == "mean" else np.median(known))
    if filled_with is not None:
        numbers = np.where(np.isnan(numbers), filled_with, numbers)
    transform, power = fit_transform(numbers, transform)
    center, scale = _center_and_scale(apply_transform(numbers, transform, power), feature.scale)
    return {"fill": filled_with, "transform": transform, "power": power, "center": center, "scale": scale}


def encode_numbers(numbers: NDArray[np.float64], feature: FeatureEncoding) -> NDArray[np.float64]:
    """Encode `numbers`, shape (n,), NaN where there is none; each by itself, whatever stands beside it."""
    if feature.outliers == "winsorize":
        numbers = np.clip(numbers, feature.low, feature.high)
    if feature.fill is not None:
        numbers = np.where(np.isnan(numbers), feature.fill, numbers)
    numbers = (
        (apply_transform(numbers, feature.transform, feature.power) - feature.center) / feature.scale * feature.weight
    )
    # a power above 1 takes a value far beyond those of the fit out of float32's range
    return np.clip(numbers, -LARGEST, LARGEST) if feature.power is not None else numbers


def fit_transform(numbers: NDArray[np.float64], name: str) -> tuple[str, float | None]:
    """The transform that is meant (`auto` decided), and yeo-johnson's power as PowerTransformer fits it."""
    if name == "auto":
        name = choose_transform(numbers)
    if name != "yeo-johnson":
        return name, None
    from sklearn.preprocessing import PowerTransformer

    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # a power tried on the way overflows; the one that is taken does not
        power = float(PowerTransformer(standardize=False).fit(numbers.reshape(-1, 1)).lambdas_[0])
    # a constant has no best power; 1 leaves values as they are
    return name, power if np.isfinite(power) and np.ptp(numbers) > 0 else 1.0


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


def _invert_transform(value: float, name: str, power: float | None) -> float | None:
    """The original value that a transform makes `value` of; None where there is none that far out."""
    if name == "log1p":
        original = float(np.expm1(min(value, 700.0)))  # beyond, exp overflows
    elif name == "sqrt":
        original = value**2 if value >= 0 else -np.inf
    elif name == "yeo-johnson" and power is not None:
        from scipy.special import inv_boxcox1p

        original = inv_boxcox1p(value, power) if value >= 0 else -inv_boxcox1p(-value, 2 - power)
    else:
        original = value
    return float(original) if np.isfinite(original) else None


def compute_skewness(numbers: NDArray[np.float64]) -> float:
    """The adjusted Fisher-Pearson coefficient; 0 for fewer than three numbers or a constant."""
    from scipy.stats import skew as adjusted

    return float(adjusted(numbers, bias=False)) if numbers.size > 2 and np.ptp(numbers) > 0 else 0.0


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
