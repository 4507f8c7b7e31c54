"""What an unknown table's columns are taken for, and why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from segmentation_pipeline.analysis.features.encoding import fit_encoding
from segmentation_pipeline.analysis.features.validation import validate
from segmentation_pipeline.drafting.columns import plan_columns
from segmentation_pipeline.errors import UnusableDataError
from segmentation_pipeline.spec import FeatureSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segmentation_pipeline.drafting.columns import ColumnPlan

N = 400
AS_OF = datetime(2026, 11, 1, tzinfo=UTC)
RNG = np.random.default_rng(1)
SPEND = RNG.lognormal(3, 1.2, N)


def _plan(columns: dict[str, Any], **known: Any) -> dict[str, ColumnPlan]:
    frame = pd.DataFrame({"customer_id": range(N), "spend": SPEND} | columns)
    return {plan.column: plan for plan in plan_columns(frame, key="customer_id", as_of=AS_OF, **known)}


def _cycle(values: Sequence[Any]) -> list[Any]:
    return [values[i % len(values)] for i in range(N)]


@pytest.mark.parametrize(
    ("column", "values", "feature", "why"),
    [
        ("orders", RNG.lognormal(1, 1, N), FeatureSpec(column="orders", kind="numeric", transform="log1p", outliers="winsorize"), "skewed ("),
        ("age", RNG.uniform(18, 80, N), FeatureSpec(column="age", kind="numeric", outliers="winsorize"), "not skewed"),
        ("visits", _cycle([1, 2, 3, 4, 5]), FeatureSpec(column="visits", kind="numeric", outliers="winsorize"), "5 values; if they are codes, kind: categorical"),
        ("Region", _cycle([1, 2, 3]), FeatureSpec(column="Region", kind="categorical"), "3 values, one_hot"),
        ("country", _cycle([f"c{i}" for i in range(29)]), FeatureSpec(column="country", kind="categorical", max_categories=29), "29 values, one_hot"),
        ("is_member", _cycle([0, 1]), FeatureSpec(column="is_member", kind="boolean"), "yes or no"),
        ("opted_in", _cycle([True, False]), FeatureSpec(column="opted_in", kind="boolean"), "yes or no"),
        ("TotalCharges", [" ", *map(str, SPEND[1:] + RNG.uniform(0, 90, N - 1))], FeatureSpec(column="TotalCharges", kind="numeric", transform="log1p", missing="median", outliers="winsorize"), "numbers written as text, blanks: the median"),
        ("joined", [AS_OF - timedelta(days=int(d)) for d in RNG.integers(1, 900, N)], FeatureSpec(column="joined", kind="date", outliers="winsorize"), "the days before as_of"),
        ("plan", [None, *_cycle(["a", "b"])[1:]], FeatureSpec(column="plan", kind="categorical", missing="category"), "2 values, one_hot, 0.2% null: a category of their own"),
    ],
)  # fmt: skip
def test_a_usable_column_becomes_a_feature(column: str, values: Any, feature: FeatureSpec, why: str) -> None:
    """Each kind of column becomes the feature that suits it, with the reason; it can be validated and encoded."""
    plan = _plan({column: values})[column]

    assert plan.feature == feature
    assert why in plan.why
    frame = pd.DataFrame({"customer_id": range(N), column: values})
    rows = validate(frame, [feature], key="customer_id", as_of=AS_OF).rows
    assert len(rows) >= N - 1
    assert fit_encoding(rows, [feature]).columns


@pytest.mark.parametrize(
    ("column", "values", "known", "why"),
    [
        ("AccountID", range(7000, 7000 + N), {}, f"an id ({N} values)"),
        ("row", RNG.permutation(N), {}, "an id: the integers in a row, each once"),
        ("token", [f"{i:x}" for i in range(N)], {"column_types": {"token": "uuid"}}, f"an id ({N} values)"),
        ("nickname", [f"user{i}" for i in range(N)], {}, "unique text: nearly every customer has another one"),
        ("city", _cycle([f"c{i}" for i in range(90)]), {}, "90 different texts, more than 50"),
        ("note", [f"called {i % 90} times about the order" for i in range(N)], {}, "free text (90 different ones)"),
        ("E-Mail", [f"a{i}@b.c" for i in range(N)], {}, "says who a customer is, not how"),
        ("zip_code", _cycle(range(10_000, 10_120)), {}, "a place with 120 values; a region of few values would do"),
        ("currency", ["EUR"] * N, {}, "constant"),
        ("rare", [1.5, *[None] * (N - 2), 2.5], {}, "mostly null (100%)"),
        ("empty", [None] * N, {}, "all values are null"),
        ("tags", _cycle(["{a}", "{b}"]), {"column_types": {"tags": "_text"}}, "of type text[], neither number nor category"),
        ("last_updated", [AS_OF - timedelta(days=i % 9) for i in range(N)], {}, "when the row was written, not what the customer did"),
        ("last_order", [AS_OF + timedelta(days=5 - i % 9) for i in range(N)], {}, "dates are after as_of, 2026-11-01"),
        ("birthday", [f"19{50 + i % 49}-01-{1 + i % 28:02}" for i in range(N)], {}, "dates written as text; with `kind: date` they become the days before as_of"),
        ("segment_id", _cycle([1, 2, 3]), {}, "what this project writes"),
        ("cents", SPEND * 100, {}, "ranks the customers as spend does, and would count twice"),
        ("flag", [1.0, *[0.0] * (N - 1)], {}, "nearly constant"),
    ],
)  # fmt: skip
def test_a_column_that_says_nothing_is_left_out(column: str, values: Any, known: dict[str, Any], why: str) -> None:
    """Ids, unique text, constants, nulls and the like are left out with the reason."""
    plan = _plan({column: list(values)}, **known)[column]

    assert (plan.role, plan.feature) == ("left out", None)
    assert why in plan.why


@pytest.mark.parametrize(
    "column", ["Churn", "converted", "is_cancelled", "ConversionValue", "churned_at", "has_responded"]
)
def test_what_the_business_wants_is_an_outcome(column: str) -> None:
    """A column with the name of an outcome is never clustered on."""
    assert _plan({column: _cycle(["Yes", "No"])})[column].role == "outcome"


def test_the_server_s_estimate_counts_where_the_rows_are_a_sample() -> None:
    """A column with more values in the whole table than in the sample is judged by the whole table."""
    columns = {"city": _cycle([f"c{i}" for i in range(40)])}

    assert _plan(columns)["city"].role == "feature"
    assert _plan(columns, n_distinct={"city": 4000})["city"].why.startswith("4,000 different texts")


def test_a_table_without_a_feature_is_refused_with_every_reason() -> None:
    """Where no column is left, the message has the reason for each of them."""
    frame = pd.DataFrame({"id": range(N), "country": "DE", "email": [f"a{i}@b.c" for i in range(N)]})
    with pytest.raises(UnusableDataError, match="country: constant; email: says who a customer is, not how"):
        plan_columns(frame, key="id", as_of=AS_OF)
