"""What was fitted to turn a customer's columns into numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segmentation_pipeline.model.json import Json


@dataclass(frozen=True, slots=True)
class FeatureEncoding:
    """What was fitted for one column: all that is needed to encode a value again.

    A number becomes one column: `(transform(fill(x)) - center) / scale * weight`. x is the value itself, its position
    in `categories` (ordinal), or its entry of `frequencies` (frequency). With `outliers` winsorize, x is first limited
    to `low` and `high`; with remove, a row beyond them is an outlier. `indicator` adds a 0/1 column for nulls, times
    `indicator`. One-hot `categories` become one 0/1 column each, and one more for `infrequent` values where there are
    any, times `weight`.
    """

    column: str
    kind: str
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
        """Whether the feature becomes one scaled number, and not 0/1 columns."""
        return not self.categories or self.encode != "one_hot"

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
    """The fitted encoding of all features, in the order of the matrix's columns, and the PCA after it, if any."""

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
        """The source columns that it reads."""
        return tuple(feature.column for feature in self.features)

    def to_json(self) -> Json:
        """Return plain values from which `from_json` makes an equal encoding."""
        return {
            "version": 2,
            "features": [asdict(feature) for feature in self.features],
            "pca": asdict(self.pca) if self.pca is not None else None,
        }

    @classmethod
    def from_json(cls, data: Json) -> Encoding:
        """Read what `to_json` wrote, in this version or in the first."""
        lists = ("categories", "infrequent", "frequencies")
        features = tuple(
            FeatureEncoding(**{**feature, **{name: tuple(feature.get(name, ())) for name in lists}})
            for feature in data["features"]
        )
        if (pca := data.get("pca")) is None:
            return cls(features)
        components = tuple(tuple(row) for row in pca["components"])
        return cls(features, PrincipalAxes(tuple(pca["mean"]), components, tuple(pca["explained"])))
