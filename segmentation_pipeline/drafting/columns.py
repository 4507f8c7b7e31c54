"""Which columns of an unknown table are features, which are outcomes, which are neither, and why."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pandas as pd
from pandas.api import types

from segmentation_pipeline.analysis.features.dates import is_date
from segmentation_pipeline.analysis.features.inference import infer_feature
from segmentation_pipeline.analysis.features.kinds import KINDS, kind_of
from segmentation_pipeline.analysis.features.kinds.categorical import MAX_CATEGORIES
from segmentation_pipeline.analysis.features.kinds.column import FEW, UnknownColumn
from segmentation_pipeline.errors import UnusableDataError
from segmentation_pipeline.spec import is_amount

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from segmentation_pipeline.spec import FeatureSpec

MOSTLY_NULL: Final = 0.5
# with a rank correlation beyond it, two columns are one that would count twice
SAME: Final = 0.98

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
_ROW: Final = re.compile(
    r"^(row_?|etl_?|dwh_?|record_?|last_)?(updated|modified|changed|inserted|loaded|imported|synced|extracted)(_?(at|on|date|time|ts))?$"
)
_NO_VALUE_OF_ITS_OWN: Final = frozenset(
    {"json", "jsonb", "bytea", "xml", "tsvector", "point", "polygon", "geometry", "geography"}
)


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """What a column is taken for, and why; `feature` is None for an outcome and for a column that is left out."""

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

    `column_types` are the PostgreSQL types of the columns; `n_distinct` the estimated numbers of different values in
    the whole table, where `frame` is a sample of it.

    Raises:
        UnusableDataError: no column is a feature.
    """
    plans = []
    for name in frame.columns:
        if name != key:
            column = UnknownColumn.of(frame[name], as_of, n_distinct=(n_distinct or {}).get(name, 0))
            plans.append(_plan(column, (column_types or {}).get(name, "")))
    plans = _leave_out_twins(frame, plans)
    if not any(plan.role == "feature" for plan in plans):
        reasons = "; ".join(f"{plan.column}: {plan.why}" for plan in plans) or "there is only the key"
        message = f"no column can be a feature ({reasons}). Describe the customers in a view or a query first."
        raise UnusableDataError(message)
    return tuple(plans)


def _plan(column: UnknownColumn, column_type: str) -> ColumnPlan:
    reason = _find_reason_to_leave_out(column, column_type)
    if reason is not None:
        return ColumnPlan(column.name, "left out", reason)
    if _OUTCOME.match(column.snake_name):
        return ColumnPlan(column.name, "outcome", "likely what the business wants, not what a customer is")
    share_of_nulls = 1 - len(column.present) / len(column.series)
    if share_of_nulls > MOSTLY_NULL:
        return ColumnPlan(column.name, "left out", f"mostly null ({share_of_nulls:.0%})")
    feature = _choose_feature(column)
    if isinstance(feature, str):
        return ColumnPlan(column.name, "left out", feature)
    return ColumnPlan(column.name, "feature", _explain(feature, column), feature)


def _find_reason_to_leave_out(column: UnknownColumn, column_type: str) -> str | None:  # noqa: PLR0911  one for each reason
    """Say why a column says nothing about a customer, by its name, type and number of values."""
    name, present, n_values = column.snake_name, column.present, column.n_values
    is_integer = types.is_integer_dtype(present.dtype)
    if name == "segment_id":
        return "what this project writes"
    if column_type in _NO_VALUE_OF_ITS_OWN or column_type.startswith("_"):
        words = f"{column_type.removeprefix('_')}[]" if column_type.startswith("_") else column_type
        return f"of type {words}, neither number nor category"
    if present.empty:
        return "all values are null"
    if n_values == 1:
        return "constant"
    if column_type == "uuid" or (_ID.search(name) and (n_values > FEW or is_integer)):
        return f"an id ({n_values:,} values)"
    if _PERSON.search(name):
        return "says who a customer is, not how"
    if _PLACE.search(name) and n_values > MAX_CATEGORIES:
        return f"a place with {n_values:,} values; a region of few values would do"
    if is_integer and len(present) > FEW and n_values >= len(present) == _span(present):
        return "an id: the integers in a row, each once"
    if is_date(present) and _ROW.match(name):
        return "when the row was written, not what the customer did"
    return None


def _choose_feature(column: UnknownColumn) -> FeatureSpec | str:
    """Return the feature that a column makes, or the reason why it makes none."""
    for kind in KINDS:
        feature = kind.draft(column)
        if feature is not None:
            return feature
    return infer_feature(column.series, column.as_of)


def _explain(feature: FeatureSpec, column: UnknownColumn) -> str:
    """Say what was seen and what is done about it."""
    phrases = kind_of(feature).explain(feature, column)
    if feature.missing != "reject":
        share_of_nulls = float(column.series.isna().mean())
        fills = {"category": "a category of their own", "indicator": "the median and a column that says so"}
        phrases.append(
            f"{share_of_nulls:.1%} null: {fills.get(feature.missing, 'the ' + feature.missing)}"
            if share_of_nulls
            else f"blanks: the {feature.missing}"
        )
    return ", ".join(phrases)


def _leave_out_twins(frame: pd.DataFrame, plans: list[ColumnPlan]) -> list[ColumnPlan]:
    """Leave out an amount that ranks the customers as an earlier one does: it would count twice."""
    kept: list[str] = []
    decided = []
    for plan in plans:
        if plan.feature is None or not is_amount(plan.feature.kind):
            decided.append(plan)
            continue
        ranks = _rank(frame[plan.column])
        twins = [column for column in kept if abs(ranks.corr(_rank(frame[column]))) >= SAME]
        if twins:
            reason = f"ranks the customers as {twins[0]} does, and would count twice"
            decided.append(ColumnPlan(plan.column, "left out", reason))
            continue
        kept.append(plan.column)
        decided.append(plan)
    return decided


def _rank(values: pd.Series) -> pd.Series:
    ranked: pd.Series = pd.to_numeric(values, errors="coerce").astype(np.float64).rank()
    return ranked


def _span(present: pd.Series) -> int:
    return int(present.max()) - int(present.min()) + 1
