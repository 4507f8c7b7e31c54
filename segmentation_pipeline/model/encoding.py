"""What was fitted to turn a customer's columns into numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from segmentation_pipeline.model.json import Json


@dataclass(frozen=True, slots=True)
class FeatureEncoding:
    """What was fitted for one column: all that it takes to encode a value again.

    One number (numeric and date; ordinal: x is the place in `categories`; frequency: its entry of `frequencies`):
    `(transform(fill(x)) - center) / scale * weight`, one column. With `outliers` winsorize, x is first pulled in to
    `low` and `high`; with remove, a row beyond them is an outlier. `indicator` adds a 0/1 column for nulls, times
    `indicator`. One-hot and boolean: one 0/1 column per entry of `categories`, one more for `infrequent` values where
    there are any, times `weight`.
    """

    column: str
    kind: Literal["numeric", "categorical", "boolean", "date"]
    weight: float
    transform: str = "none"
    fill: float | None = None
    center: float = 0.0
    scale: float = 1.0
    categories: tuple[str, ...] = ()
    infrequent: tuple[str, ...] = ()
    encode: str = "one_hot"
    frequencies: tuple[float, ...] = ()
    power: float | None = None
    indicator: float | None = None
    outliers: str = "none"
    low: float | None = None
    high: float | None = None

    @property
    def is_one_number(self) -> bool:
        """Whether the feature becomes one scaled number rather than 0/1 columns."""
        return self.kind in {"numeric", "date"} or self.encode != "one_hot"

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the encoded columns."""
        if self.is_one_number:
            return (self.column,) if self.indicator is None else (self.column, f"{self.column}=missing")
        rest = ("infrequent",) if self.infrequent else ()
        return tuple(f"{self.column}={category}" for category in (*self.categories, *rest))


@dataclass(frozen=True, slots=True)
class PrincipalAxes:
    """A PCA of D encoded columns: `(x - mean) @ components.T`; each component explains a share of the variance."""

    mean: tuple[float, ...]
    components: tuple[tuple[float, ...], ...]
    explained: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Encoding:
    """The fitted encoding of all features, in the order of the matrix's columns, and the PCA that follows, if any."""

    features: tuple[FeatureEncoding, ...]
    pca: PrincipalAxes | None = None

    @property
    def encoded_names(self) -> tuple[str, ...]:
        """The names of the encoded columns, before the PCA."""
        return tuple(name for feature in self.features for name in feature.names)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the matrix's columns: the principal components where there is a PCA."""
        if self.pca is None:
            return self.encoded_names
        return tuple(f"component {index}" for index in range(1, len(self.pca.components) + 1))

    @property
    def columns(self) -> tuple[str, ...]:
        """The source columns it reads."""
        return tuple(feature.column for feature in self.features)

    def to_json(self) -> Json:
        """Give plain values that `from_json` reads back to an equal encoding."""
        return {
            "version": 2,
            "features": [asdict(feature) for feature in self.features],
            "pca": asdict(self.pca) if self.pca is not None else None,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Encoding:
        """Read what `to_json` wrote, in this version or the first."""
        lists = ("categories", "infrequent", "frequencies")
        features = tuple(
            FeatureEncoding(**{**feature, **{name: tuple(feature.get(name, ())) for name in lists}})
            for feature in data["features"]
        )
        if (pca := data.get("pca")) is None:
            return cls(features)
        components = tuple(tuple(row) for row in pca["components"])
        return cls(features, PrincipalAxes(tuple(pca["mean"]), components, tuple(pca["explained"])))
