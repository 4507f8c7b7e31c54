"""Transforms, scalers and fills of numbers: equal to scikit-learn's on rows that were held out."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, RobustScaler, StandardScaler

from segmentation_pipeline.analysis.features.encoding import fit_encoding, transform
from segmentation_pipeline.spec import FeatureSpec

SCALERS: dict[str, Any] = {"standard": StandardScaler, "robust": RobustScaler, "minmax": MinMaxScaler}
FUNCTIONS: dict[str, Any] = {"none": None, "log1p": np.log1p, "sqrt": np.sqrt}
NUMBERS = st.floats(-1e6, 1e6, allow_nan=False, allow_subnormal=False).map(lambda value: round(value, 3))


def _make_numeric(**changes: Any) -> FeatureSpec:
    return FeatureSpec(**{"column": "x", "kind": "numeric", **changes})


def _encode_column(values: Any, feature: FeatureSpec, held_out: Any = None) -> np.ndarray:
    """Fit one numeric feature on `values` and encode `held_out` (or the same values)."""
    encoding = fit_encoding(pd.DataFrame({"x": values}), [feature])
    return transform(pd.DataFrame({"x": values if held_out is None else held_out}), encoding).matrix[:, 0]


@pytest.mark.parametrize("scale", ["standard", "robust", "minmax", "none"])
@pytest.mark.parametrize("function", ["none", "log1p", "sqrt"])
def test_numeric_features_are_scikit_learns(function: str, scale: str) -> None:
    """A transform and a scaler fitted here return scikit-learn's numbers on rows that were held out."""
    rng = np.random.default_rng(1)
    values, held_out = rng.lognormal(3, 1.5, (500, 1)), rng.lognormal(3, 2, (200, 1))
    scaler = SCALERS[scale]() if scale != "none" else FunctionTransformer()
    theirs = make_pipeline(FunctionTransformer(FUNCTIONS[function]), scaler).fit(values)

    ours = _encode_column(values[:, 0], _make_numeric(transform=function, scale=scale, weight=1.5), held_out[:, 0])

    np.testing.assert_allclose(ours, 1.5 * theirs.transform(held_out)[:, 0], rtol=1e-6, atol=1e-6)


@given(
    values=st.lists(NUMBERS, min_size=1, max_size=40),
    held_out=st.lists(NUMBERS, min_size=1, max_size=10),
    scale=st.sampled_from(["standard", "robust", "minmax"]),
)
@settings(deadline=None, max_examples=50)
def test_any_numbers_are_scaled_as_scikit_learn_does(values: list[float], held_out: list[float], scale: str) -> None:
    """Few rows, constants and repeated values included, the scalers agree on rows that were held out."""
    theirs = SCALERS[scale]().fit(np.array(values)[:, None]).transform(np.array(held_out)[:, None])[:, 0]

    ours = _encode_column(values, _make_numeric(scale=scale), held_out)

    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("unit", [1e-18, 1e-9, 1.0, 1e9])
def test_the_unit_of_a_feature_does_not_matter(unit: float) -> None:
    """A feature in tiny or huge units is scaled like any other, never taken for a constant."""
    values = np.array([1.0, 2.0, 3.0, 6.0])

    np.testing.assert_allclose(
        _encode_column(values * unit, _make_numeric()), _encode_column(values, _make_numeric()), rtol=1e-6
    )


@pytest.mark.parametrize("scale", ["standard", "robust", "minmax", "none"])
@pytest.mark.parametrize("value", [0.0, 0.1, -7.0, 1e9 + 0.1])
def test_a_constant_is_centred_and_not_divided_by_zero(value: float, scale: str) -> None:
    """A constant column becomes zeros (unscaled: itself), and rounding errors of its mean do not count as a spread."""
    ours = _encode_column(np.full(1000, value), _make_numeric(scale=scale))

    np.testing.assert_allclose(ours, np.full(1000, value if scale == "none" else 0.0), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("missing", ["median", "mean"])
@pytest.mark.parametrize("function", ["none", "log1p"])
def test_nulls_are_filled_as_scikit_learn_imputes(function: str, missing: str) -> None:
    """The fill is the median or mean of the raw values at fit time, also for rows that were held out."""
    rng = np.random.default_rng(2)
    values, held_out = rng.lognormal(1, 1, (101, 1)), rng.lognormal(1, 1, (50, 1))
    values[rng.random(101) < 0.3] = np.nan
    held_out[::3] = np.nan
    theirs = make_pipeline(
        SimpleImputer(strategy=missing), FunctionTransformer(FUNCTIONS[function]), StandardScaler()
    ).fit(values)

    ours = _encode_column(values[:, 0], _make_numeric(transform=function, missing=missing), held_out[:, 0])

    np.testing.assert_allclose(ours, theirs.transform(held_out)[:, 0], rtol=1e-6, atol=1e-6)


def test_64_bit_integers_are_numbers() -> None:
    """Integers beyond 2**53 are scaled like the doubles nearest to them."""
    values = np.array([0, 2**62, -(2**62), 2**53 + 1], dtype=np.int64)

    theirs = StandardScaler().fit_transform(values.astype(np.float64)[:, None])[:, 0]

    np.testing.assert_allclose(_encode_column(values, _make_numeric()), theirs, rtol=1e-6)


def test_nullable_integers_are_filled_like_numbers() -> None:
    """A column of integers with nulls, as an artifact returns it, is filled and scaled like one of doubles."""
    values = [1, None, 3, 8]

    nullable = _encode_column(pd.array(values, dtype="Int64"), _make_numeric(missing="median"))

    np.testing.assert_array_equal(nullable, _encode_column(values, _make_numeric(missing="median")))
