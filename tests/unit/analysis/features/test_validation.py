"""Which rows can be used, and every reason why the others cannot."""

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segmentation_pipeline.analysis.features.validation import KEY_DUPLICATED, KEY_NULL, SplitRows, validate
from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.spec import FeatureSpec

COUNTRY = FeatureSpec(column="country", kind="categorical")


def _numeric(**changes: Any) -> FeatureSpec:
    return FeatureSpec(**{"column": "x", "kind": "numeric", **changes})


def _validated(values: Any, feature: FeatureSpec, **columns: Any) -> SplitRows:
    """Validate one column of values beside a good key."""
    frame = pd.DataFrame({"id": range(len(values)), feature.column: values} | columns)
    return validate(frame, [feature], key="id")


def _reasons(validated: SplitRows) -> dict[int, tuple[str, ...]]:
    """The reasons by position in the input."""
    return dict(zip(validated.rejected.index.tolist(), validated.reasons, strict=True))


def test_good_rows_pass_unharmed() -> None:
    """Rows without a fault are all kept, in order, with every column, also those that are no feature."""
    frame = pd.DataFrame({"id": [3, 1, 2], "x": [1, 2, 3], "country": ["UK", "🍣", "東京"], "note": ["a", None, "c"]})

    validated = validate(frame, [_numeric(), COUNTRY], key="id")

    assert validated.rows["id"].tolist() == [3, 1, 2]
    assert validated.rows["x"].dtype == np.float64
    assert validated.rows["country"].tolist() == ["UK", "🍣", "東京"]
    assert list(validated.rows.columns) == ["id", "x", "country", "note"]
    assert (len(validated.rejected), validated.reasons, validated.reason_counts) == (0, (), {})


@pytest.mark.parametrize(
    ("feature", "values", "reasons"),
    [
        (_numeric(), [1.0, np.nan, 2.0], {1: ("x: null",)}),
        (_numeric(), [1.0, np.inf, -np.inf], {1: ("x: infinite",), 2: ("x: infinite",)}),
        (_numeric(missing="median"), [np.inf, 1.0, np.nan], {0: ("x: infinite",)}),
        (_numeric(), ["1", "abc", "2.5"], {1: ("x: 'abc' is not a number",)}),
        (_numeric(), ["1", "1,5", "🍣"], {1: ("x: '1,5' is not a number",), 2: ("x: '🍣' is not a number",)}),
        (_numeric(), ["1", "nan", ""], {1: ("x: 'nan' is not a number",), 2: ("x: '' is not a number",)}),
        (_numeric(), ["1", None, "x"], {1: ("x: null",), 2: ("x: 'x' is not a number",)}),
        (_numeric(missing="median"), ["1", None, "x"], {2: ("x: 'x' is not a number",)}),
        (_numeric(), ["1", "y" * 60, "2"], {1: (f"x: '{'y' * 40}' is not a number",)}),
        (_numeric(min=0), [-0.5, 0.0, 5.0], {0: ("x: below 0",)}),
        (_numeric(max=10), [10.0, 10.5, 5.0], {1: ("x: above 10",)}),
        (_numeric(min=5), ["abc", "6", "7"], {0: ("x: 'abc' is not a number",)}),
        (_numeric(max=5), ["abc", "600", "1"], {0: ("x: 'abc' is not a number",), 1: ("x: above 5",)}),
        (_numeric(transform="log1p"), [-1.0, -0.5, 3.0], {0: ("x: log1p needs > -1",)}),
        (_numeric(transform="sqrt"), [-0.5, 0.0, 3.0], {0: ("x: sqrt needs >= 0",)}),
        (_numeric(transform="log1p"), [np.nan, -2.0, 3.0], {0: ("x: null",), 1: ("x: log1p needs > -1",)}),
        (COUNTRY, ["UK", None, "DE"], {1: ("country: null",)}),
        (FeatureSpec(column="country", kind="categorical", missing="category"), ["UK", None, "DE"], {}),
        (
            FeatureSpec(column="country", kind="categorical", allowed=("UK", "🍣")),
            ["UK", "🍣", "DE"],
            {2: ("country: not an allowed value",)},
        ),
        (
            FeatureSpec(column="country", kind="categorical", allowed=("UK",), missing="category"),
            ["UK", None, "uk"],
            {2: ("country: not an allowed value",)},
        ),
        (FeatureSpec(column="active", kind="boolean"), [True, None, False], {1: ("active: null",)}),
        (
            FeatureSpec(column="active", kind="boolean"),
            ["yes", "maybe", "0"],
            {1: ("active: 'maybe' is not true or false",)},
        ),
    ],
)
def test_every_kind_of_reason(feature: FeatureSpec, values: list[Any], reasons: dict[int, tuple[str, ...]]) -> None:
    """Each fault rejects its row, and only its row, with one reason that names the column."""
    validated = _validated(values, feature)

    assert _reasons(validated) == reasons
    assert len(validated.rows) == len(values) - len(reasons)


def test_a_row_collects_all_its_reasons() -> None:
    """A row with several faults is rejected once, with every reason, and is counted under each of them."""
    frame = pd.DataFrame({"id": [1, 1, 2], "x": [-5.0, np.nan, 1.0], "country": ["UK", None, "UK"]})

    validated = validate(frame, [_numeric(transform="log1p", min=0), COUNTRY], key="id")

    assert {position: set(reasons) for position, reasons in _reasons(validated).items()} == {
        0: {KEY_DUPLICATED, "x: log1p needs > -1", "x: below 0"},
        1: {KEY_DUPLICATED, "x: null", "country: null"},
    }
    assert validated.reason_counts == {
        KEY_DUPLICATED: 2, "x: log1p needs > -1": 1, "x: below 0": 1, "x: null": 1, "country: null": 1,
    }  # fmt: skip
    assert validated.rows["id"].tolist() == [2]


def test_rejected_rows_show_what_was_read() -> None:
    """A rejected row keeps the values it came with, not the typed ones."""
    frame = pd.DataFrame({"id": ["a", "b"], "x": ["12", "twelve"]})

    validated = validate(frame, [_numeric()], key="id")

    assert validated.rejected.to_dict("records") == [{"id": "b", "x": "twelve"}]


@pytest.mark.parametrize("keys", [["a", None, None], [1.0, np.nan, np.nan], pd.array([1, None, None], dtype="Int64")])
def test_a_null_key_is_null_and_not_duplicated(keys: Any) -> None:
    """Rows without a key are rejected for that alone, even if there are several."""
    validated = validate(pd.DataFrame({"id": keys, "x": [1.0, 2.0, 3.0]}), [_numeric()], key="id")

    assert _reasons(validated) == {1: (KEY_NULL,), 2: (KEY_NULL,)}


def test_all_rows_of_a_duplicated_key_are_rejected() -> None:
    """Nobody can say which of two rows is the customer, so neither is used."""
    frame = pd.DataFrame({"id": ["a", "b", "a", "c", "a"], "x": [1.0, 2.0, 3.0, 4.0, 5.0]})

    validated = validate(frame, [_numeric()], key="id")

    assert _reasons(validated) == dict.fromkeys((0, 2, 4), (KEY_DUPLICATED,))
    assert validated.rows["id"].tolist() == ["b", "c"]


@pytest.mark.parametrize("dtype", ["int64", "Int64"])
def test_huge_keys_survive_exactly(dtype: str) -> None:
    """Keys beyond 2**53, which doubles cannot tell apart, are neither changed nor called duplicates."""
    keys = [2**53, 2**53 + 1, 2**63 - 1, 2**63 - 2, -(2**63)]
    frame = pd.DataFrame({"id": pd.array(keys, dtype=dtype), "x": range(5)})

    validated = validate(frame, [_numeric()], key="id")

    assert validated.rows["id"].tolist() == keys


def test_huge_keys_survive_beside_a_null() -> None:
    """A null among the keys rejects its row and leaves the other keys exact."""
    frame = pd.DataFrame({"id": pd.array([2**53 + 1, None, 2**53], dtype="Int64"), "x": [1.0, 2.0, 3.0]})

    validated = validate(frame, [_numeric()], key="id")

    assert validated.rows["id"].tolist() == [2**53 + 1, 2**53]


def test_the_index_of_the_frame_does_not_matter() -> None:
    """Positions count, not labels, so an index with repeated labels rejects the right rows."""
    frame = pd.DataFrame({"id": [1, 2, 3], "x": [1.0, np.nan, 3.0]}, index=[7, 7, 7])

    validated = validate(frame, [_numeric()], key="id")

    assert _reasons(validated) == {1: ("x: null",)}
    assert validated.rows["id"].tolist() == [1, 3]


@pytest.mark.parametrize("dtype", ["int16", "int64", "float32", "bool", "Int64", "Float64", "boolean"])
def test_every_numeric_type_becomes_float64(dtype: str) -> None:
    """Numbers of any width, and booleans under a numeric feature, are read as double precision."""
    validated = _validated(pd.array([0, 1, 1], dtype=dtype), _numeric())

    assert validated.rows["x"].dtype == np.float64
    assert validated.rows["x"].tolist() == [0.0, 1.0, 1.0]


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "boolean"])
def test_nulls_of_nullable_types_are_nulls(dtype: str) -> None:
    """A null in a nullable column is filled later or rejects its row, as the feature says."""
    values = pd.array([0, None, 1], dtype=dtype)

    assert _reasons(_validated(values, _numeric())) == {1: ("x: null",)}
    assert _validated(values, _numeric(missing="median")).rows["x"].isna().tolist() == [False, True, False]


def test_numbers_that_arrive_as_text_are_read() -> None:
    """Text that is a number is a number, blanks around it aside."""
    validated = _validated(["1", " 2.5 ", "-3e2"], _numeric())

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
    validated = _validated(values, FeatureSpec(column="active", kind="boolean"))

    assert len(validated.rejected) == 0
    assert validated.rows["active"].tolist() == truth


def test_a_boolean_with_nulls_keeps_the_rest() -> None:
    """Rows that are neither true nor false are rejected and the others stay true and false."""
    validated = _validated([True, None, "perhaps", False], FeatureSpec(column="active", kind="boolean"))

    assert validated.rows["active"].tolist() == [True, False]
    assert _reasons(validated) == {1: ("active: null",), 2: ("active: 'perhaps' is not true or false",)}


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
    assert _validated(values, COUNTRY).rows["country"].tolist() == names


def test_missing_columns_are_named() -> None:
    """Columns the source does not have are named together with those it has."""
    frame = pd.DataFrame({"id": [1], "y": [1.0]})

    with pytest.raises(SourceError) as refused:
        validate(frame, [_numeric(), COUNTRY], key="customer_id")

    assert "no column customer_id, x, country; it has id, y" in str(refused.value)


@pytest.mark.parametrize(
    "dates",
    [pd.to_datetime(["2024-01-01", "2024-02-01"]), pd.to_datetime(["2024-01-01"] * 2, utc=True),
     [date(2024, 1, 1), date(2024, 2, 1)], [None, date(2024, 2, 1)]],
)  # fmt: skip
def test_a_date_is_no_number(dates: Any) -> None:
    """A date or a timestamp under a numeric feature is refused at once, with what to write in the query."""
    with pytest.raises(SourceError, match="x is a date, and a date is not a number"):
        _validated(dates, _numeric())


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

    assert _reasons(validated) == {1: ("x: null",), 2: ("x: after as_of",)}
    assert validated.rows["x"].tolist() == [1.0, 91.0]
    assert validated.rejected["x"].tolist()[1] == frame["x"][2]


def test_the_reasons_of_a_date() -> None:
    """A text that is no date is told as such, bounds are in days, and a null passes where it is filled."""
    frame = pd.DataFrame({"id": range(4), "x": ["soon", "2024-03-31", None, "2000-01-01"]})
    feature = FeatureSpec(column="x", kind="date", missing="indicator", max=3650)

    validated = validate(frame, [feature], key="id", as_of=datetime(2024, 4, 1, tzinfo=UTC))

    assert _reasons(validated) == {0: ("x: 'soon' is not a date",), 3: ("x: above 3650",)}
    assert validated.rows["x"].isna().tolist() == [False, True]


@pytest.mark.parametrize("missing", ["median", "mean", "indicator"])
def test_blanks_are_nulls_where_nulls_are_filled(missing: str) -> None:
    """A blank among numbers that came as text is filled like a null; any other text still rejects its row."""
    validated = _validated(["1.5", " ", "", None, "x"], _numeric(missing=missing))

    assert _reasons(validated) == {4: ("x: 'x' is not a number",)}
    assert validated.rows["x"].isna().tolist() == [False, True, True, True]


def test_yeo_johnson_and_auto_take_every_number() -> None:
    """Neither transform has a floor, so negative numbers pass."""
    for function in ("yeo-johnson", "auto"):
        assert len(_validated([-5.0, -1.0, 3.0], _numeric(transform=function)).rows) == 3


def test_no_rows_are_no_rows() -> None:
    """An empty frame gives no rows and no rejections."""
    validated = validate(pd.DataFrame({"id": [], "x": []}), [_numeric()], key="id")

    assert (len(validated.rows), len(validated.rejected)) == (0, 0)


def test_the_input_is_not_changed() -> None:
    """Validation gives new frames and leaves the one it was given as it was."""
    frame = pd.DataFrame({"id": [1, 2], "x": ["1", "a"], "country": [1, 2]})
    before = frame.copy(deep=True)

    validate(frame, [_numeric(), COUNTRY], key="id")

    pd.testing.assert_frame_equal(frame, before)


CELLS = st.one_of(
    st.none(), st.floats(), st.integers(-(2**63), 2**63 - 1), st.text(max_size=5), st.sampled_from(["1", "-2.5", "inf"])
)
ROWS = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(0, 5), st.text(alphabet="ab🍣", max_size=2)),
        CELLS,
        st.one_of(st.none(), st.sampled_from(["UK", "DE", "🍣"])),
        st.sampled_from([True, False, None, "yes", "what"]),
    ),
    min_size=1,
    max_size=15,
)


@given(
    rows=ROWS,
    transform=st.sampled_from(["none", "log1p", "sqrt"]),
    missing=st.sampled_from(["reject", "median"]),
    bounds=st.sampled_from([{}, {"min": 0}, {"max": 100}, {"min": -1, "max": 1}]),
)
@settings(deadline=None, max_examples=50)
def test_every_row_is_used_or_rejected_exactly_once(
    rows: list[tuple[Any, ...]], transform: Any, missing: Any, bounds: dict[str, float]
) -> None:
    """Whatever the rows hold, none is lost and none is in both; used rows satisfy the features; reasons are distinct."""
    frame = pd.DataFrame(rows, columns=["id", "x", "country", "active"], dtype="object")
    frame["position"] = range(len(frame))
    features = [
        _numeric(transform=transform, missing=missing, **bounds),
        COUNTRY,
        FeatureSpec(column="active", kind="boolean"),
    ]

    validated = validate(frame, features, key="id")

    used, rejected = validated.rows["position"].tolist(), validated.rejected["position"].tolist()
    assert sorted(used + rejected) == list(range(len(frame)))
    assert len(validated.reasons) == len(rejected)
    assert all(len(each) == len(set(each)) > 0 for each in validated.reasons)
    numbers = validated.rows["x"].to_numpy(dtype=np.float64)
    present = numbers[~np.isnan(numbers)]
    assert np.isfinite(present).all()
    assert missing == "median" or len(present) == len(numbers)
    assert (present >= bounds.get("min", -np.inf)).all()
    assert (present <= bounds.get("max", np.inf)).all()
    assert (present > {"none": -np.inf, "log1p": -1, "sqrt": -1e-300}[transform]).all()
    assert set(validated.rows["country"]) <= {"UK", "DE", "🍣"}
    assert set(validated.rows["active"]) <= {True, False}
    keys = validated.rows["id"].tolist()
    assert len(keys) == len(set(keys))
    assert None not in keys
