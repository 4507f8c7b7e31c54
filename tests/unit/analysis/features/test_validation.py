"""Which rows can be used, and every reason why the others cannot."""

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


def _make_numeric(**changes: Any) -> FeatureSpec:
    return FeatureSpec(**{"column": "x", "kind": "numeric", **changes})


def _validate(values: Any, feature: FeatureSpec, **columns: Any) -> SplitRows:
    """Validate one column of values beside a good key."""
    frame = pd.DataFrame({"id": range(len(values)), feature.column: values} | columns)
    return validate(frame, [feature], key="id")


def _list_reasons(validated: SplitRows) -> dict[int, tuple[str, ...]]:
    """The reasons by position in the input."""
    return dict(zip(validated.rejected.index.tolist(), validated.reasons, strict=True))


def test_good_rows_pass_unharmed() -> None:
    """Rows without a fault are all kept, in order, with every column, also those that are not features."""
    frame = pd.DataFrame({"id": [3, 1, 2], "x": [1, 2, 3], "country": ["UK", "🍣", "東京"], "note": ["a", None, "c"]})

    validated = validate(frame, [_make_numeric(), COUNTRY], key="id")

    assert validated.rows["id"].tolist() == [3, 1, 2]
    assert validated.rows["x"].dtype == np.float64
    assert validated.rows["country"].tolist() == ["UK", "🍣", "東京"]
    assert list(validated.rows.columns) == ["id", "x", "country", "note"]
    assert (len(validated.rejected), validated.reasons, validated.reason_counts) == (0, (), {})


@pytest.mark.parametrize(
    ("feature", "values", "reasons"),
    [
        (_make_numeric(), [1.0, np.nan, 2.0], {1: ("x: null",)}),
        (_make_numeric(), [1.0, np.inf, -np.inf], {1: ("x: infinite",), 2: ("x: infinite",)}),
        (_make_numeric(missing="median"), [np.inf, 1.0, np.nan], {0: ("x: infinite",)}),
        (_make_numeric(), ["1", "abc", "2.5"], {1: ("x: 'abc' is not a number",)}),
        (_make_numeric(), ["1", "1,5", "🍣"], {1: ("x: '1,5' is not a number",), 2: ("x: '🍣' is not a number",)}),
        (_make_numeric(), ["1", "nan", ""], {1: ("x: 'nan' is not a number",), 2: ("x: '' is not a number",)}),
        (_make_numeric(), ["1", None, "x"], {1: ("x: null",), 2: ("x: 'x' is not a number",)}),
        (_make_numeric(missing="median"), ["1", None, "x"], {2: ("x: 'x' is not a number",)}),
        (_make_numeric(), ["1", "y" * 60, "2"], {1: (f"x: '{'y' * 40}' is not a number",)}),
        (_make_numeric(min=0), [-0.5, 0.0, 5.0], {0: ("x: below 0",)}),
        (_make_numeric(max=10), [10.0, 10.5, 5.0], {1: ("x: above 10",)}),
        (_make_numeric(min=5), ["abc", "6", "7"], {0: ("x: 'abc' is not a number",)}),
        (_make_numeric(max=5), ["abc", "600", "1"], {0: ("x: 'abc' is not a number",), 1: ("x: above 5",)}),
        (_make_numeric(transform="log1p"), [-1.0, -0.5, 3.0], {0: ("x: log1p needs > -1",)}),
        (_make_numeric(transform="sqrt"), [-0.5, 0.0, 3.0], {0: ("x: sqrt needs >= 0",)}),
        (_make_numeric(transform="log1p"), [np.nan, -2.0, 3.0], {0: ("x: null",), 1: ("x: log1p needs > -1",)}),
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
    validated = _validate(values, feature)

    assert _list_reasons(validated) == reasons
    assert len(validated.rows) == len(values) - len(reasons)


def test_a_row_collects_all_its_reasons() -> None:
    """A row with several faults is rejected once, with every reason, and is counted under each of them."""
    frame = pd.DataFrame({"id": [1, 1, 2], "x": [-5.0, np.nan, 1.0], "country": ["UK", None, "UK"]})

    validated = validate(frame, [_make_numeric(transform="log1p", min=0), COUNTRY], key="id")

    assert {position: set(reasons) for position, reasons in _list_reasons(validated).items()} == {
        0: {KEY_DUPLICATED, "x: log1p needs > -1", "x: below 0"},
        1: {KEY_DUPLICATED, "x: null", "country: null"},
    }
    assert validated.reason_counts == {
        KEY_DUPLICATED: 2, "x: log1p needs > -1": 1, "x: below 0": 1, "x: null": 1, "country: null": 1,
    }  # fmt: skip
    assert validated.rows["id"].tolist() == [2]


def test_rejected_rows_show_what_was_read() -> None:
    """A rejected row keeps the values it came with, not those that were read."""
    frame = pd.DataFrame({"id": ["a", "b"], "x": ["12", "twelve"]})

    validated = validate(frame, [_make_numeric()], key="id")

    assert validated.rejected.to_dict("records") == [{"id": "b", "x": "twelve"}]


@pytest.mark.parametrize("keys", [["a", None, None], [1.0, np.nan, np.nan], pd.array([1, None, None], dtype="Int64")])
def test_a_null_key_is_null_and_not_duplicated(keys: Any) -> None:
    """Rows without a key are rejected for that alone, even if there are several."""
    validated = validate(pd.DataFrame({"id": keys, "x": [1.0, 2.0, 3.0]}), [_make_numeric()], key="id")

    assert _list_reasons(validated) == {1: (KEY_NULL,), 2: (KEY_NULL,)}


def test_all_rows_of_a_duplicated_key_are_rejected() -> None:
    """It is unknown which of two rows is the customer, so neither is used."""
    frame = pd.DataFrame({"id": ["a", "b", "a", "c", "a"], "x": [1.0, 2.0, 3.0, 4.0, 5.0]})

    validated = validate(frame, [_make_numeric()], key="id")

    assert _list_reasons(validated) == dict.fromkeys((0, 2, 4), (KEY_DUPLICATED,))
    assert validated.rows["id"].tolist() == ["b", "c"]


@pytest.mark.parametrize("dtype", ["int64", "Int64"])
def test_huge_keys_survive_exactly(dtype: str) -> None:
    """Keys beyond 2**53, which doubles cannot tell apart, are neither changed nor called duplicates."""
    keys = [2**53, 2**53 + 1, 2**63 - 1, 2**63 - 2, -(2**63)]
    frame = pd.DataFrame({"id": pd.array(keys, dtype=dtype), "x": range(5)})

    validated = validate(frame, [_make_numeric()], key="id")

    assert validated.rows["id"].tolist() == keys


def test_huge_keys_survive_beside_a_null() -> None:
    """A null among the keys rejects its row and leaves the other keys exact."""
    frame = pd.DataFrame({"id": pd.array([2**53 + 1, None, 2**53], dtype="Int64"), "x": [1.0, 2.0, 3.0]})

    validated = validate(frame, [_make_numeric()], key="id")

    assert validated.rows["id"].tolist() == [2**53 + 1, 2**53]


def test_the_index_of_the_frame_does_not_matter() -> None:
    """Positions count, not labels, so an index with repeated labels rejects the right rows."""
    frame = pd.DataFrame({"id": [1, 2, 3], "x": [1.0, np.nan, 3.0]}, index=[7, 7, 7])

    validated = validate(frame, [_make_numeric()], key="id")

    assert _list_reasons(validated) == {1: ("x: null",)}
    assert validated.rows["id"].tolist() == [1, 3]


def test_missing_columns_are_named() -> None:
    """Columns the source does not have are named together with those it has."""
    frame = pd.DataFrame({"id": [1], "y": [1.0]})

    with pytest.raises(SourceError) as refused:
        validate(frame, [_make_numeric(), COUNTRY], key="customer_id")

    assert "no column customer_id, x, country; it has id, y" in str(refused.value)


def test_no_rows_are_no_rows() -> None:
    """An empty frame has no usable rows and no rejected ones."""
    validated = validate(pd.DataFrame({"id": [], "x": []}), [_make_numeric()], key="id")

    assert (len(validated.rows), len(validated.rejected)) == (0, 0)


def test_the_input_is_not_changed() -> None:
    """Validation returns new frames and does not change its input."""
    frame = pd.DataFrame({"id": [1, 2], "x": ["1", "a"], "country": [1, 2]})
    before = frame.copy(deep=True)

    validate(frame, [_make_numeric(), COUNTRY], key="id")

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
        _make_numeric(transform=transform, missing=missing, **bounds),
        COUNTRY,
        FeatureSpec(column="active", kind="boolean"),
    ]

    validated = validate(frame, features, key="id")

    used, rejected = validated.rows["position"].tolist(), validated.rejected["position"].tolist()
    assert sorted(used + rejected) == list(range(len(frame)))
    assert len(validated.reasons) == len(rejected)
    assert all(len(reasons) == len(set(reasons)) > 0 for reasons in validated.reasons)
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
