"""The nouns that travel between stages and storage: frozen, plain, JSON-able where they are saved."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray

Json = dict[str, Any]  # JSON is what it is: any nesting of plain values

Event = Literal["kept", "born", "retired", "returned", "split_from", "merged_into"]
_MODEL_ARRAYS = ("radii", "weights", "precisions", "edges")
Status = Literal["candidate", "rejected", "waiting", "published", "declined", "superseded", "rolled_back"]


@dataclass(frozen=True, slots=True)
class Memory:
    """A limit in bytes, who sets it ("this container"), and how much of it is left."""

    where: str
    limit: int
    available: int


@dataclass(frozen=True, slots=True)
class Period:
    """One partition: its name, its first moment and its end (exclusive), which is its as_of."""

    partition: str
    window_start: datetime
    as_of: datetime


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


@dataclass(frozen=True, slots=True)
class SweepCandidate:
    """What the sweep found for one K; None is what was not measured.

    `silhouette_error` is a standard error, 0 where every row was used. `dip_p_value` is the worst pair of neighbouring
    clusters': high where they are one group. `stability` is the mean Jaccard of the clusters over bootstrap refits,
    `agreement` the adjusted Rand index between seeds.
    """

    k: int
    inertia: float
    silhouette: float
    simplified_silhouette: float
    davies_bouldin: float
    calinski_harabasz: float
    smallest_share: float
    largest_share: float
    silhouette_error: float = 0.0
    negative_share: float | None = None
    n_iter: int | None = None
    converged: bool | None = None
    dip_p_value: float | None = None
    stability: float | None = None
    agreement: float | None = None
    gap: float | None = None
    gap_error: float | None = None


@dataclass(frozen=True, slots=True)
class StructureVerdict:
    """Whether there is cluster structure at all: how far the silhouette is above data that has none, and a sentence."""

    verdict: Literal["structure", "doubtful", "none"]
    z: float
    score: float
    reason: str


@dataclass(frozen=True, slots=True)
class SweepResult:
    """All candidates, the chosen K and why, and the mean silhouette of each of its clusters."""

    candidates: tuple[SweepCandidate, ...]
    k: int
    reason: str
    runner_up: int | None
    elbow_k: int | None
    vetoed: tuple[int, ...]
    structure: StructureVerdict
    seed: int
    n_rows: int
    n_sampled: int
    inertia_of_one: float
    cluster_silhouettes: tuple[float, ...] = ()

    def to_json(self) -> Json:
        """Give plain values that `from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SweepResult:
        """Read what `to_json` wrote."""
        return cls(
            **{
                **data,
                "candidates": tuple(SweepCandidate(**each) for each in data["candidates"]),
                "vetoed": tuple(data["vetoed"]),
                "cluster_silhouettes": tuple(data.get("cluster_silhouettes", ())),
                "structure": StructureVerdict(**data["structure"]),
            }
        )

    @property
    def chosen(self) -> SweepCandidate:
        """The candidate of the chosen K."""
        return next(each for each in self.candidates if each.k == self.k)


@dataclass(frozen=True, slots=True)
class SilhouetteSample:
    """Silhouettes of single customers under one clustering, for a picture: three arrays of shape (m,).

    The customers are random within their cluster; `weights` is how many of the cluster each one stands for.
    """

    clusters: NDArray[np.int64]
    silhouettes: NDArray[np.float64]
    weights: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class FittedModel:
    """A clustering as it is saved: all it takes to label an encoded row.

    `centers` has shape (P, D) in model space; row i is a prototype of `labels[i]`: a cluster index before alignment, a
    segment id afterwards. Where nothing else is given a row belongs to the nearest prototype, and several prototypes
    may share a label. The rest belongs to some algorithms only:

    - `radii`, shape (P,): farther than this from its nearest prototype a row is unassigned (`hdbscan`, `spectral`).
    - `weights`, shape (P,), and `precisions`, shape (P, D, D): a row belongs to the likeliest component.
    - `edges`, shape (P - 1,): a row of one feature belongs to the interval it lies in, from below.
    - `gamma`: what a mismatch costs in each categorical feature, for the record (`kprototypes`).
    """

    algorithm: str
    centers: NDArray[np.float64]
    labels: tuple[int, ...]
    radii: NDArray[np.float64] | None = None
    weights: NDArray[np.float64] | None = None
    precisions: NDArray[np.float64] | None = None
    edges: NDArray[np.float64] | None = None
    gamma: Mapping[str, float] | None = None

    @property
    def k(self) -> int:
        """The number of clusters, each of one prototype or more."""
        return len(set(self.labels))

    def to_json(self) -> Json:
        """Give plain values; floats survive the way through JSON exactly. What a model does not have is left out."""
        data: Json = {
            "version": 1,
            "algorithm": self.algorithm,
            "labels": list(self.labels),
            "centers": [[float(value) for value in row] for row in self.centers],
        }
        arrays = {name: value for name in _MODEL_ARRAYS if (value := getattr(self, name)) is not None}
        data |= {name: value.tolist() for name, value in arrays.items()}
        return data if self.gamma is None else data | {"gamma": dict(self.gamma)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FittedModel:
        """Read what `to_json` wrote."""
        import numpy as np  # here, so that the CLI's status does not wait for it

        return cls(
            algorithm=data["algorithm"],
            centers=np.asarray(data["centers"], dtype=np.float64),
            labels=tuple(data["labels"]),
            gamma=data.get("gamma"),
            **{name: np.asarray(data[name], dtype=np.float64) for name in _MODEL_ARRAYS if name in data},
        )


@dataclass(frozen=True, slots=True)
class FitSummary:
    """How the final fit went: on `n_fitted` rows, with `n_unassigned` of all rows beyond every radius."""

    k: int
    seed: int
    inertia: float
    silhouette: float
    n_iter: int
    converged: bool
    n_init: int
    won_by: str
    algorithm: str
    reason: str
    n_fitted: int
    n_unassigned: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """Which segment a cluster is, by what score, and how sure that is.

    `confidence` is the part of the score that would be lost if this pair were not one: 0 where another matching is as
    good, 1 where there is none. The rivals are what the cluster would be then, and which cluster would be the segment.
    """

    cluster: int
    segment_id: int
    score: float
    through: Literal["parent", "earlier_version", "later_snapshot", "retired", "new"]
    confidence: float = 1.0
    rival_segment_id: int | None = None
    rival_cluster: int | None = None


@dataclass(frozen=True, slots=True)
class LineageEvent:
    """What happened to a segment in a snapshot."""

    segment_id: int
    event: Event
    other_segment_id: int | None = None
    evidence: float | None = None


@dataclass(frozen=True, slots=True)
class Alignment:
    """The clusters of one fit as segments."""

    matches: tuple[Match, ...]
    events: tuple[LineageEvent, ...]
    next_segment_id: int
    evidence: str

    @property
    def segment_of(self) -> dict[int, int]:
        """Cluster index to segment id."""
        return {match.cluster: match.segment_id for match in self.matches}

    def to_json(self) -> Json:
        """Give plain values for the artifact."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class GateResult:
    """One gate's outcome."""

    name: str
    passed: bool
    severity: Literal["warn", "block"]
    value: float | None
    threshold: float | None
    message: str


@dataclass(frozen=True, slots=True)
class Centroid:
    """One prototype of a snapshot, for people and SQL; `profile` is in original units."""

    segment_id: int
    ordinal: int
    n_customers: int
    share: float
    radius: float
    center: tuple[float, ...]
    profile: Json


@dataclass(frozen=True, slots=True)
class Segment:
    """One persona, for ever."""

    segment_id: int
    name: str
    name_source: Literal["automatic", "person"]
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One fitted and aligned model as the database knows it."""

    snapshot_id: int
    segmentation: str
    partition: str
    as_of: datetime
    version: int
    status: Status
    k: int
    n_rows: int
    n_assigned: int
    parent_snapshot_id: int | None
    run_id: str
    code_version: str
    metrics: Json
    encoding: Json
    model: Json
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Past:
    """An earlier snapshot that may know today's clusters, the segments it may pass on, and their sizes then."""

    through: Literal["parent", "earlier_version", "later_snapshot", "retired"]
    snapshot: Snapshot
    segment_ids: tuple[int, ...]
    sizes: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Transition:
    """Customers who were in one segment and are in another, or the same; `to_segment_id` None is unassigned.

    `n_moved` of them the parent's model too puts into another segment than before: they moved. For the others the new
    fit has put the border elsewhere. None: the parent's model cannot say.
    """

    from_segment_id: int
    to_segment_id: int | None
    n_customers: int
    n_moved: int | None


@dataclass(frozen=True, slots=True)
class CentroidShift:
    """The mean of a segment's customers in one feature, in the parent and now; `z` in standard deviations of all."""

    segment_id: int
    column: str
    before: float
    now: float
    z: float


@dataclass(frozen=True, slots=True)
class Drift:
    """How far today is from the parent: population stability indices of each feature and of the segment shares."""

    features: Mapping[str, float]
    shares: float
    shifts: tuple[CentroidShift, ...]


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a segment's customers were from its prototypes at the fit: `limit` is a quantile of `n_customers`."""

    n_customers: int
    limit: float


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing the diagnosis noticed about a clustering, and what to do about it.

    `seen` holds the number, `means` says what follows from it, `action` what to change in the defs.yaml. `value` is
    the number itself. `algorithm` is a value of `fit.algorithm` that suits the data better, None where that is no cure.
    """

    name: str
    seen: str
    means: str
    action: str
    value: float
    severity: Literal["info", "warn"]
    algorithm: str | None = None

    @property
    def message(self) -> str:
        """All of it as one line."""
        return f"{self.seen}. {self.means}. {self.action}."


@dataclass(frozen=True, slots=True)
class OutcomeEffect:
    """How far the segments differ in one outcome.

    `measure` is omega squared (numbers: the share of the variance that segments explain) or Cramer's V (categories),
    both 0 where segments say nothing and 1 where they say all; `low` to `high` is the 95 % interval. `p_adjusted` is
    corrected for the number of outcomes. All are None where there was nothing to compare, and `sentence` says why.
    """

    outcome: str
    measure: Literal["omega squared", "V"]
    effect: float | None
    low: float | None
    high: float | None
    p_value: float | None
    p_adjusted: float | None
    differ: bool
    n_rows: int
    n_null: int
    sentence: str
