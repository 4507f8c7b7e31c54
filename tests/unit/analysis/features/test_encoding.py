"""From rows to the matrix: equal to scikit-learn's transformers, the same for a row alone, the same after JSON."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, OneHotEncoder, RobustScaler, StandardScaler

from segmentation_pipeline.analysis.features.encoding import (
    compute_variance_shares,
    decode_names,
    fit_encoding,
    transform,
)
from segmentation_pipeline.errors import SourceError, UnusableDataError
from segmentation_pipeline.model import Encoding
from segmentation_pipeline.spec import FeatureSpec


def _make_numeric(**changes: Any) -> FeatureSpec:
    return FeatureSpec(**{"column": "x", "kind": "numeric", **changes})


def _make_mixed(n: int = 400, seed: int = 3) -> tuple[pd.DataFrame, list[FeatureSpec]]:
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


def test_a_column_without_a_value_cannot_be_filled() -> None:
    """All values null leave nothing to take the median of, and the message names the column."""
    with pytest.raises(UnusableDataError, match="x: all 3 values are null"):
        fit_encoding(pd.DataFrame({"x": [np.nan] * 3}), [_make_numeric(missing="median")])


def test_a_whole_table_is_scikit_learns_column_transformer() -> None:
    """All kinds side by side, in the order of the features, equal one ColumnTransformer on held-out rows."""
    frame, features = _make_mixed()
    held_out, _ = _make_mixed(n=150, seed=8)
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
    frame, features = _make_mixed()
    encoding = fit_encoding(frame, features)

    matrix = transform(frame, encoding).matrix

    assert (matrix.dtype, matrix.shape) == (np.float32, (len(frame), len(encoding.names)))
    assert matrix.flags.c_contiguous
    assert np.isfinite(matrix).all()


def test_names_lead_back_to_their_features() -> None:
    """Each column of the matrix knows the feature it encodes."""
    frame, features = _make_mixed()
    encoding = fit_encoding(frame, features)

    behind = decode_names(encoding)

    assert tuple(behind) == encoding.names
    assert (behind["age"].column, behind["plan=a"].column) == ("age", "plan")
    assert encoding.columns == ("spend", "orders", "age", "country", "plan", "active")


def test_an_encoding_survives_json() -> None:
    """Through JSON text, an encoding comes back equal and makes the identical matrix."""
    frame, features = _make_mixed()
    encoding = fit_encoding(frame, features)

    again = Encoding.from_json(json.loads(json.dumps(encoding.to_json())))

    assert again == encoding
    np.testing.assert_array_equal(transform(frame, again).matrix, transform(frame, encoding).matrix)


@given(rows=st.lists(st.integers(0, 399), min_size=1, max_size=20))
@settings(deadline=None, max_examples=30)
def test_a_row_is_encoded_the_same_in_any_company(rows: list[int]) -> None:
    """A customer alone, repeated or in another order has bit for bit the same floats."""
    frame, features = _make_mixed()
    encoding = fit_encoding(frame, features)
    everybody = transform(frame, encoding).matrix

    some = transform(frame.iloc[rows], encoding).matrix

    np.testing.assert_array_equal(some, everybody[rows])


def test_known_rows_have_no_unknown_categories() -> None:
    """Encoding the rows of the fit counts no value as unknown."""
    frame, features = _make_mixed()

    assert transform(frame, fit_encoding(frame, features)).unknown == {}


def test_no_rows_cannot_be_fitted() -> None:
    """Zero usable rows are refused, with what to look at."""
    with pytest.raises(UnusableDataError, match="0 usable rows"):
        fit_encoding(pd.DataFrame({"x": []}, dtype=float), [_make_numeric()])


def test_no_rows_can_be_encoded() -> None:
    """Zero rows are encoded as a matrix of zero rows."""
    frame, features = _make_mixed()
    encoding = fit_encoding(frame, features)

    assert transform(frame.iloc[:0], encoding).matrix.shape == (0, len(encoding.names))


def test_a_missing_column_is_named() -> None:
    """Rows without a column of the encoding are refused, with its name and those there are."""
    frame, features = _make_mixed()
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
    """Powers, limits, orders, frequencies, indicators and axes come back equal and make the identical matrix."""
    frame, _ = _make_mixed()
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
    """Fences with no customer inside them are refused, with the field to raise."""
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
