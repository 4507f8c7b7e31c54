"""From rows to the matrix: equal to scikit-learn's transformers, the same for a row alone, the same after JSON."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, OneHotEncoder, RobustScaler, StandardScaler

from segmentation_pipeline.analysis.features.encoding import (
    CATEGORY_WEIGHT,
    compute_variance_shares,
    decode_names,
    fit_encoding,
    transform,
)
from segmentation_pipeline.errors import SourceError, UnusableDataError
from segmentation_pipeline.model import Encoding
from segmentation_pipeline.spec import FeatureSpec

SCALERS: dict[str, Any] = {"standard": StandardScaler, "robust": RobustScaler, "minmax": MinMaxScaler}
FUNCTIONS: dict[str, Any] = {"none": None, "log1p": np.log1p, "sqrt": np.sqrt}
NUMBERS = st.floats(-1e6, 1e6, allow_nan=False, allow_subnormal=False).map(lambda value: round(value, 3))


def _numeric(**changes: Any) -> FeatureSpec:
    return FeatureSpec(**{"column": "x", "kind": "numeric", **changes})


def _categorical(**changes: Any) -> FeatureSpec:
    return FeatureSpec(**{"column": "c", "kind": "categorical", **changes})


def _column(values: Any, feature: FeatureSpec, held_out: Any = None) -> np.ndarray:
    """Fit one numeric feature on `values` and encode `held_out` (or the same values)."""
    encoding = fit_encoding(pd.DataFrame({"x": values}), [feature])
    return transform(pd.DataFrame({"x": values if held_out is None else held_out}), encoding).matrix[:, 0]


def _mixed(n: int = 400, seed: int = 3) -> tuple[pd.DataFrame, list[FeatureSpec]]:
    """Rows of every kind and the features that read them."""
    rng = np.random.default_rng(seed)
    spend = rng.lognormal(3, 1, n)
    spend[rng.random(n) < 0.1] = np.nan
    frame = pd.DataFrame(
        {
            "spend": spend,
            "orders": rng.integers(0, 50, n),
            "age": rng.normal(40, 12, n),
            "country": rng.choice(["UK", "DE", "FR", "NL", "ES", "東京", "🍣"], n, p=[0.4, 0.25, 0.15, 0.1, 0.05, 0.03, 0.02]),
            "plan": pd.Series(rng.choice(["a", "b", None], n), dtype="object"),
            "active": rng.random(n) < 0.3,
        }
    )  # fmt: skip
    features = [
        FeatureSpec(column="spend", kind="numeric", transform="log1p", missing="median"),
        FeatureSpec(column="orders", kind="numeric", transform="sqrt", scale="robust", weight=2),
        FeatureSpec(column="age", kind="numeric", scale="minmax"),
        FeatureSpec(column="country", kind="categorical", max_categories=4),
        FeatureSpec(column="plan", kind="categorical", missing="category", weight=3),
        FeatureSpec(column="active", kind="boolean"),
    ]
    return frame, features


@pytest.mark.parametrize("scale", ["standard", "robust", "minmax", "none"])
@pytest.mark.parametrize("function", ["none", "log1p", "sqrt"])
def test_numeric_features_are_scikit_learns(function: str, scale: str) -> None:
    """A transform and a scaler fitted here give scikit-learn's numbers on rows that were held out."""
    rng = np.random.default_rng(1)
    values, held_out = rng.lognormal(3, 1.5, (500, 1)), rng.lognormal(3, 2, (200, 1))
    scaler = SCALERS[scale]() if scale != "none" else FunctionTransformer()
    theirs = make_pipeline(FunctionTransformer(FUNCTIONS[function]), scaler).fit(values)

    ours = _column(values[:, 0], _numeric(transform=function, scale=scale, weight=1.5), held_out[:, 0])

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

    ours = _column(values, _numeric(scale=scale), held_out)

    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("unit", [1e-18, 1e-9, 1.0, 1e9])
def test_the_unit_of_a_feature_does_not_matter(unit: float) -> None:
    """A feature in tiny or huge units is scaled like any other, never taken for a constant."""
    values = np.array([1.0, 2.0, 3.0, 6.0])

    np.testing.assert_allclose(_column(values * unit, _numeric()), _column(values, _numeric()), rtol=1e-6)


@pytest.mark.parametrize("scale", ["standard", "robust", "minmax", "none"])
@pytest.mark.parametrize("value", [0.0, 0.1, -7.0, 1e9 + 0.1])
def test_a_constant_is_centred_and_not_divided_by_zero(value: float, scale: str) -> None:
    """A constant column becomes zeros (unscaled: itself), rounding errors of its mean are no spread."""
    ours = _column(np.full(1000, value), _numeric(scale=scale))

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

    ours = _column(values[:, 0], _numeric(transform=function, missing=missing), held_out[:, 0])

    np.testing.assert_allclose(ours, theirs.transform(held_out)[:, 0], rtol=1e-6, atol=1e-6)


def test_a_column_without_a_value_cannot_be_filled() -> None:
    """All values null leave nothing to take the median of, and the message names the column."""
    with pytest.raises(UnusableDataError, match="x: all 3 values are null"):
        fit_encoding(pd.DataFrame({"x": [np.nan] * 3}), [_numeric(missing="median")])


def test_64_bit_integers_are_numbers() -> None:
    """Integers beyond 2**53 are scaled like the doubles nearest to them."""
    values = np.array([0, 2**62, -(2**62), 2**53 + 1], dtype=np.int64)

    theirs = StandardScaler().fit_transform(values.astype(np.float64)[:, None])[:, 0]

    np.testing.assert_allclose(_column(values, _numeric()), theirs, rtol=1e-6)


def test_nullable_integers_are_filled_like_numbers() -> None:
    """A column of integers with nulls, as an artifact gives it, is filled and scaled like one of doubles."""
    values = [1, None, 3, 8]

    nullable = _column(pd.array(values, dtype="Int64"), _numeric(missing="median"))

    np.testing.assert_array_equal(nullable, _column(values, _numeric(missing="median")))


@given(
    counts=st.lists(st.integers(1, 60), min_size=1, max_size=12, unique=True),
    max_categories=st.integers(2, 14),
    weight=st.floats(0.25, 4),
)
@settings(deadline=None, max_examples=40)
def test_categories_are_scikit_learns_times_their_weight(counts: list[int], max_categories: int, weight: float) -> None:
    """One-hot columns, the rare ones together in the last, equal scikit-learn's on known, rare and unknown values."""
    names = [f"{chr(97 + index)}é" for index in range(len(counts))]
    # with exactly as many as allowed scikit-learn calls the rarest infrequent; here none is (the next test)
    assume(len(names) != max_categories)
    values = [name for name, count in zip(names, counts, strict=True) for _ in range(count)]
    held_out = [*names, "never seen"]
    theirs = OneHotEncoder(
        handle_unknown="infrequent_if_exist", max_categories=max_categories, sparse_output=False
    ).fit(np.array(values, dtype=object)[:, None])

    encoding = fit_encoding(pd.DataFrame({"c": values}), [_categorical(max_categories=max_categories, weight=weight)])
    ours = transform(pd.DataFrame({"c": held_out}), encoding).matrix

    expected = theirs.transform(np.array(held_out, dtype=object)[:, None]) * weight * CATEGORY_WEIGHT
    np.testing.assert_allclose(ours, expected, rtol=1e-6)


def test_as_many_categories_as_allowed_are_all_kept() -> None:
    """A column with exactly `max_categories` values keeps each under its own name; none is infrequent."""
    encoding = fit_encoding(pd.DataFrame({"c": ["a", "a", "b", "b", "c"]}), [_categorical(max_categories=3)])

    assert encoding.names == ("c=a", "c=b", "c=c")


def test_a_whole_table_is_scikit_learns_column_transformer() -> None:
    """All kinds side by side, in the order of the features, equal one ColumnTransformer on held-out rows."""
    frame, features = _mixed()
    held_out, _ = _mixed(n=150, seed=8)
    one_hot: dict[str, Any] = {"handle_unknown": "infrequent_if_exist", "sparse_output": False}
    theirs = ColumnTransformer(
        [
            ("spend", make_pipeline(SimpleImputer(strategy="median"), FunctionTransformer(np.log1p), StandardScaler()), ["spend"]),
            ("orders", make_pipeline(FunctionTransformer(np.sqrt), RobustScaler()), ["orders"]),
            ("age", MinMaxScaler(), ["age"]),
            ("country", OneHotEncoder(max_categories=4, **one_hot), ["country"]),
            ("plan", make_pipeline(SimpleImputer(strategy="constant", fill_value="(missing)", missing_values=None), OneHotEncoder(**one_hot)), ["plan"]),
            ("active", OneHotEncoder(**one_hot), ["active"]),
        ]
    ).fit(frame)  # fmt: skip
    weights = np.array([1, 2, 1] + [0.5] * 4 + [1.5] * 3 + [0.5] * 2)

    encoding = fit_encoding(frame, features)
    ours = transform(held_out, encoding)

    assert encoding.names == (
        "spend", "orders", "age", "country=DE", "country=FR", "country=UK", "country=infrequent",
        "plan=(missing)", "plan=a", "plan=b", "active=false", "active=true",
    )  # fmt: skip
    np.testing.assert_allclose(ours.matrix, theirs.transform(held_out) * weights, rtol=1e-6, atol=1e-6)


def test_the_matrix_is_what_the_fit_wants() -> None:
    """The matrix is float32, C-contiguous, with a row per customer and a column per name."""
    frame, features = _mixed()
    encoding = fit_encoding(frame, features)

    matrix = transform(frame, encoding).matrix

    assert (matrix.dtype, matrix.shape) == (np.float32, (len(frame), len(encoding.names)))
    assert matrix.flags.c_contiguous
    assert np.isfinite(matrix).all()


def test_names_lead_back_to_their_features() -> None:
    """Each column of the matrix knows the feature it encodes."""
    frame, features = _mixed()
    encoding = fit_encoding(frame, features)

    behind = decode_names(encoding)

    assert tuple(behind) == encoding.names
    assert (behind["age"].column, behind["plan=a"].column) == ("age", "plan")
    assert encoding.columns == ("spend", "orders", "age", "country", "plan", "active")


def test_an_encoding_survives_json() -> None:
    """Through JSON text, an encoding comes back equal and gives the identical matrix."""
    frame, features = _mixed()
    encoding = fit_encoding(frame, features)

    again = Encoding.from_json(json.loads(json.dumps(encoding.to_json())))

    assert again == encoding
    np.testing.assert_array_equal(transform(frame, again).matrix, transform(frame, encoding).matrix)


@given(rows=st.lists(st.integers(0, 399), min_size=1, max_size=20))
@settings(deadline=None, max_examples=30)
def test_a_row_is_encoded_the_same_in_any_company(rows: list[int]) -> None:
    """A customer alone, repeated or in another order has bit for bit the same floats."""
    frame, features = _mixed()
    encoding = fit_encoding(frame, features)
    everybody = transform(frame, encoding).matrix

    some = transform(frame.iloc[rows], encoding).matrix

    np.testing.assert_array_equal(some, everybody[rows])


def test_the_order_of_rows_does_not_change_the_categories() -> None:
    """Which of equally frequent categories is kept goes by name, not by which comes first."""
    values = ["b", "a", "d", "c"] * 3
    feature = _categorical(max_categories=3)

    forth = fit_encoding(pd.DataFrame({"c": values}), [feature])
    back = fit_encoding(pd.DataFrame({"c": values[::-1]}), [feature])

    assert forth == back
    assert forth.names == ("c=a", "c=b", "c=infrequent")


def test_unknown_categories_are_counted_and_are_no_category() -> None:
    """Where no category is infrequent, an unknown one is all zeros, and each such row is counted."""
    encoding = fit_encoding(pd.DataFrame({"c": ["a", "b", "a"]}), [_categorical()])

    encoded = transform(pd.DataFrame({"c": ["b", "z", "z", "y"]}), encoding)

    assert encoded.matrix.tolist() == [[0.0, 0.5], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]
    assert encoded.unknown == {"c": 3}


def test_unknown_categories_join_the_infrequent_ones() -> None:
    """Where there are infrequent categories, an unknown one is among them, and only the unknown is counted."""
    values = ["a"] * 5 + ["b"] * 4 + ["c", "d"]
    encoding = fit_encoding(pd.DataFrame({"c": values}), [_categorical(max_categories=3)])

    encoded = transform(pd.DataFrame({"c": ["a", "c", "z"]}), encoding)

    assert encoding.features[0].infrequent == ("c", "d")
    assert encoded.matrix.tolist() == [[0.5, 0.0, 0.0], [0.0, 0.0, 0.5], [0.0, 0.0, 0.5]]
    assert encoded.unknown == {"c": 1}


def test_known_rows_have_no_unknown_categories() -> None:
    """Encoding the rows of the fit counts nothing as unknown."""
    frame, features = _mixed()

    assert transform(frame, fit_encoding(frame, features)).unknown == {}


@pytest.mark.parametrize("values", [[True, False, True], pd.array([True, False, True], dtype="boolean")])
def test_booleans_are_two_columns(values: Any) -> None:
    """False and true have a column each, so that two customers who differ are as far apart as two categories."""
    encoding = fit_encoding(pd.DataFrame({"b": values}), [FeatureSpec(column="b", kind="boolean", weight=2)])

    encoded = transform(pd.DataFrame({"b": values}), encoding)

    assert encoding.names == ("b=false", "b=true")
    assert encoded.matrix.tolist() == [[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]


def test_a_boolean_that_was_never_true_knows_true() -> None:
    """A boolean column has both its categories, whatever was seen when it was fitted."""
    encoding = fit_encoding(pd.DataFrame({"b": [False, False]}), [FeatureSpec(column="b", kind="boolean")])

    encoded = transform(pd.DataFrame({"b": [True]}), encoding)

    assert (encoded.matrix.tolist(), encoded.unknown) == ([[0.0, 0.5]], {})


@pytest.mark.parametrize(
    ("fitted", "later"),
    [
        (["1", "2", "3"], [1, 2, 3]),
        (["1", "2", "3"], [1.0, 2.0, 3.0]),
        (["true", "false", "true"], [True, False, True]),
        (["true", "false", "true"], pd.Series([True, False, True], dtype="object")),
    ],
)
def test_a_category_has_one_name_in_every_type(fitted: list[str], later: Any) -> None:
    """A code that is text in one month and a number in the next (a null came in) is the same category."""
    encoding = fit_encoding(pd.DataFrame({"c": fitted}), [_categorical()])

    encoded = transform(pd.DataFrame({"c": later}), encoding)

    assert encoded.unknown == {}
    np.testing.assert_array_equal(encoded.matrix, transform(pd.DataFrame({"c": fitted}), encoding).matrix)


def test_no_rows_cannot_be_fitted() -> None:
    """Zero usable rows are refused with what to look at."""
    with pytest.raises(UnusableDataError, match="0 usable rows"):
        fit_encoding(pd.DataFrame({"x": []}, dtype=float), [_numeric()])


def test_no_rows_can_be_encoded() -> None:
    """An encoding takes zero rows and gives a matrix of zero rows."""
    frame, features = _mixed()
    encoding = fit_encoding(frame, features)

    assert transform(frame.iloc[:0], encoding).matrix.shape == (0, len(encoding.names))


def test_a_missing_column_is_named() -> None:
    """Rows without a column of the encoding are refused, with its name and those there are."""
    frame, features = _mixed()
    encoding = fit_encoding(frame, features)

    with pytest.raises(SourceError, match="the encoding needs age, plan; the rows have spend, orders, country, active"):
        transform(frame.drop(columns=["age", "plan"]), encoding)


def test_an_encoding_of_the_first_version_still_loads() -> None:
    """What was saved before there were powers, outliers and axes reads back and encodes as it did."""
    saved = {
        "version": 1,
        "features": [
            {"column": "x", "kind": "numeric", "weight": 2.0, "transform": "log1p", "fill": 1.0, "center": 0.5,
             "scale": 2.0, "categories": [], "infrequent": []},
            {"column": "c", "kind": "categorical", "weight": 0.5, "transform": "none", "fill": None, "center": 0.0,
             "scale": 1.0, "categories": ["a", "b"], "infrequent": ["z"]},
        ],
    }  # fmt: skip

    encoding = Encoding.from_json(saved)
    encoded = transform(pd.DataFrame({"x": [np.e - 1, None], "c": ["b", "new"]}), encoding)

    assert encoding.names == ("x", "c=a", "c=b", "c=infrequent")
    expected = [[0.5, 0, 0.5, 0], [np.log(2) - 0.5, 0, 0, 0.5]]
    np.testing.assert_allclose(encoded.matrix, expected, rtol=1e-6)
    assert (encoded.unknown, encoded.missing, encoded.outliers.any()) == ({"c": 1}, {"x": 1}, False)


def test_every_kind_of_feature_survives_json_side_by_side() -> None:
    """Powers, limits, orders, frequencies, indicators and axes come back equal and give the identical matrix."""
    frame, _ = _mixed()
    features = [
        FeatureSpec(column="spend", kind="numeric", transform="yeo-johnson", missing="indicator", outliers="winsorize"),
        FeatureSpec(column="orders", kind="date", transform="auto", outliers="remove"),
        FeatureSpec(column="country", kind="categorical", encode="frequency"),
        FeatureSpec(column="plan", kind="categorical", encode="ordinal", order=["a", "b"], missing="median"),
        FeatureSpec(column="active", kind="boolean"),
    ]
    encoding = fit_encoding(frame, features, pca=0.99)

    again = Encoding.from_json(json.loads(json.dumps(encoding.to_json(), allow_nan=False)))

    assert again == encoding
    assert again.encoded_names == (
        "spend", "spend=missing", "orders", "country", "plan", "active=false", "active=true"
    )  # fmt: skip
    np.testing.assert_array_equal(transform(frame, again).matrix, transform(frame, encoding).matrix)


def test_rows_that_are_all_outliers_leave_nothing_to_fit() -> None:
    """Fences so close that nobody is inside are refused with what to raise."""
    values = pd.DataFrame({"x": [-9.0, 1.0, 2.0, 9.0], "y": [1.0, 9.0, -9.0, 2.0]})
    features = [FeatureSpec(column=column, kind="numeric", outliers="remove", fence=0.01) for column in values]

    with pytest.raises(UnusableDataError, match="all 4 rows are outliers of x, y; raise `fence`"):
        fit_encoding(values, features)


def test_the_share_in_the_distances_is_the_share_of_variance() -> None:
    """An unscaled feature among scaled ones is seen to dominate; the PCA does not hide it."""
    frame = pd.DataFrame({"spend": [0.0, 3000.0, 6000.0], "age": [1.0, 2.0, 3.0], "plan": ["a", "b", "a"]})
    features = [
        FeatureSpec(column="spend", kind="numeric", scale="none"),
        FeatureSpec(column="age", kind="numeric"),
        FeatureSpec(column="plan", kind="categorical"),
    ]

    shares = compute_variance_shares(frame, fit_encoding(frame, features, pca=0.5))

    assert list(shares) == ["spend", "age", "plan"]
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["spend"] > 0.999
