"""Which columns of an unknown table are features, which are outcomes, which are neither, and why."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pandas as pd
from pandas.api import types

from segmentation_pipeline.analysis.features.dates import count_days_before, is_date
from segmentation_pipeline.analysis.features.inference import MAX_CATEGORIES, infer_feature
from segmentation_pipeline.analysis.features.numeric import compute_skewness
from segmentation_pipeline.errors import UnusableDataError
from segmentation_pipeline.spec import FeatureSpec

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

MOSTLY_NULL: Final = 0.5
# of a text's values, from which on it is read as numbers, and its values as different for nearly every customer
NEARLY_ALL: Final = 0.95
# beyond it, two columns are one that would count twice
SAME: Final = 0.98
FEW: Final = 12
_WORDS_OF_FREE_TEXT: Final = 4

_OUTCOME: Final = re.compile(
    r"^(is|has|was)?_?(churn(ed)?|convert(ed)?|conversion|cancell?ed|cancell?ation|defaulted|unsubscribed|attrition|"
    r"attrited|exited|outcome|target|label|respon(se|ded)|renewed|retained|fraud|lapsed)(_?(flag|label|date|at|value|"
    r"reason|score))?$"
)
_ID: Final = re.compile(r"(^|_)(id|ids|uuid|guid|key|number|no|nr|ref|reference|hash|token)$")
_PERSON: Final = re.compile(
    r"(^|_)(name|firstname|lastname|surname|email|e_mail|mail|phone|mobile|address|street|iban|ssn|ip|login|username)$"
)
_PLACE: Final = re.compile(r"(^|_)(zip|zipcode|zip_code|postcode|postal_code|postal|latitude|longitude|lat|lon|lng)$")
_CODE: Final = re.compile(
    r"(^|_)(code|type|category|class|group|channel|region|status|segment|plan|tier|store|branch|country|state|department)$"
)
_ROW: Final = re.compile(
    r"^(row_?|etl_?|dwh_?|record_?|last_)?(updated|modified|changed|inserted|loaded|imported|synced|extracted)(_?(at|on|date|time|ts))?$"
)
_NO_VALUE_OF_ITS_OWN: Final = frozenset(
    {"json", "jsonb", "bytea", "xml", "tsvector", "point", "polygon", "geometry", "geography"}
)


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """What a column is taken for and why; `feature` is None for one that is left out or an outcome."""

    column: str
    role: Literal["feature", "outcome", "left out"]
    why: str
    feature: FeatureSpec | None = None


def plan_columns(
    frame: pd.DataFrame,
    *,
    key: str,
    as_of: datetime,
    column_types: Mapping[str, str] | None = None,
    n_distinct: Mapping[str, int] | None = None,
) -> tuple[ColumnPlan, ...]:
    """Decide on every column of `frame`, shape (n, c), but the key, in the order of the columns.

    `column_types` are the PostgreSQL types of the columns; `n_distinct` the different values that the whole table is
    estimated to have where `frame` is a sample of it.

    Raises:
        UnusableDataError: no column is a feature.
    """
    plans = []
    for column in frame.columns:
        if column != key:
            kind = (column_types or {}).get(column, "")
            plans.append(_plan(frame[column], kind, as_of, (n_distinct or {}).get(column, 0)))
    plans = _without_twins(frame, plans)
    if not any(plan.role == "feature" for plan in plans):
        reasons = "; ".join(f"{plan.column}: {plan.why}" for plan in plans) or "there is only the key"
        message = f"no column can be a feature ({reasons}). Describe the customers in a view or a query first."
        raise UnusableDataError(message)
    return tuple(plans)


def _plan(values: pd.Series, kind: str, as_of: datetime, n_distinct: int) -> ColumnPlan:
    column = str(values.name)
    present = values.dropna()
    n_values = max(int(present.nunique()), n_distinct)
    reason = _find_reason_to_leave_out(present, values, kind, n_values)
    if reason is not None:
        return ColumnPlan(column, "left out", reason)
    if _OUTCOME.match(_snake(column)):
        return ColumnPlan(column, "outcome", "likely what the business wants, not what a customer is")
    if 1 - len(present) / len(values) > MOSTLY_NULL:
        return ColumnPlan(column, "left out", f"mostly null ({1 - len(present) / len(values):.0%})")
    feature = _feature(values, present, as_of, n_values)
    if isinstance(feature, str):
        return ColumnPlan(column, "left out", feature)
    return ColumnPlan(column, "feature", _why(feature, values, as_of, n_values), feature)


def _find_reason_to_leave_out(present: pd.Series, values: pd.Series, kind: str, n_values: int) -> str | None:  # noqa: PLR0911  a reason each
    """Why a column says nothing about a customer, by its name, type and number of values."""
    name = _snake(str(values.name))
    if name == "segment_id":
        return "what this project writes"
    if kind in _NO_VALUE_OF_ITS_OWN or kind.startswith("_"):
        return f"of type {kind.removeprefix('_') + '[]' if kind.startswith('_') else kind}, neither number nor category"
    if present.empty:
        return "all values are null"
    if n_values == 1:
        return "constant"
    if kind == "uuid" or (_ID.search(name) and (n_values > FEW or types.is_integer_dtype(present.dtype))):
        return f"an id ({n_values:,} values)"
    if _PERSON.search(name):
        return "says who a customer is, not how"
    if _PLACE.search(name) and n_values > MAX_CATEGORIES:
        return f"a place with {n_values:,} values; a region of few values would do"
    if types.is_integer_dtype(present.dtype) and len(present) > FEW and n_values >= len(present) == _span(present):
        return "an id: the integers in a row, each once"
    if is_date(present) and _ROW.match(name):
        return "when the row was written, not what the customer did"
    return None


def _feature(values: pd.Series, present: pd.Series, as_of: datetime, n_values: int) -> FeatureSpec | str:
    column, has_nulls = str(values.name), len(present) < len(values)
    truth = types.is_bool_dtype(present.dtype) or (
        types.is_integer_dtype(present.dtype) and set(present.unique()) <= {0, 1}
    )
    if truth:
        return (
            FeatureSpec(column=column, kind="categorical", missing="category")
            if has_nulls
            else FeatureSpec(column=column, kind="boolean")
        )
    if types.is_integer_dtype(present.dtype) and n_values <= FEW and _CODE.search(_snake(column)):
        return FeatureSpec(column=column, kind="categorical", missing="category" if has_nulls else "reject")
    if types.is_numeric_dtype(present.dtype) or is_date(present):
        return infer_feature(values, as_of)
    return _text(present, has_nulls=has_nulls, n_values=n_values, as_of=as_of)


def _text(present: pd.Series, *, has_nulls: bool, n_values: int, as_of: datetime) -> FeatureSpec | str:
    """A category of few values, numbers or dates written as text, or the kind of text it is."""
    words = present.astype("string").str.strip()
    filled = words[words != ""]
    numbers = pd.to_numeric(filled, errors="coerce").astype(np.float64)
    if n_values > FEW and len(filled) and numbers.notna().mean() >= NEARLY_ALL:
        found = infer_feature(numbers.dropna().rename(str(present.name)), as_of)
        fills = has_nulls or len(filled) < len(words)
        return found.model_copy(update={"missing": "median"}) if isinstance(found, FeatureSpec) and fills else found
    if n_values <= MAX_CATEGORIES:
        return FeatureSpec(
            column=str(present.name),
            kind="categorical",
            max_categories=max(20, min(n_values, MAX_CATEGORIES)),
            missing="category" if has_nulls else "reject",
        )
    if count_days_before(filled, as_of).notna().mean() >= NEARLY_ALL:
        return "dates written as text; with `kind: date` they become the days before as_of"
    if (filled.str.count(r"\s+") + 1).mean() >= _WORDS_OF_FREE_TEXT:
        return f"free text ({n_values:,} different ones)"
    if present.nunique() >= NEARLY_ALL * len(present):
        return "unique text: nearly every customer has another one"
    return f"{n_values:,} different texts, more than {MAX_CATEGORIES}"


def _why(feature: FeatureSpec, values: pd.Series, as_of: datetime, n_values: int) -> str:
    """What was seen and what is done about it."""
    nulls = float(values.isna().mean())
    said = []
    if feature.kind == "categorical":
        said.append(f"{n_values} values, {feature.encode}")
    elif feature.kind == "boolean":
        said.append("yes or no")
    else:
        numbers = count_days_before(values, as_of) if feature.kind == "date" else pd.to_numeric(values, errors="coerce")
        skew = compute_skewness(numbers.dropna().to_numpy(dtype=np.float64))
        said += ["the days before as_of"] if feature.kind == "date" else []
        said.append(f"skewed ({skew:.1f}): {feature.transform}" if feature.transform != "none" else "not skewed")
        if types.is_integer_dtype(values.dtype) and n_values <= FEW:
            said.append(f"{n_values} values; if they are codes, kind: categorical")
        if types.is_string_dtype(values.dtype) or types.is_object_dtype(values.dtype):
            said += ["numbers written as text"] if feature.kind == "numeric" else []
    if feature.missing != "reject":
        fill = {"category": "a category of their own", "indicator": "the median and a column that says so"}
        said.append(
            f"{nulls:.1%} null: {fill.get(feature.missing, 'the ' + feature.missing)}"
            if nulls
            else f"blanks: the {feature.missing}"
        )
    return ", ".join(said)


def _without_twins(frame: pd.DataFrame, plans: list[ColumnPlan]) -> list[ColumnPlan]:
    """Leave out a number that ranks the customers as an earlier one does: it would count twice."""
    kept: list[str] = []
    found = []
    for plan in plans:
        if plan.feature is None or plan.feature.kind != "numeric":
            found.append(plan)
            continue
        ranks = _ranks(frame[plan.column])
        twins = [each for each in kept if abs(ranks.corr(_ranks(frame[each]))) >= SAME]
        if twins:
            found.append(
                ColumnPlan(plan.column, "left out", f"ranks the customers as {twins[0]} does, and would count twice")
            )
            continue
        kept.append(plan.column)
        found.append(plan)
    return found


def _ranks(values: pd.Series) -> pd.Series:
    ranked: pd.Series = pd.to_numeric(values, errors="coerce").astype(np.float64).rank()
    return ranked


def _span(present: pd.Series) -> int:
    return int(present.max()) - int(present.min()) + 1


def _snake(name: str) -> str:
    """`CustomerID` and `Customer ID` as customer_id."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())
    return re.sub(r"[^a-z0-9]+", "_", parted.lower()).strip("_")
