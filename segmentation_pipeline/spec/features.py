"""What a `defs.yaml` may say about a feature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, Literal, Self, get_args

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from segmentation_pipeline.spec.base import Share, Spec

ColumnKind = Literal["numeric", "categorical", "boolean", "date"]

_NUMBER_FIELDS: Final = ("transform", "scale", "min", "max", "fill", "outliers", "winsorize", "fence")
_CATEGORY_FIELDS: Final = ("max_categories", "allowed", "encode", "order")
_NUMBER_MISSING: Final = ("reject", "median", "mean", "constant", "indicator")


@dataclass(frozen=True, slots=True)
class KindOptions:
    """What a `defs.yaml` may say about the features of one kind, and what their validated values are.

    `fields` are those that mean something for some kinds alone; `missing` are the values of `missing`, where `encode`
    does not say otherwise. Validated values are of Arrow's type `stored_as`. `is_amount`: they are amounts, so that
    quantiles may cut them, and two that rank the customers alike count twice; a date is a number, and not an amount.
    """

    fields: tuple[str, ...]
    missing: tuple[str, ...]
    stored_as: Literal["float64", "bool", "string"]
    is_amount: bool = False


# one line for each kind; analysis/features/kinds has its record
KIND_OPTIONS: Final[dict[str, KindOptions]] = {
    "numeric": KindOptions(_NUMBER_FIELDS, _NUMBER_MISSING, "float64", is_amount=True),
    "categorical": KindOptions(_CATEGORY_FIELDS, ("reject", "category"), "string"),
    "boolean": KindOptions((), ("reject",), "bool"),
    "date": KindOptions(_NUMBER_FIELDS, _NUMBER_MISSING, "float64"),
}


def is_number(kind: str) -> bool:
    """Return whether the validated values of a kind are numbers: a date is its days before as_of."""
    return KIND_OPTIONS[kind].stored_as == "float64"


def is_amount(kind: str) -> bool:
    """Return whether the values of a kind are amounts."""
    return KIND_OPTIONS[kind].is_amount


# an encoding that makes one number of each category; such a feature is scaled as well
_ENCODING_MISSING: Final = {
    "frequency": ("reject", "category"),
    "ordinal": ("reject", "median", "indicator"),
}


class FeatureSpec(Spec):
    """One column that customers are compared by."""

    column: str = Field(description="The column's name in the source query.")
    kind: ColumnKind = Field(description="What the values are; a date is read as the days before as_of.")
    transform: Literal["none", "log1p", "sqrt", "yeo-johnson", "auto"] = Field(
        "none",
        description="Numeric: applied before scaling. `auto`: log1p where skewed and never negative, yeo-johnson where "
        "skewed with negative values, else none.",
    )
    scale: Literal["standard", "robust", "minmax", "none"] = Field(
        "standard", description="Numeric, ordinal and frequency: the scaler."
    )
    missing: Literal["reject", "median", "mean", "constant", "indicator", "category"] = Field(
        "reject",
        description="What a null means: reject the row; fill it (numeric); `indicator`: the median and a 0/1 column "
        "that says so; `category`: a category of its own.",
    )
    fill: float | None = Field(None, description="Numeric: what `missing: constant` fills in; for a date, days.")
    outliers: Literal["none", "winsorize", "remove"] = Field(
        "none",
        description="Numeric: `winsorize` pulls values in to two quantiles; `remove` leaves rows beyond the fences out "
        "of the fit, and still gives them a segment.",
    )
    # fewer customers than the gate min_segment_share wants in a segment lie beyond each of them
    winsorize: tuple[Share, Share] = Field(
        (0.01, 0.99), description="The quantiles of `outliers: winsorize`; beyond each lies less than a segment needs."
    )
    # Tukey (1977), Exploratory Data Analysis: beyond 3 interquartile ranges a value is "far out"
    fence: float = Field(
        3.0, gt=0, description="`outliers: remove`: interquartile ranges beyond the quartiles, after the transform."
    )
    encode: Literal["one_hot", "ordinal", "frequency"] = Field(
        "one_hot",
        description="Categorical: a 0/1 column each; the place in `order`; or the share of customers who have it.",
    )
    order: tuple[str, ...] | None = Field(None, description="Categorical: the values of `encode: ordinal`, in order.")
    max_categories: int = Field(
        20, ge=2, le=1000, description="Categorical: rarer ones become one column, 'infrequent'."
    )
    weight: float = Field(1.0, gt=0, description="Multiplies the feature's encoded columns.")
    min: float | None = Field(None, description="Numeric: smaller values reject the row; for a date, days.")
    max: float | None = Field(None, description="Numeric: larger values reject the row; for a date, days.")
    allowed: tuple[str, ...] | None = Field(None, description="Categorical: any other value rejects the row.")

    @property
    def stored_as(self) -> str:
        """Arrow's name for the type of the validated values."""
        return KIND_OPTIONS[self.kind].stored_as

    @property
    def is_number(self) -> bool:
        """Whether the validated values are numbers: a date is its days before as_of."""
        return is_number(self.kind)

    @model_validator(mode="after")
    def _fields_fit_the_kind(self) -> Self:
        options = KIND_OPTIONS[self.kind]
        own = (*options.fields, "scale") if "encode" in options.fields and self.encode != "one_hot" else options.fields
        wrong = [name for name in _NUMBER_FIELDS + _CATEGORY_FIELDS if name not in own and self._is_given(name)]
        if wrong:
            self._refuse(f"{', '.join(wrong)} means nothing for a {self.kind} feature; remove it")
        allowed = _ENCODING_MISSING.get(self.encode, options.missing)
        if self.missing not in allowed:
            what = f"a {self.kind}" if self.encode == "one_hot" else f"{self.encode} encoding of a {self.kind}"
            self._refuse(f"missing: {self.missing} is not for {what} feature; use {' or '.join(allowed)}")
        return self

    @model_validator(mode="after")
    def _numbers_agree(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            self._refuse(f"min {self.min} is above max {self.max}")
        if (self.missing == "constant") != (self.fill is not None):
            self._refuse("`missing: constant` and `fill` go together; give both or neither")
        least = {"log1p": -1.0, "sqrt": 0.0}.get(self.transform)
        if self.fill is not None and least is not None:
            outside = self.fill <= least if self.transform == "log1p" else self.fill < least
            if outside:
                wanted = f"{'above' if self.transform == 'log1p' else 'at least'} {least:g}"
                self._refuse(f"fill {self.fill:g} has no {self.transform}; it must be {wanted}")
        low, high = self.winsorize
        if low >= high:
            self._refuse(f"winsorize [{low:g}, {high:g}] must be two quantiles, the lower one first")
        for name, policy in (("winsorize", "winsorize"), ("fence", "remove")):
            if self._is_given(name) and self.outliers != policy:
                self._refuse(f"{name} only goes with `outliers: {policy}`, not with {self.outliers}")
        return self

    @model_validator(mode="after")
    def _categories_agree(self) -> Self:
        if (self.encode == "ordinal") != (self.order is not None):
            self._refuse("`encode: ordinal` and `order` go together; give both or neither")
        if self.encode != "one_hot" and self._is_given("max_categories"):
            self._refuse(f"max_categories only goes with `encode: one_hot`, not with {self.encode}")
        if self.order is not None:
            if len(self.order) < 2 or len(set(self.order)) < len(self.order):
                self._refuse(f"order {list(self.order)} must be at least two different values")
            if unknown := [value for value in self.allowed or () if value not in self.order]:
                self._refuse(f"allowed {', '.join(unknown)} has no place in order {list(self.order)}")
        return self

    def _is_given(self, name: str) -> bool:
        # by value, because a spec that went through JSON has every field set
        return bool(getattr(self, name) != type(self).model_fields[name].default)

    def _refuse(self, what: str) -> None:
        message = f"{self.column}: {what}"
        raise ValueError(message)


def _name_form(features: object) -> str:
    """Return which of the two forms it is, so that a mistake is reported once and for that form."""
    return "columns" if isinstance(features, list | tuple) else "auto"


def _require_a_form(features: object) -> object:
    """Refuse what is neither of the two forms with a message that names both."""
    if features == "auto" or isinstance(features, list | tuple):
        return features
    *kinds, last = get_args(ColumnKind)
    message = f"write `auto`, or a list of {{column: ..., kind: {', '.join(kinds)} or {last}}}"
    raise ValueError(message)


Features = Annotated[
    Annotated[Literal["auto"], Tag("auto")] | Annotated[list[FeatureSpec], Tag("columns")],
    Discriminator(_name_form),
    BeforeValidator(_require_a_form),
]
