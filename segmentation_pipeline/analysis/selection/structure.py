"""Is there structure at all? K-Means cuts anything, so its silhouette is compared with that of data without structure.

Two questions, of which the first decides. Does K-Means do better than on structureless data of the same size? There are
three kinds of it, and all have to be beaten: uniform in the box of the principal axes and uniform in the box of the
features (Tibshirani, Walther and Hastie 2001, doi:10.1111/1467-9868.00293, know both; noise in one box can look
structured beside the other), and one Gaussian of the same covariance, which elongated data can resemble. Then: does a
fit on one half of the customers leave a valley between neighbouring clusters on the other half? On the same half it
would, in many dimensions, whatever the data.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from segmentation_pipeline.analysis.clustering.seeding import init_from_seeds, seed_rows
from segmentation_pipeline.analysis.selection.dip import measure_neighbour_dips
from segmentation_pipeline.analysis.selection.simplified_silhouette import simplified_silhouette
from segmentation_pipeline.model import StructureVerdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray
    from sklearn.cluster import KMeans

    Matrix = NDArray[np.floating[Any]]
    Points = NDArray[np.float64]

KS: Final = (2, 3, 4, 6, 8, 10)
# The distance from the null grows with the root of the rows: on a small sample, real but soft structure (Online Retail)
# is a matter of the seed.
MAX_ROWS: Final = 5_000
# Three standard deviations of a null estimated from ten draws: chance less than once in a hundred times.
CLEAR_OF_NULL: Final = 3.0
# Most customers are far from the nulls, and a few draws show it: the t quantile that corresponds to one chance in 250
# is 11 of three draws and 5.2 of five; twice that, to leave a margin. Only what is nearer is looked at with all draws.
FAR_FROM_NULL: Final = {3: 22.0, 5: 10.0}
HELD_OUT_VALLEY_P: Final = 0.05
_SPLITS: Final = 2
# Data and nulls are treated alike, and a second start changes neither error: of 720 tables of noise none passed with
# one start and 1 with two; of 480 tables with groups 34 did not pass with one and 30 with two.
_STARTS: Final = 1
# A gap is compared with the sweep's inertias, which are the best of many starts.
_GAP_STARTS: Final = 2
# as in `stability`: what moves by less changes no score that matters, and on noise the last steps are the most
_TOLERANCE: Final = 1e-3


@dataclass(frozen=True, slots=True)
class NullReference:
    """The best simplified silhouette of K-Means on structureless data, over several draws.

    `z` is how far the data's own score is above `mean`, in units of `deviation`.
    """

    name: str
    mean: float
    deviation: float
    z: float

    @property
    def is_beaten(self) -> bool:
        """Whether the data's own score is clear of this null."""
        return self.z >= CLEAR_OF_NULL


@dataclass(frozen=True, slots=True)
class Gap:
    """The gap of one K, the log inertia expected on structureless data less the measured one, and its error."""

    gap: float
    error: float


@dataclass(frozen=True, slots=True)
class StructureEvidence:
    """The numbers behind a verdict: the best `score` and its `k`, the nulls, and the held-out dip test.

    `nulls` ends with the first one that was not beaten; `dip_p_value` is None where there was such a one.
    """

    k: int
    score: float
    nulls: tuple[NullReference, ...]
    dip_p_value: float | None

    @property
    def nearest(self) -> NullReference:
        """The null that the score is nearest to, in that null's standard deviations."""
        return min(self.nulls, key=lambda null: null.z)


def judge_structure(
    matrix: Matrix,
    *,
    rng: np.random.Generator,
    ks: Sequence[int] = KS,
    draws: int = 10,
    max_rows: int = MAX_ROWS,
) -> StructureVerdict:
    """Judge whether `matrix`, shape (n, D), has cluster structure: structure, doubtful or none.

    `none` is within reach of structureless data, `doubtful` beats it but shows no valley on held-out rows (skewed or
    small data; publish with a warning), `structure` does both. The arguments are those of `measure_structure`.

    Raises:
        ValueError: fewer than two draws, or rows that do not allow any of `ks`.
    """
    evidence = measure_structure(matrix, rng=rng, ks=ks, draws=draws, max_rows=max_rows)
    nearest, p_value = evidence.nearest, evidence.dip_p_value
    best = f"the best silhouette, {evidence.score:.3f} at K = {evidence.k},"
    if p_value is None:
        unbeaten = _describe_null(evidence.nulls[-1])
        reason = f"no cluster structure: {best} is what {unbeaten}"
        return StructureVerdict("none", nearest.z, evidence.score, reason)
    figures = f"{best} is above what {_describe_null(nearest)}"
    shown = f"p = {p_value:.3f}" if p_value >= 0.001 else "p < 0.001"
    if p_value <= HELD_OUT_VALLEY_P:
        reason = f"cluster structure: {figures}; held-out customers have valleys between clusters ({shown})"
        return StructureVerdict("structure", nearest.z, evidence.score, reason)
    reason = f"doubtful structure: {figures}; but held-out customers show no valley ({shown})"
    return StructureVerdict("doubtful", nearest.z, evidence.score, reason)


def measure_structure(
    matrix: Matrix,
    *,
    rng: np.random.Generator,
    ks: Sequence[int] = KS,
    draws: int = 10,
    max_rows: int = MAX_ROWS,
) -> StructureEvidence:
    """Compare `matrix`, shape (n, D), with structureless data, and then look for valleys on held-out rows.

    At most `max_rows` rows are looked at, and `draws` draws are made of each null (three or five where they are clear).
    Columns of few distinct values are not like any of the nulls: matrices of mostly one-hot columns look structured.

    Raises:
        ValueError: fewer than two draws, or rows that do not allow any of `ks`.
    """
    if draws < 2:
        raise ValueError(f"draws={draws} should be at least 2 to have a spread of the null.")
    points = _sample(matrix, max_rows, rng)
    n_distinct = len(np.unique(points, axis=0))
    feasible = [k for k in ks if 2 <= k < n_distinct and k * 2 <= len(points)]
    if not feasible:
        raise ValueError(
            f"{len(points)} rows ({n_distinct} distinct) cannot be split into K = {', '.join(map(str, ks))}: "
            "structure needs more customers than clusters."
        )
    k, score = _find_best(points, feasible, rng)
    nulls: list[NullReference] = []
    for name, draw in _NULLS.items():
        scores: list[float] = []
        for enough, far in {**FAR_FROM_NULL, draws: np.inf}.items():
            scores += [_find_best(draw(points, rng), feasible, rng)[1] for _ in range(min(enough, draws) - len(scores))]
            null = _compare_with_draws(name, score, scores)
            if null.z >= far:
                break
        nulls.append(null)
        if not null.is_beaten:
            return StructureEvidence(k, score, tuple(nulls), None)
    return StructureEvidence(k, score, tuple(nulls), _measure_held_out_dip(points, feasible, rng))


def gap_statistics(
    matrix: Matrix,
    inertias: Mapping[int, float],
    *,
    rng: np.random.Generator,
    draws: int = 10,
    max_rows: int = 2_000,
) -> dict[int, Gap]:
    """Return the gap statistic of every K of `inertias`.

    `inertias` maps K to the inertia on all rows of `matrix`, shape (n, D). The reference is uniform in the
    principal-axes box, on at most `max_rows` rows, scaled to all; the error holds the factor sqrt(1 + 1/draws)
    (Tibshirani, Walther and Hastie 2001).

    Raises:
        ValueError: an inertia that is not positive.
    """
    if bad := [k for k, inertia in inertias.items() if inertia <= 0]:
        raise ValueError(f"K = {bad[0]} has inertia {inertias[bad[0]]}: a gap needs more distinct rows than clusters.")
    points = _sample(matrix, max_rows, rng)
    logs = np.empty((draws, len(inertias)))
    for draw in range(draws):
        reference = _draw_principal_box(points, rng)
        fits = _fit_all(reference, list(inertias), rng, n_starts=_GAP_STARTS)
        logs[draw] = [np.log(float(fit.inertia_) / len(points)) for fit in fits]
    errors = logs.std(axis=0) * np.sqrt(1 + 1 / draws)
    return {
        k: Gap(float(expected - np.log(inertia / len(matrix))), float(error))
        for (k, inertia), expected, error in zip(inertias.items(), logs.mean(axis=0), errors, strict=True)
    }


def _describe_null(null: NullReference) -> str:
    return f"{null.name} gives ({null.mean:.3f} ± {null.deviation:.3f}, z = {null.z:.1f})"


def _compare_with_draws(name: str, score: float, scores: Sequence[float]) -> NullReference:
    mean = float(np.mean(scores))
    # An exact tie between draws must not make the smallest difference infinitely clear.
    deviation = max(float(np.std(scores, ddof=1)), 1e-3)
    return NullReference(name, mean, deviation, (score - mean) / deviation)


def _sample(matrix: Matrix, max_rows: int, rng: np.random.Generator) -> Points:
    if len(matrix) > max_rows:
        matrix = matrix[np.sort(rng.choice(len(matrix), size=max_rows, replace=False))]
    return np.asarray(matrix, dtype=np.float64)


def _fit_all(points: Points, ks: Sequence[int], rng: np.random.Generator, *, n_starts: int = _STARTS) -> list[KMeans]:
    """Return the best of the starts for each K; all K share the starts."""
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        # A half may hold fewer distinct rows than K: the empty clusters then score as they should.
        warnings.simplefilter("ignore", ConvergenceWarning)
        seeds = seed_rows(points, max(ks), n_starts=n_starts, rng=rng)
        narrow = points.astype(np.float32)  # takes two thirds of the time, and no score shows it
        return [
            # nothing is drawn where the start is given
            KMeans(k, init=init_from_seeds(seeds), n_init=n_starts, max_iter=100, tol=_TOLERANCE).fit(narrow)
            for k in ks
        ]


def _score(points: Points, fit: KMeans) -> float:
    return float(simplified_silhouette(points, fit.cluster_centers_, fit.labels_).mean())


def _find_best(points: Points, ks: Sequence[int], rng: np.random.Generator) -> tuple[int, float]:
    """Return the K with the highest score, and that score."""
    scores = {k: _score(points, fit) for k, fit in zip(ks, _fit_all(points, ks, rng), strict=True)}
    best = max(scores, key=lambda k: scores[k])
    return best, scores[best]


def _draw_principal_box(points: Points, rng: np.random.Generator) -> Points:
    centered = points - points.mean(axis=0)
    axes = np.linalg.svd(centered, full_matrices=False)[2]
    along = centered @ axes.T
    uniform: Points = rng.uniform(along.min(axis=0), along.max(axis=0), size=along.shape)
    box: Points = uniform @ axes
    return box


def _draw_feature_box(points: Points, rng: np.random.Generator) -> Points:
    return rng.uniform(points.min(axis=0), points.max(axis=0), size=points.shape)


def _draw_gaussian(points: Points, rng: np.random.Generator) -> Points:
    centered = points - points.mean(axis=0)
    _, spread, axes = np.linalg.svd(centered, full_matrices=False)
    normal: Points = rng.standard_normal((len(points), len(spread)))
    group: Points = (normal * spread / np.sqrt(max(len(points) - 1, 1))) @ axes
    return group


_NULLS: Final[dict[str, Callable[[Points, np.random.Generator], Points]]] = {
    "uniform noise in the principal axes' box": _draw_principal_box,
    "one Gaussian group": _draw_gaussian,
    "uniform noise in the features' box": _draw_feature_box,
}


def _measure_held_out_dip(points: Points, ks: Sequence[int], rng: np.random.Generator) -> float:
    """Return the median over folds of the clearest valley's p-value, corrected for the number of pairs.

    Each half chooses its own K and centroids and is judged by the other, so the choice is paid for.
    """
    p_values = []
    for _ in range(_SPLITS):
        order = rng.permutation(len(points))
        halves = np.array_split(order, 2)
        for fitted, held_out in (halves, halves[::-1]):
            fits = _fit_all(points[fitted], [k for k in ks if k <= len(fitted)], rng)
            best = max(fits, key=lambda fit: _score(points[fitted], fit))
            labels = best.predict(points[held_out].astype(np.float32))
            dips = measure_neighbour_dips(points[held_out], best.cluster_centers_, labels, rng=rng)
            pairs = {frozenset((one, other)) for one, other in enumerate(dips.neighbours.tolist())}
            p_values.append(min(1.0, float(dips.p_values.min()) * len(pairs)))
    return float(np.median(p_values))
