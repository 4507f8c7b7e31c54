"""Ordinal and frequency encodings: scikit-learn's on held-out rows; unknown and missing values are counted."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OrdinalEncoder, RobustScaler, StandardScaler

from segmentation_pipeline.analysis.features.encoding import Encoded, fit_encoding, transform
from segmentation_pipeline.errors import UnusableDataError
from segmentation_pipeline.model import Encoding
from segmentation_pipeline.spec import FeatureSpec

ORDER = ["none", "basic", "gold", "東京"]
SCALERS: dict[str, Any] = {"standard": StandardScaler, "robust": RobustScaler, "minmax": MinMaxScaler}


def _make_ordinal(**changes: Any) -> FeatureSpec:
    return FeatureSpec(**{"column": "c", "kind": "categorical", "encode": "ordinal", "order": ORDER, **changes})


def _make_frequency(**changes: Any) -> FeatureSpec:
    return FeatureSpec(**{"column": "c", "kind": "categorical", "encode": "frequency", **changes})


def _encode(values: Any, feature: FeatureSpec, held_out: Any) -> Encoded:
    """Fit one feature, send it through JSON text, encode the held-out values."""
    encoding = fit_encoding(pd.DataFrame({"c": pd.Series(values, dtype="object")}), [feature])
    saved = Encoding.from_json(json.loads(json.dumps(encoding.to_json())))
    return transform(pd.DataFrame({"c": pd.Series(held_out, dtype="object")}), saved)


def _draw_values(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).choice(np.array(ORDER, dtype=object), n, p=[0.1, 0.6, 0.2, 0.1])


@pytest.mark.parametrize("scale", ["standard", "robust", "minmax"])
def test_an_order_is_scikit_learns_ordinal_encoder(scale: str) -> None:
    """The places equal OrdinalEncoder's, an unknown value filled with the middle one, then scaled, on held-out rows."""
    values, held_out = _draw_values(400, 1)[:, None], np.append(_draw_values(100, 2), ["never seen"])[:, None]
    theirs = make_pipeline(
        OrdinalEncoder(categories=[ORDER], handle_unknown="use_encoded_value", unknown_value=np.nan),
        SimpleImputer(strategy="median"),
        SCALERS[scale](),
    ).fit(values)

    encoded = _encode(values[:, 0], _make_ordinal(scale=scale, weight=2), held_out[:, 0])

    np.testing.assert_allclose(encoded.matrix[:, 0], 2 * theirs.transform(held_out)[:, 0], rtol=1e-6, atol=1e-6)
    assert encoded.unknown == {"c": 1}


def test_an_order_keeps_its_ends_apart() -> None:
    """Neighbours in the order are one step apart, its ends all steps."""
    encoded = _encode(ORDER, _make_ordinal(scale="none"), ORDER)

    assert encoded.matrix[:, 0].tolist() == [0.0, 1.0, 2.0, 3.0]


def test_missing_places_are_the_middle_one_and_can_be_marked() -> None:
    """A null takes the median place, with an indicator beside it where the spec says so, and is counted apart."""
    values = ["none", "basic", "basic", None]

    median = _encode(values, _make_ordinal(scale="none", missing="median"), [None, "gold", "x"])
    marked = _encode(values, _make_ordinal(scale="none", missing="indicator"), [None, "gold", "x"])

    assert median.matrix.tolist() == [[1.0], [2.0], [1.0]]
    assert marked.matrix.tolist() == [[1.0, 0.5], [2.0, 0.0], [1.0, 0.0]]
    assert (marked.unknown, marked.missing) == ({"c": 1}, {"c": 1})


def test_values_that_are_not_in_the_order_are_reported() -> None:
    """An order without any of the values is refused, with the values that are there."""
    with pytest.raises(UnusableDataError, match=r"c: no value is in order \['none', .*\]; there are Basic, Gold"):
        _encode(["Gold", "Basic"], _make_ordinal(), [])


def test_a_code_has_its_place_as_text_or_number() -> None:
    """An order of codes takes them as text, integers or doubles."""
    encoded = _encode([1, 2, 3], _make_ordinal(order=["1", "2", "3"], scale="none"), ["1", 2, 3.0])

    assert encoded.matrix[:, 0].tolist() == [0.0, 1.0, 2.0]


def test_a_frequency_is_the_share_of_customers_at_the_fit() -> None:
    """Each value is the share of rows that had it when fitted, an unknown one 0, a null a value of its own."""
    values = ["a"] * 5 + ["b"] * 3 + [None] * 2

    encoded = _encode(values, _make_frequency(scale="none", missing="category"), ["b", "a", None, "z"])

    assert encoded.matrix[:, 0].tolist() == pytest.approx([0.3, 0.5, 0.2, 0.0])
    assert (encoded.unknown, encoded.missing) == ({"c": 1}, {"c": 1})


def test_frequencies_are_scaled_like_numbers() -> None:
    """The shares go through the scaler of the spec, fitted on all rows."""
    values, held_out = _draw_values(400, 3), _draw_values(50, 4)
    shares = pd.Series(values).value_counts(normalize=True)
    theirs = StandardScaler().fit(shares[values].to_numpy()[:, None])

    encoded = _encode(values, _make_frequency(weight=0.5), held_out)

    expected = 0.5 * theirs.transform(shares[held_out].to_numpy()[:, None])[:, 0]
    np.testing.assert_allclose(encoded.matrix[:, 0], expected, rtol=1e-6, atol=1e-6)


def test_nulls_of_one_hot_categories_are_counted() -> None:
    """A null that is a category of its own is counted as missing and not as unknown."""
    feature = FeatureSpec(column="c", kind="categorical", missing="category")

    encoded = _encode(["a", None, "a"], feature, [None, None, "z"])

    assert (encoded.unknown, encoded.missing) == ({"c": 1}, {"c": 2})
