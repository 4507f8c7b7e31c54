"""Findings about the clusters: outliers, overlap, sizes, the inertia curve, the parent, and how the fit ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from segmentation_pipeline.analysis.arrays.distances import (
    distance_between,
    squared_distances_between,
    squared_distances_to,
)
from segmentation_pipeline.analysis.clustering.algorithms.kmedoids import KMEDOIDS
from segmentation_pipeline.analysis.selection.silhouette import silhouette_samples
from segmentation_pipeline.model import Finding
from segmentation_pipeline.spec import GatesSpec

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Points = NDArray[np.float64]
    Labels = NDArray[np.integer[Any]]

# A segment smaller than the default of this gate is a handful of people.
SMALL: Final = float(GatesSpec().min_segment_share.threshold or 0.0)
LARGE: Final = 0.8
# Nearest other centroid over the radius of its cluster: inside 3 a small cluster is the edge of a large one.
FAR: Final = 3.0
# Tukey's outer fence (1977): quartile plus three interquartile ranges is "far out".
FENCE: Final = 3.0
# The centroid moves by a quarter of the cluster's radius when the far-out customers leave.
PULLED: Final = 0.25
# Kaufman and Rousseeuw 1990: below it no substantial structure has been sample.
NO_SUBSTANCE: Final = 0.25
# The curve of uniform noise is straight on logarithmic axes; a drop is sharp when the slope halves behind it.
SHARP: Final = 2.0


@dataclass(frozen=True, slots=True)
class Clusters:
    """A sample of clustered rows: `points` (n, D), `labels` (n,) in 0..K-1, `centers` (K, D), column `names` (D,)."""

    points: Points
    labels: Labels
    centers: Points
    names: Sequence[str]

    def measure_radius(self, cluster: int) -> float:
        """Return the root mean square distance of a cluster's rows to its centroid."""
        rows = self.points[self.labels == cluster]
        return float(np.sqrt(squared_distances_to(self.centers[cluster], rows).mean())) if len(rows) else 0.0


def judge_outliers(sample: Clusters, shares: NDArray[np.float64]) -> list[Finding]:
    """Report outliers that own a cluster, by its share of all rows, `shares` (K,), or that pull a centroid."""
    findings = [_find_owned_cluster(sample, shares), _find_pulled_centroid(sample, shares)]
    return [finding for finding in findings if finding is not None]


def _find_owned_cluster(sample: Clusters, shares: NDArray[np.float64]) -> Finding | None:
    apart = np.sqrt(squared_distances_between(sample.centers, sample.centers))
    np.fill_diagonal(apart, np.inf)
    alone = []
    for cluster in np.flatnonzero((shares > 0) & (shares < SMALL)).tolist():
        neighbour = int(np.where(shares >= SMALL, apart[cluster], np.inf).argmin())
        if apart[cluster, neighbour] > FAR * sample.measure_radius(neighbour):
            alone.append(cluster)
    if not alone:
        return None
    worst = min(alone, key=lambda cluster: float(shares[cluster]))
    column = sample.names[int(np.abs(sample.centers[worst] - sample.points.mean(axis=0)).argmax())]
    return Finding(
        name="outlier_cluster",
        seen=f"{len(alone)} of {len(shares)} clusters are far from all others and hold {shares[alone].sum():.2%} of "
        f"customers; the smallest is cluster {worst} with {shares[worst]:.2%}, far out in {column}",
        means="A few extreme customers own a cluster that the others have to do without",
        action=f"Give {column} `transform: log1p` or `outliers: winsorize`, "
        f"or set `fit: {{algorithm: {KMEDOIDS.name}}}`",
        value=float(shares[alone].sum()),
        severity="warn",
        algorithm=KMEDOIDS.name,
    )


def _find_pulled_centroid(sample: Clusters, shares: NDArray[np.float64]) -> Finding | None:
    worst: tuple[float, int, NDArray[np.bool_]] | None = None
    for cluster in np.flatnonzero(shares >= SMALL).tolist():
        rows = sample.points[sample.labels == cluster]
        if len(rows) < 10:
            continue
        middle = np.median(rows, axis=0)
        distance = np.sqrt(squared_distances_to(middle, rows))
        low, high = np.quantile(distance, [0.25, 0.75])
        far = distance > high + FENCE * (high - low)
        core = rows[~far]
        radius = float(np.sqrt(squared_distances_to(core.mean(axis=0), core).mean()))
        shift = distance_between(rows.mean(axis=0), core.mean(axis=0))
        pull = shift / radius if radius > 0 and far.any() else 0.0
        if pull > PULLED and (worst is None or pull > worst[0]):
            worst = (pull, cluster, far)
    if worst is None:
        return None
    pull, cluster, far = worst
    rows = sample.points[sample.labels == cluster]
    column = sample.names[int(np.abs(rows[far].mean(axis=0) - rows[~far].mean(axis=0)).argmax())]
    return Finding(
        name="outlier_pull",
        seen=f"{far.mean():.1%} of cluster {cluster} is far out in {column} and moves its centroid by {pull:.0%} of "
        "the cluster's radius",
        means="The centroid describes neither those customers nor the others",
        action=f"Give {column} `transform: log1p` or `outliers: winsorize`, "
        f"or set `fit: {{algorithm: {KMEDOIDS.name}}}`",
        value=pull,
        severity="warn",
        algorithm=KMEDOIDS.name,
    )


def judge_overlap(sample: Clusters) -> list[Finding]:
    """Report clusters that run into each other: a mean silhouette below 0.25, with the worst pair."""
    if len(np.unique(sample.labels)) < 2:
        return []
    silhouettes = silhouette_samples(sample.points, [sample.labels])[0]
    mean = float(silhouettes.mean())
    if mean >= NO_SUBSTANCE:
        return []
    means = [float(silhouettes[sample.labels == cluster].mean()) for cluster in np.unique(sample.labels)]
    worst = int(np.unique(sample.labels)[int(np.argmin(means))])
    other = squared_distances_to(sample.centers[worst], sample.centers)
    other[worst] = np.inf
    return [
        Finding(
            name="overlap",
            seen=f"the mean silhouette is {mean:.2f}, lowest in cluster {worst} ({min(means):.2f}), whose neighbour is "
            f"cluster {int(other.argmin())}; {np.mean(silhouettes < 0):.0%} of customers are nearer to another cluster",
            means="Clusters run into each other: customers at the borders change segment easily",
            action="Lower `sweep.k_max`, or replace features that do not separate the groups",
            value=mean,
            severity="info",
        )
    ]


def judge_sizes(shares: NDArray[np.float64]) -> list[Finding]:
    """Report very unequal sizes, from the shares of all rows, shape (K,)."""
    smallest, largest = float(shares.min()), float(shares.max())
    if len(shares) < 2 or (smallest >= SMALL and largest <= LARGE):
        return []
    return [
        Finding(
            name="unequal_sizes",
            seen=f"the largest cluster holds {largest:.1%} of the customers, the smallest {smallest:.2%}",
            means="Most customers are treated as one group, or a segment is too small to act on",
            action="Transform skewed features (`transform: log1p`), or lower `sweep.k_max`",
            value=largest / smallest if smallest > 0 else float("inf"),
            severity="warn",
        )
    ]


def judge_inertias(inertias: Mapping[int, float]) -> list[Finding]:
    """Report an inertia that drops sharply at no K, from K -> inertia with K = 1 where it is known."""
    ks = [k for k in sorted(inertias) if inertias[k] > 0]
    if len(ks) < 4:
        return []
    slopes = -np.diff(np.log([inertias[k] for k in ks])) / np.diff(np.log(ks))
    ratios = slopes[:-1] / np.maximum(slopes[1:], 1e-9)
    sharpest = int(ratios.argmax())
    if ratios[sharpest] >= SHARP:
        return []
    return [
        Finding(
            name="no_inertia_drop",
            seen=f"the inertia falls evenly from K = {ks[0]} to {ks[-1]}; the sharpest bend, at "
            f"K = {ks[sharpest + 1]}, is {ratios[sharpest]:.1f} (a clear one is {SHARP:g} or more)",
            means="No number of clusters stands out, and an elbow read off this curve depends on the reader",
            action="Widen `sweep.k_max`, or fix `fit.k` at what the business can handle",
            value=float(ratios[sharpest]),
            severity="info",
        )
    ]


def judge_parent(centers: Points, parent_centers: Points | None) -> list[Finding]:
    """Report centroids that are the parent's to the last digit, in whatever order."""
    if parent_centers is None or parent_centers.shape != centers.shape:
        return []
    gaps = np.sqrt(squared_distances_between(centers, parent_centers)).min(axis=1)
    if float(gaps.max()) > 1e-6 * max(float(np.abs(centers).max()), 1.0):
        return []
    return [
        Finding(
            name="same_as_parent",
            seen=f"all {len(centers)} centroids are those of the parent snapshot (largest distance {gaps.max():.1g})",
            means="The customers are probably the same rows as in the period before: no new data has arrived",
            action="Check that the query uses `:as_of`, and raise `schedule.hours_after_end` if data arrives late",
            value=float(gaps.max()),
            severity="warn",
        )
    ]


def judge_fit(n_iter: int, *, converged: bool) -> list[Finding]:
    """Report a fit that was stopped early, or that ended where it began."""
    if not converged:
        return [
            Finding(
                name="not_converged",
                seen=f"the fit was stopped after {n_iter} iterations, before the centroids stood still",
                means="Another start may give other clusters",
                action="Raise `fit.n_init`; if that does not help, lower `sweep.k_max`",
                value=float(n_iter),
                severity="warn",
            )
        ]
    if n_iter <= 1:
        return [
            Finding(
                name="converged_at_once",
                seen=f"the fit ended after {n_iter} iteration",
                means="The start was already an answer: many equal rows, or too few distinct ones to choose from",
                action="Raise `fit.n_init`; if that does not help, lower `sweep.k_max` or add features",
                value=float(n_iter),
                severity="info",
            )
        ]
    return []


def judge_distinct(n_distinct: int, k: int) -> list[Finding]:
    """Report fewer distinct rows than clusters."""
    if n_distinct >= k:
        return []
    return [
        Finding(
            name="few_distinct_rows",
            seen=f"{n_distinct} distinct rows for K = {k}",
            means="Customers show fewer combinations of features than there should be clusters",
            action=f"Set `sweep.k_max` (or `fit.k`) to {n_distinct} at most, or add features",
            value=float(n_distinct),
            severity="warn",
        )
    ]
