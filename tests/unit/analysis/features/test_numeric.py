"""One number for each value: equal to scikit-learn's on held-out rows; nulls, outliers, dates."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, PowerTransformer, RobustScaler, StandardScaler

from segmentation_pipeline.analysis.features.encoding import CATEGORY_WEIGHT, Encoded, fit_encoding, transform
from segmentation_pipeline.analysis.features.numeric import choose_transform, find_removal_limits
from segmentation_pipeline.errors import UnusableDataError
from segmentation_pipeline.model import Encoding
from segmentation_pipeline.spec import FeatureSpec

SCALERS: dict[str, Any] = {"standard": StandardScaler, "robust": RobustScaler, "minmax": MinMaxScaler}


def _make_feature(**changes: Any) -> FeatureSpec:
    return FeatureSpec(**{"column": "x", "kind": "numeric", **changes})


def _fit_and_save(values: Any, feature: FeatureSpec) -> Encoding:
    """Fit one feature and send it through JSON text."""
    encoding = fit_encoding(pd.DataFrame({"x": values}), [feature])
    return Encoding.from_json(json.loads(json.dumps(encoding.to_json())))


def _encode(values: Any, feature: FeatureSpec, held_out: Any) -> Encoded:
    return transform(pd.DataFrame({"x": held_out}), _fit_and_save(values, feature))


def _draw_skewed(n: int, seed: int) -> np.ndarray:
    """Draw money as it is: skewed, sometimes negative."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(n) < 0.1, -1, 1) * rng.lognormal(4, 1.3, n)


@pytest.mark.parametrize("scale", ["standard", "robust", "minmax"])
def test_yeo_johnson_is_scikit_learns_power_transformer(scale: str) -> None:
    """The power is fitted by PowerTransformer, and the saved one returns its numbers on rows that were held out."""
    values, held_out = _draw_skewed(600, 1)[:, None], _draw_skewed(300, 2)[:, None]
    theirs = make_pipeline(PowerTransformer(standardize=False), SCALERS[scale]()).fit(values)

    ours = _encode(values[:, 0], _make_feature(transform="yeo-johnson", scale=scale), held_out[:, 0]).matrix[:, 0]

    np.testing.assert_allclose(ours, theirs.transform(held_out)[:, 0], rtol=1e-6, atol=1e-6)


@given(
    values=st.lists(st.floats(-1e4, 1e4, allow_subnormal=False).map(lambda x: round(x, 2)), min_size=5, max_size=40),
    held_out=st.lists(st.floats(-1e4, 1e4, allow_subnormal=False).map(lambda x: round(x, 2)), min_size=1, max_size=9),
)
@settings(deadline=None, max_examples=40)
def test_any_numbers_are_transformed_by_the_power_that_was_fitted(values: list[float], held_out: list[float]) -> None:
    """Whatever power comes out, the saved transform is the scikit-learn transformer's, and finite."""
    feature = _make_feature(transform="yeo-johnson", scale="none")
    ours = _encode(values, feature, held_out).matrix[:, 0]

    assert np.isfinite(ours).all()
    fitted = _fit_and_save(values, feature).features[0]
    theirs = PowerTransformer(standardize=False).fit(np.linspace(0, 1, 5)[:, None])
    theirs.lambdas_ = np.array([fitted.power])
    with np.errstate(over="ignore"):
        expected = np.clip(theirs.transform(np.array(held_out)[:, None])[:, 0], -1e19, 1e19)
    np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-6)


def test_a_constant_has_no_power() -> None:
    """A constant column stays itself under yeo-johnson, and is centred to zero."""
    fitted = _fit_and_save([7.0] * 20, _make_feature(transform="yeo-johnson")).features[0]

    assert (fitted.power, fitted.center, fitted.scale) == (1.0, pytest.approx(7.0), 1.0)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2, 3, 4], "none"),
        ([1, 1, 2, 1000], "log1p"),
        ([0, 0, 0, 1000], "log1p"),
        ([1, 999, 1000, 1001], "none"),
        ([-1, 1, 2, 1000], "yeo-johnson"),
        ([-1000, 1, 2, 3], "yeo-johnson"),
        ([-3, -1, 1, 3], "none"),
        ([5, 5, 5], "none"),
        ([], "none"),
        ([1, 1, 2, 1000, np.nan, np.inf], "log1p"),
    ],
)
def test_auto_takes_the_transform_that_the_values_suggest(values: list[float], expected: str) -> None:
    """Skewed and never negative: log1p; skewed and negative: yeo-johnson; else none; only finite values count."""
    assert choose_transform(np.array(values, dtype=float)) == expected


def test_auto_saves_what_it_decided() -> None:
    """`transform: auto` is decided when fitting; the saved encoding names the transform."""
    values = np.random.default_rng(0).lognormal(2, 1, 200)

    auto = _fit_and_save(values, _make_feature(transform="auto"))

    assert auto == _fit_and_save(values, _make_feature(transform="log1p"))


@pytest.mark.parametrize("missing", ["median", "mean", "constant"])
def test_nulls_are_filled_as_simple_imputer_fills_them(missing: str) -> None:
    """Median, mean and constant equal SimpleImputer before yeo-johnson and RobustScaler, on held-out rows."""
    values, held_out = _draw_skewed(301, 3)[:, None], _draw_skewed(90, 4)[:, None]
    values[::4], held_out[::3] = np.nan, np.nan
    fill = {"fill": -5.0} if missing == "constant" else {}
    imputer = SimpleImputer(strategy=missing, **({"fill_value": -5.0} if fill else {}))
    theirs = make_pipeline(imputer, PowerTransformer(standardize=False), RobustScaler()).fit(values)
    feature = _make_feature(transform="yeo-johnson", scale="robust", missing=missing, **fill)

    encoded = _encode(values[:, 0], feature, held_out[:, 0])

    np.testing.assert_allclose(encoded.matrix[:, 0], theirs.transform(held_out)[:, 0], rtol=1e-6, atol=1e-6)
    assert encoded.missing == {"x": 30}


def test_a_constant_fill_needs_no_value_to_learn_from() -> None:
    """A column of nulls alone is filled with the constant that the spec states."""
    encoded = _encode([np.nan] * 3, _make_feature(missing="constant", fill=2, scale="none"), [np.nan, 5.0])

    assert encoded.matrix.tolist() == [[2.0], [5.0]]


def test_an_indicator_is_simple_imputers_weighted_like_a_category() -> None:
    """The null is the median, and a 0/1 column beside it says so, times half the weight."""
    values, held_out = _draw_skewed(101, 5)[:, None], _draw_skewed(40, 6)[:, None]
    values[::5], held_out[::4] = np.nan, np.nan
    theirs = SimpleImputer(strategy="median", add_indicator=True).fit(values)

    feature = _make_feature(missing="indicator", scale="none", weight=3)
    encoded = _encode(values[:, 0], feature, held_out[:, 0])

    assert _fit_and_save(values[:, 0], feature).names == ("x", "x=missing")
    expected = theirs.transform(held_out) * [3, 3 * CATEGORY_WEIGHT]
    np.testing.assert_allclose(encoded.matrix, expected, rtol=1e-6, atol=1e-6)


def test_an_indicator_is_there_without_a_null() -> None:
    """The column of the indicator exists whether or not a null was seen, so that the matrix keeps its shape."""
    encoded = _encode([1.0, 2.0, 6.0], _make_feature(missing="indicator", scale="none"), [np.nan, 1.0])

    assert encoded.matrix.tolist() == [[2.0, 0.5], [1.0, 0.0]]


@pytest.mark.parametrize("missing", ["median", "mean", "indicator"])
def test_nothing_to_fill_from_is_refused(missing: str) -> None:
    """Where all values are null there is no median and no mean."""
    with pytest.raises(UnusableDataError, match="x: all 3 values are null"):
        _fit_and_save([np.nan] * 3, _make_feature(missing=missing))


def test_winsorized_values_are_clipped_at_the_quantiles_of_the_fit() -> None:
    """Held-out values beyond the two quantiles are pulled in to them, before everything else."""
    values, held_out = _draw_skewed(1000, 7)[:, None], _draw_skewed(200, 8)[:, None]
    held_out[:2, 0] = -1e9, 1e9
    low, high = np.quantile(values, [0.02, 0.9])
    theirs = make_pipeline(
        FunctionTransformer(lambda x: np.clip(x, low, high)), PowerTransformer(standardize=False), StandardScaler()
    ).fit(values)
    feature = _make_feature(transform="yeo-johnson", outliers="winsorize", winsorize=[0.02, 0.9])

    encoded = _encode(values[:, 0], feature, held_out[:, 0])

    np.testing.assert_allclose(encoded.matrix[:, 0], theirs.transform(held_out)[:, 0], rtol=1e-6, atol=1e-6)
    assert not encoded.outliers.any()


def test_a_winsorized_column_with_nulls_is_filled_inside_its_quantiles() -> None:
    """The mean is that of the values pulled in: one extreme value does not decide what a null is."""
    values = [*range(1, 100), 1e9, np.nan]

    fitted = _fit_and_save(values, _make_feature(outliers="winsorize", winsorize=[0, 0.98], missing="mean")).features[0]

    assert fitted.fill == pytest.approx(50, abs=1)


@pytest.mark.parametrize("function", ["none", "log1p", "sqrt", "yeo-johnson"])
def test_removed_outliers_take_no_part_in_the_fit(function: str) -> None:
    """The encoding of rows with outliers is that of the rows without them, and it says which rows they are."""
    rng = np.random.default_rng(9)
    usual = rng.lognormal(3, 0.3, 500)
    values = np.append(usual, [1e6, 2e6, 5e5])
    feature = _make_feature(transform=function, outliers="remove")

    encoded = _encode(values, feature, values)

    fitted, without = (
        _fit_and_save(values, feature).features[0],
        _fit_and_save(usual, _make_feature(transform=function)).features[0],
    )
    assert (fitted.center, fitted.scale, fitted.power) == (without.center, without.scale, without.power)
    assert np.flatnonzero(encoded.outliers).tolist() == [500, 501, 502]
    assert np.isfinite(encoded.matrix).all()
    assert len(encoded.matrix) == 503


def test_a_removed_outlier_is_encoded_all_the_same() -> None:
    """`transform: auto` decides by the outliers as well: a negative one beside usual values that never are is finite."""
    values = [*np.random.default_rng(2).lognormal(3, 0.3, 500), -1e5, 1e6]

    encoded = _encode(values, _make_feature(transform="auto", outliers="remove"), values)

    assert np.flatnonzero(encoded.outliers).tolist() == [500, 501]
    assert np.isfinite(encoded.matrix).all()


def test_removal_follows_tukeys_fences() -> None:
    """Beyond `fence` interquartile ranges from the quartiles a value is an outlier; with the default, three."""
    values = np.arange(101, dtype=float)

    default, close = (
        find_removal_limits(values, _make_feature()),
        find_removal_limits(values, _make_feature(outliers="remove", fence=0.5)),
    )

    assert (default.low, default.high) == (-125.0, 225.0)
    assert (close.low, close.high) == (0.0, 100.0)


def test_a_fence_that_a_transform_cannot_reach_is_not_a_limit() -> None:
    """Where no original value has the transformed fence, that side has no limit."""
    limits = find_removal_limits(np.arange(101, dtype=float), _make_feature(transform="sqrt", outliers="remove"))

    assert limits.low is None
    assert limits.high == pytest.approx((np.sqrt(75) + 3 * (np.sqrt(75) - np.sqrt(25))) ** 2)


def test_mostly_equal_values_are_not_all_outliers() -> None:
    """Where half of the values are the same, the fences are a normal distribution's, so that some difference is usual."""
    values = np.append(np.zeros(80), np.append(np.ones(19), 1000.0))

    limits = find_removal_limits(values, _make_feature(outliers="remove"))

    assert limits.find_outside(values).tolist() == [False] * 99 + [True]


def test_a_null_is_not_an_outlier() -> None:
    """A null is filled and fitted on, whatever the fences are."""
    values = [1.0, 2.0, 3.0, 4.0, 5.0, np.nan, 1e9]

    encoded = _encode(values, _make_feature(outliers="remove", missing="median"), values)

    assert encoded.outliers.tolist() == [False] * 6 + [True]


@pytest.mark.parametrize("values", [pd.to_datetime(["2024-01-01"] * 3), pd.Series(["a", "b", "c"])])
def test_a_number_that_has_become_something_else_is_not_a_number(values: Any) -> None:
    """A saved encoding reads a column that has become a date or a text as NaN, never as some number."""
    assert np.isnan(_encode([1.0, 2.0, 3.0], _make_feature(), values).matrix).all()


def test_a_power_above_one_stays_within_the_range_of_float32() -> None:
    """A held-out value far beyond the fit does not overflow."""
    left_skewed = -np.random.default_rng(1).lognormal(0, 1, 300)
    feature = _make_feature(transform="yeo-johnson")
    assert (_fit_and_save(left_skewed, feature).features[0].power or 0) > 1

    encoded = _encode(left_skewed, feature, [-1e300, 1e300]).matrix

    assert np.isfinite(encoded).all()
    assert np.isfinite(encoded**2).all()


@given(rows=st.lists(st.integers(0, 299), min_size=1, max_size=20))
@settings(deadline=None, max_examples=20)
def test_a_row_is_transformed_the_same_in_any_company(rows: list[int]) -> None:
    """A value alone, repeated or in another order has the same float bit for bit, whatever transform is saved."""
    frame = pd.DataFrame({name: _draw_skewed(300, seed) for seed, name in enumerate(("a", "b", "c"))})
    frame["b"], frame.loc[::7, "c"] = frame["b"].abs(), np.nan
    encoding = fit_encoding(
        frame,
        [
            FeatureSpec(column="a", kind="numeric", transform="yeo-johnson", outliers="winsorize"),
            FeatureSpec(column="b", kind="numeric", transform="log1p", scale="robust"),
            FeatureSpec(column="c", kind="numeric", transform="auto", missing="indicator"),
        ],
    )

    np.testing.assert_array_equal(transform(frame.iloc[rows], encoding).matrix, transform(frame, encoding).matrix[rows])
