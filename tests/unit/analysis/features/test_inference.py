"""`features: auto`: what each column becomes, and why one was left out."""

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from segmentation_pipeline.analysis.features.inference import infer_features
from segmentation_pipeline.analysis.features.kinds.categorical import MAX_CATEGORIES
from segmentation_pipeline.analysis.features.validation import validate
from segmentation_pipeline.errors import SpecError
from segmentation_pipeline.spec import FeatureSpec


def _infer(values: Any) -> FeatureSpec | str:
    """Return the feature that a single column becomes, or the reason why it becomes none."""
    frame = pd.DataFrame({"id": range(len(values)), "other": range(len(values)), "x": values})
    inferred = infer_features(frame, key="id")
    found = [feature for feature in inferred.features if feature.column == "x"]
    return found[0] if found else inferred.left_out["x"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2, 3, 4], {"kind": "numeric"}),
        ([1.5, -2.0, 0.0, 4.0], {"kind": "numeric"}),
        ([1.0, None, 3.0, 4.0], {"kind": "numeric", "missing": "median"}),
        (pd.array([1, None, 3, 4], dtype="Int64"), {"kind": "numeric", "missing": "median"}),
        ([1.0, 1.0, 2.0, 1000.0], {"kind": "numeric", "transform": "log1p"}),
        ([0.0, 0.0, 0.0, 1000.0], {"kind": "numeric", "transform": "log1p"}),
        ([-1.0, 1.0, 2.0, 1000.0], {"kind": "numeric", "transform": "yeo-johnson"}),
        ([1.0, 999.0, 1000.0, 1001.0], {"kind": "numeric"}),
        ([1.0, 2.0], {"kind": "numeric"}),
        ([1.0, 2.0, np.inf, 3.0], {"kind": "numeric"}),
        ([True, False, True, True], {"kind": "boolean"}),
        (["a", "b", "a", "a"], {"kind": "categorical", "max_categories": 50}),
        (["a", None, "b", "a"], {"kind": "categorical", "max_categories": 50, "missing": "category"}),
        (["🍣", "東京", "🍣", "a"], {"kind": "categorical", "max_categories": 50}),
        ([True, None, False, True], {"kind": "categorical", "max_categories": 50, "missing": "category"}),
    ],
)
def test_a_column_becomes_the_feature_its_values_suggest(values: Any, expected: dict[str, Any]) -> None:
    """Numbers, skewed numbers, booleans and texts become features of their kind, nulls included."""
    assert _infer(values) == FeatureSpec(column="x", **expected)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([None, None], "all values are null"),
        ([np.nan, np.nan], "all values are null"),
        ([7, 7], "constant"),
        (["a", "a"], "constant"),
        ([True, True], "constant"),
        ([5.0, None], "constant"),
        ([np.inf, -np.inf], "no finite value"),
        (pd.to_datetime(["2024-01-01", "2024-02-01"]), "of type datetime64"),
        (pd.to_datetime(["2024-01-01", "2024-02-01"], utc=True), "of type datetime64"),
        ([date(2024, 1, 1), date(2024, 2, 1)], "of type date"),
        ([date(2024, 1, 1), date(2024, 2, 1), None], "of type date"),
        ([f"text {number}" for number in range(MAX_CATEGORIES + 1)], "51 different texts, more than 50"),
    ],
)
def test_a_column_that_cannot_be_a_feature_is_left_out_with_the_reason(values: Any, reason: str) -> None:
    """Nulls, constants, dates and texts with too many values are left out, with the reason."""
    left_out = _infer(values)

    assert isinstance(left_out, str)
    assert reason in left_out


def test_fifty_texts_are_categories() -> None:
    """A text column with exactly as many values as allowed is still a categorical feature."""
    feature = _infer([f"text {number}" for number in range(MAX_CATEGORIES)])

    assert isinstance(feature, FeatureSpec)
    assert feature.kind == "categorical"


def test_the_key_outcomes_and_excluded_columns_are_not_features() -> None:
    """The key is not reported; what the spec names is left out with that reason."""
    frame = pd.DataFrame({"id": [1, 2], "spend": [1.0, 2.0], "converted": [True, False], "email": ["a", "b"]})

    inferred = infer_features(frame, key="id", ignore=["converted", "email"])

    assert [feature.column for feature in inferred.features] == ["spend"]
    assert inferred.left_out == dict.fromkeys(["converted", "email"], "named in outcomes, exclude or source.fresh")


def test_features_come_in_the_order_of_the_columns() -> None:
    """The features stand in the order of the source's columns."""
    frame = pd.DataFrame({"b": [1, 2], "id": [1, 2], "a": [1, 2], "c": ["x", "y"]})

    assert [feature.column for feature in infer_features(frame, key="id").features] == ["b", "a", "c"]


def test_no_usable_column_is_refused_with_every_reason() -> None:
    """A table without a usable column is refused, with each column's reason."""
    frame = pd.DataFrame({"id": [1, 2], "country": ["UK", "UK"], "spend": [None, None], "email": ["a", "b"]})

    with pytest.raises(SpecError) as refused:
        infer_features(frame, key="id", ignore=["email"])

    assert str(refused.value) == (
        "features: auto found no usable column (country: constant; spend: all values are null; "
        "email: named in outcomes, exclude or source.fresh). List the features in defs.yaml."
    )


def test_a_table_of_keys_alone_is_refused() -> None:
    """A table that has only its key is refused with these words."""
    with pytest.raises(SpecError, match="there is only the key"):
        infer_features(pd.DataFrame({"id": [1, 2]}), key="id")


def test_the_features_found_reject_no_row_for_what_they_were_inferred_from() -> None:
    """Rows validated by the features inferred from them are all usable."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "id": range(200),
            "skewed": rng.lognormal(0, 2, 200),
            "holes": np.where(rng.random(200) < 0.2, np.nan, rng.normal(size=200)),
            "country": pd.Series(rng.choice(["UK", "🍣", None], 200), dtype="object"),
            "active": rng.random(200) < 0.5,
            "perhaps": pd.Series(rng.choice([True, False, None], 200), dtype="object"),
        }
    )

    inferred = infer_features(frame, key="id")
    validated = validate(frame, inferred.features, key="id")

    assert len(inferred.features) == 5
    assert validated.reason_counts == {}


AS_OF = datetime(2024, 4, 1, tzinfo=UTC)


def _infer_dated(values: Any) -> FeatureSpec | str:
    frame = pd.DataFrame({"id": range(len(values)), "other": range(len(values)), "x": values})
    inferred = infer_features(frame, key="id", as_of=AS_OF)
    found = [feature for feature in inferred.features if feature.column == "x"]
    return found[0] if found else inferred.left_out["x"]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([date(2024, 1, 1), date(2024, 2, 1), date(2024, 3, 1)], {}),
        (pd.to_datetime(["2024-01-01", "2024-02-01", "2024-03-01"], utc=True), {}),
        ([date(2024, 3, 31), date(2024, 3, 31), date(2024, 3, 30), date(2014, 1, 1)], {"transform": "log1p"}),
        ([date(2024, 1, 1), None, date(2024, 3, 1)], {"missing": "indicator"}),
    ],
)
def test_dates_become_days_before_as_of(values: Any, expected: dict[str, Any]) -> None:
    """With an as_of, dates are features like numbers; a null, mostly a date that has not come yet, has an indicator."""
    assert _infer_dated(values) == FeatureSpec(column="x", kind="date", **expected)


def test_dates_after_as_of_are_left_out() -> None:
    """A column with dates after as_of is left out, with the number of such dates."""
    assert _infer_dated([date(2024, 1, 1), date(2024, 4, 2)]) == "1 of 2 dates are after as_of, 2024-04-01"
    assert _infer_dated([date(2024, 1, 1), date(2024, 1, 1)]) == "constant"


@pytest.mark.parametrize(
    ("values", "transform"),
    [
        (np.random.default_rng(0).normal(50, 5, 200), "none"),
        (np.random.default_rng(0).lognormal(3, 1, 200), "log1p"),
        (np.random.default_rng(0).lognormal(3, 1, 200) - 10, "yeo-johnson"),
    ],
)
def test_a_hundred_numbers_are_winsorized(values: Any, transform: str) -> None:
    """With enough values for a percentile, the extremes of every number are pulled in."""
    assert _infer(values) == FeatureSpec(column="x", kind="numeric", transform=transform, outliers="winsorize")
    few = _infer(values[:99])
    assert isinstance(few, FeatureSpec)
    assert few.outliers == "none"


def test_a_number_that_is_nearly_always_the_same_is_left_out() -> None:
    """Where 98 % are the same, winsorizing leaves a constant, so the column is left out."""
    assert _infer(np.append(np.zeros(995), np.arange(5.0) + 1)) == "nearly constant: 99.5% of the values are 0"


def test_customers_far_out_do_not_have_a_cluster_of_their_own() -> None:
    """Money with returns and two extreme customers: no cluster of K-Means is below 1 % of the customers."""
    from segmentation_pipeline.analysis.clustering.algorithms.kmeans import fit_kmeans
    from segmentation_pipeline.analysis.clustering.labelling import assign
    from segmentation_pipeline.analysis.features.encoding import fit_encoding, transform

    rng = np.random.default_rng(4)
    spend = rng.lognormal(6, 1.2, 2000) - 30
    spend[:4] = 280_000, 170_000, -4_300, -1_600
    frame = pd.DataFrame({"id": range(2000), "spend": spend, "orders": rng.geometric(0.3, 2000)})
    features = infer_features(frame, key="id").features

    matrix = transform(frame, fit_encoding(frame, features)).matrix

    for k in range(2, 9):
        sizes = np.bincount(assign(matrix, fit_kmeans(matrix, k, n_init=10, seed=1).model).labels)
        assert sizes.min() >= 20
