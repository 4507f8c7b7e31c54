"""Categories and booleans as 0/1 columns: equal to scikit-learn's, under one name in every type."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import OneHotEncoder

from segmentation_pipeline.analysis.features.encoding import (
    CATEGORY_WEIGHT,
    fit_encoding,
    transform,
)
from segmentation_pipeline.spec import FeatureSpec


def _make_categorical(**changes: Any) -> FeatureSpec:
    return FeatureSpec(**{"column": "c", "kind": "categorical", **changes})


@given(
    counts=st.lists(st.integers(1, 60), min_size=1, max_size=12, unique=True),
    max_categories=st.integers(2, 14),
    weight=st.floats(0.25, 4),
)
@settings(deadline=None, max_examples=40)
def test_categories_are_scikit_learns_times_their_weight(counts: list[int], max_categories: int, weight: float) -> None:
    """One-hot columns, the rare ones together in the last, equal scikit-learn's on known, rare and unknown values."""
    names = [f"{chr(97 + index)}é" for index in range(len(counts))]
    # with exactly as many as allowed, scikit-learn calls the rarest infrequent; here it is kept (the next test)
    assume(len(names) != max_categories)
    values = [name for name, count in zip(names, counts, strict=True) for _ in range(count)]
    held_out = [*names, "never seen"]
    theirs = OneHotEncoder(
        handle_unknown="infrequent_if_exist", max_categories=max_categories, sparse_output=False
    ).fit(np.array(values, dtype=object)[:, None])

    encoding = fit_encoding(
        pd.DataFrame({"c": values}), [_make_categorical(max_categories=max_categories, weight=weight)]
    )
    ours = transform(pd.DataFrame({"c": held_out}), encoding).matrix

    expected = theirs.transform(np.array(held_out, dtype=object)[:, None]) * weight * CATEGORY_WEIGHT
    np.testing.assert_allclose(ours, expected, rtol=1e-6)


def test_as_many_categories_as_allowed_are_all_kept() -> None:
    """A column with exactly `max_categories` values keeps each of them under its own name."""
    encoding = fit_encoding(pd.DataFrame({"c": ["a", "a", "b", "b", "c"]}), [_make_categorical(max_categories=3)])

    assert encoding.names == ("c=a", "c=b", "c=c")


def test_the_order_of_rows_does_not_change_the_categories() -> None:
    """Which of equally frequent categories is kept goes by name, not by which comes first."""
    values = ["b", "a", "d", "c"] * 3
    feature = _make_categorical(max_categories=3)

    forth = fit_encoding(pd.DataFrame({"c": values}), [feature])
    back = fit_encoding(pd.DataFrame({"c": values[::-1]}), [feature])

    assert forth == back
    assert forth.names == ("c=a", "c=b", "c=infrequent")


def test_unknown_categories_are_counted_and_become_zeros() -> None:
    """Where there is no column for infrequent categories, an unknown one is all zeros, and its row is counted."""
    encoding = fit_encoding(pd.DataFrame({"c": ["a", "b", "a"]}), [_make_categorical()])

    encoded = transform(pd.DataFrame({"c": ["b", "z", "z", "y"]}), encoding)

    assert encoded.matrix.tolist() == [[0.0, 0.5], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]
    assert encoded.unknown == {"c": 3}


def test_unknown_categories_join_the_infrequent_ones() -> None:
    """Where there are infrequent categories, an unknown one is among them, and only the unknown is counted."""
    values = ["a"] * 5 + ["b"] * 4 + ["c", "d"]
    encoding = fit_encoding(pd.DataFrame({"c": values}), [_make_categorical(max_categories=3)])

    encoded = transform(pd.DataFrame({"c": ["a", "c", "z"]}), encoding)

    assert encoding.features[0].infrequent == ("c", "d")
    assert encoded.matrix.tolist() == [[0.5, 0.0, 0.0], [0.0, 0.0, 0.5], [0.0, 0.0, 0.5]]
    assert encoded.unknown == {"c": 1}


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
    """A code that is text in one period and a number in the next (a null came in) is the same category."""
    encoding = fit_encoding(pd.DataFrame({"c": fitted}), [_make_categorical()])

    encoded = transform(pd.DataFrame({"c": later}), encoding)

    assert encoded.unknown == {}
    np.testing.assert_array_equal(encoded.matrix, transform(pd.DataFrame({"c": fitted}), encoding).matrix)
