"""How each kind reads a column in whatever type it comes."""

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from segmentation_pipeline.analysis.features.validation import SplitRows, validate
from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.spec import FeatureSpec

COUNTRY = FeatureSpec(column="country", kind="categorical")


def _make_numeric(**changes: Any) -> FeatureSpec:
    return FeatureSpec(**{"column": "x", "kind": "numeric", **changes})


def _validate(values: Any, feature: FeatureSpec, **columns: Any) -> SplitRows:
    """Validate one column of values beside a good key."""
    frame = pd.DataFrame({"id": range(len(values)), feature.column: values} | columns)
    return validate(frame, [feature], key="id")


def _list_reasons(validated: SplitRows) -> dict[int, tuple[str, ...]]:
    """The reasons by position in the input."""
    return dict(zip(validated.rejected.index.tolist(), validated.reasons, strict=True))


@pytest.mark.parametrize("dtype", ["int16", "int64", "float32", "bool", "Int64", "Float64", "boolean"])
def test_every_numeric_type_becomes_float64(dtype: str) -> None:
    """Numbers of any width, and booleans under a numeric feature, are read as double precision."""
    validated = _validate(pd.array([0, 1, 1], dtype=dtype), _make_numeric())

    assert validated.rows["x"].dtype == np.float64
    assert validated.rows["x"].tolist() == [0.0, 1.0, 1.0]


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "boolean"])
def test_nulls_of_nullable_types_are_nulls(dtype: str) -> None:
    """A null in a nullable column is filled later or rejects its row, as the feature says."""
    values = pd.array([0, None, 1], dtype=dtype)

    assert _list_reasons(_validate(values, _make_numeric())) == {1: ("x: null",)}
    assert _validate(values, _make_numeric(missing="median")).rows["x"].isna().tolist() == [False, True, False]


def test_numbers_that_arrive_as_text_are_read() -> None:
    """Text that is a number is a number, blanks around it aside."""
    validated = _validate(["1", " 2.5 ", "-3e2"], _make_numeric())

    assert validated.rows["x"].tolist() == [1.0, 2.5, -300.0]


@pytest.mark.parametrize(
    ("values", "truth"),
    [
        (["true", "False", " T ", "f"], [True, False, True, False]),
        (["yes", "NO", "1", "0"], [True, False, True, False]),
        ([1, 0, 1, 0], [True, False, True, False]),
        ([1.0, 0.0, 1.0, 0.0], [True, False, True, False]),
        (pd.Series([True, False, True, False], dtype="object"), [True, False, True, False]),
        (pd.array([True, False, True, False], dtype="boolean"), [True, False, True, False]),
    ],
)
def test_booleans_are_read_however_they_are_written(values: Any, truth: list[bool]) -> None:
    """Words, digits and real booleans all mean true and false."""
    validated = _validate(values, FeatureSpec(column="active", kind="boolean"))

    assert len(validated.rejected) == 0
    assert validated.rows["active"].tolist() == truth


def test_a_boolean_with_nulls_keeps_the_rest() -> None:
    """Rows that are neither true nor false are rejected and the others stay true and false."""
    validated = _validate([True, None, "perhaps", False], FeatureSpec(column="active", kind="boolean"))

    assert validated.rows["active"].tolist() == [True, False]
    assert _list_reasons(validated) == {1: ("active: null",), 2: ("active: 'perhaps' is not true or false",)}


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([3, 4, 3], ["3", "4", "3"]),
        ([3.0, 4.5, 3.0], ["3", "4.5", "3"]),
        ([True, False, True], ["true", "false", "true"]),
        (["🍣", " a", "A"], ["🍣", " a", "A"]),
    ],
)
def test_categories_are_text(values: list[Any], names: list[str]) -> None:
    """A category of any type becomes text, and 3.0 is the same category as 3."""
    assert _validate(values, COUNTRY).rows["country"].tolist() == names


@pytest.mark.parametrize(
    "dates",
    [pd.to_datetime(["2024-01-01", "2024-02-01"]), pd.to_datetime(["2024-01-01"] * 2, utc=True),
     [date(2024, 1, 1), date(2024, 2, 1)], [None, date(2024, 2, 1)]],
)  # fmt: skip
def test_a_date_is_not_a_number(dates: Any) -> None:
    """A date or a timestamp under a numeric feature is refused, with what to write in the query."""
    with pytest.raises(SourceError, match="x is a date, and a date is not a number"):
        _validate(dates, _make_numeric())


@pytest.mark.parametrize(
    "dates",
    [[date(2024, 3, 31), None, date(2024, 4, 2), date(2024, 1, 1)],
     pd.to_datetime(["2024-03-31", None, "2024-04-02", "2024-01-01"], utc=True),
     ["2024-03-31", None, "2024-04-02", "2024-01-01"]],
)  # fmt: skip
def test_dates_become_days_before_as_of(dates: Any) -> None:
    """Nulls and dates after as_of reject the row; what is left is the days before as_of."""
    frame = pd.DataFrame({"id": range(4), "x": dates})
    feature = FeatureSpec(column="x", kind="date")

    validated = validate(frame, [feature], key="id", as_of=datetime(2024, 4, 1, tzinfo=UTC))

    assert _list_reasons(validated) == {1: ("x: null",), 2: ("x: after as_of",)}
    assert validated.rows["x"].tolist() == [1.0, 91.0]
    assert validated.rejected["x"].tolist()[1] == frame["x"][2]


def test_the_reasons_of_a_date() -> None:
    """A text that is not a date is reported, bounds are in days, and a null passes where it is filled."""
    frame = pd.DataFrame({"id": range(4), "x": ["soon", "2024-03-31", None, "2000-01-01"]})
    feature = FeatureSpec(column="x", kind="date", missing="indicator", max=3650)

    validated = validate(frame, [feature], key="id", as_of=datetime(2024, 4, 1, tzinfo=UTC))

    assert _list_reasons(validated) == {0: ("x: 'soon' is not a date",), 3: ("x: above 3650",)}
    assert validated.rows["x"].isna().tolist() == [False, True]


@pytest.mark.parametrize("missing", ["median", "mean", "indicator"])
def test_blanks_are_nulls_where_nulls_are_filled(missing: str) -> None:
    """A blank among numbers that came as text is filled like a null; any other text still rejects its row."""
    validated = _validate(["1.5", " ", "", None, "x"], _make_numeric(missing=missing))

    assert _list_reasons(validated) == {4: ("x: 'x' is not a number",)}
    assert validated.rows["x"].isna().tolist() == [False, True, True, True]


def test_yeo_johnson_and_auto_take_every_number() -> None:
    """Neither transform has a least value, so negative numbers pass."""
    for function in ("yeo-johnson", "auto"):
        assert len(_validate([-5.0, -1.0, 3.0], _make_numeric(transform=function)).rows) == 3
