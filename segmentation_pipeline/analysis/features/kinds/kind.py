"""What a kind of column is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import pandera.pandas as pa

    from segmentation_pipeline.analysis.features.kinds.column import UnknownColumn
    from segmentation_pipeline.analysis.features.numeric import Limits
    from segmentation_pipeline.model import FeatureEncoding
    from segmentation_pipeline.spec import ColumnKind, FeatureSpec


@dataclass(frozen=True, slots=True)
class ReadColumn:
    """A column as its kind reads it, and where a value could not be read: both of shape (n,), with its index."""

    series: pd.Series
    unreadable: pd.Series


def read_all(values: pd.Series) -> ReadColumn:
    """Return a column, shape (n,), of which every value could be read."""
    return ReadColumn(values, pd.Series(data=False, index=values.index))


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of column: how it is recognised, read, checked, encoded and described.

    `read` takes the column, its feature, and the as_of that days are counted back from; a value that it cannot read is
    reported as "not `wanted`". `checks` are those of the values that were read, beside the one for nulls. `fit` takes
    the usual rows of a validated column, and the limits of `outliers: remove`; the encoding that it returns says how
    values are encoded.

    `infer` is for `features: auto`, `draft` for `init`, which looks at names and at text as well. They return the
    feature that an unknown column makes, or the reason why it makes none; None: the column is not of this kind.
    `explain` says in a few phrases why a drafted feature is as it is.

    `can_encode` says whether a column that was not validated as this kind (a feature of an earlier snapshot that is not
    a feature today) can be encoded all the same; None: any column can, and it need not be read. `unit` is written after
    a number in rules and reports.
    """

    name: ColumnKind
    wanted: str
    read: Callable[[pd.Series, FeatureSpec, datetime | None], ReadColumn]
    checks: Callable[[FeatureSpec], list[pa.Check]]
    fit: Callable[[pd.Series, FeatureSpec, Limits], FeatureEncoding]
    infer: Callable[[UnknownColumn], FeatureSpec | str | None] = lambda _: None
    draft: Callable[[UnknownColumn], FeatureSpec | str | None] = lambda _: None
    explain: Callable[[FeatureSpec, UnknownColumn], list[str]] = lambda _, __: []
    can_encode: Callable[[pd.Series], bool] | None = None
    unit: str = ""
