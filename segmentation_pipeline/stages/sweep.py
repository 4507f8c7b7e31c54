"""Trying a range of K on one matrix: what each K looks like, and which one is taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from segmentation_pipeline.errors import UnusableDataError
from segmentation_pipeline.model import SweepCandidate, SweepResult
from segmentation_pipeline.stages.clustering import Assignment, Fit, assign, count_distinct_rows, fit_kmeans
from segmentation_pipeline.stages.dip import neighbour_dips
from segmentation_pipeline.stages.silhouette import silhouette_estimate, silhouette_samples, simplified_silhouette

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from segmentation_pipeline.spec import FitSpec, SweepSpec

# Above it the sweep fits on a uniform sample; every figure but the silhouette is still of all rows.
FIT_ROWS: Final = 50_000
# Up to it the silhouettes are exact, from one pass over the distances for all K.
EXACT_ROWS: Final = 20_000


@dataclass(frozen=True, slots=True)
class Sweep:
    """The candidates with the choice, and the fit behind each of them, in order of K."""

    result: SweepResult
    fits: tuple[Fit, ...]

    def fit_of(self, k: int) -> Fit:
        """The fit of one K."""
        return next(fit for fit in self.fits if fit.k == k)


def run_sweep(matrix: NDArray[np.float32], sweep: SweepSpec, fit: FitSpec, *, seed: int) -> Sweep:
    """Fit K-Means for every K of the range on `matrix`, shape (n, D), and choose one.

    K above what the distinct rows allow is left out. `fit.k` fixes the choice; the others are still shown.

    Raises:
        UnusableDataError: not even the smallest K can be fitted, or not the fixed one.
    """
    rng = np.random.default_rng(seed)
    ks = _feasible(matrix, sweep, fit)
    sample = matrix if len(matrix) <= FIT_ROWS else matrix[np.sort(rng.choice(len(matrix), FIT_ROWS, replace=False))]
    fits = tuple(fit_kmeans(sample, k, n_init=fit.n_init, seed=int(rng.integers(2**32))) for k in ks)
    assignments = [assign(matrix, each.model) for each in fits]
    silhouettes = _silhouettes(matrix, [each.labels for each in assignments], rng)
    candidates = tuple(
        _candidate(matrix, each, assignment, silhouette, rng)
        for each, assignment, silhouette in zip(fits, assignments, silhouettes, strict=True)
    )
    k, reason = choose(candidates, policy=sweep.policy, fixed=fit.k)
    result = SweepResult(
        candidates=candidates,
        k=k,
        reason=reason,
        seed=seed,
        n_rows=len(matrix),
        n_sampled=len(sample),
        inertia_of_one=float(np.square(matrix - matrix.mean(axis=0, dtype=np.float64)).sum()),
    )
    return Sweep(result, fits)


def choose(candidates: Sequence[SweepCandidate], *, policy: str, fixed: int | None) -> tuple[int, str]:
    """Choose K and say why in one sentence.

    `default` takes the best simplified silhouette among the K that cut through no group of customers (the dip test);
    where all of them do, among all.
    """
    if fixed is not None:
        best = max(candidates, key=lambda each: each.silhouette)
        return fixed, f"K = {fixed} is fixed by fit.k (the silhouette would have said {best.k})"
    if policy == "silhouette":
        best = max(candidates, key=lambda each: each.silhouette)
        return best.k, f"K = {best.k} has the highest silhouette, {best.silhouette:.2f}"
    if policy == "davies_bouldin":
        best = min(candidates, key=lambda each: each.davies_bouldin)
        return best.k, f"K = {best.k} has the lowest Davies-Bouldin index, {best.davies_bouldin:.2f}"
    whole = [each for each in candidates if not each.over_split] or list(candidates)
    best, *rest = sorted(whole, key=lambda each: -each.simplified_silhouette)
    reason = f"K = {best.k}: simplified silhouette {best.simplified_silhouette:.2f}, silhouette {best.silhouette:.2f}"
    if rest:
        reason += f" (K = {rest[0].k}: {rest[0].simplified_silhouette:.2f}, {rest[0].silhouette:.2f})"
    vetoed = [each for each in candidates if each.over_split]
    if len(vetoed) == len(candidates):
        reason += "; every K cuts through a group of customers"
    elif vetoed:
        reason += f"; K = {', '.join(str(each.k) for each in vetoed)} would cut through a group of customers"
    return best.k, reason


def _feasible(matrix: NDArray[np.float32], sweep: SweepSpec, fit: FitSpec) -> list[int]:
    wanted = sorted({*range(sweep.k_min, sweep.k_max + 1), *([fit.k] if fit.k is not None else [])})
    # a silhouette needs a row more than clusters
    most = min(count_distinct_rows(matrix, enough=wanted[-1]), len(matrix) - 1)
    least = fit.k if fit.k is not None else wanted[0]
    if most < least:
        message = (
            f"{len(matrix):,} customers with {most} distinct rows cannot be split into {least} clusters. "
            f"Add features or customers, or lower {'fit.k' if fit.k is not None else 'sweep.k_min'}."
        )
        raise UnusableDataError(message)
    return [k for k in wanted if k <= most]


def _silhouettes(
    matrix: NDArray[np.float32], labelings: Sequence[NDArray[np.int64]], rng: np.random.Generator
) -> list[tuple[float, float]]:
    """Mean and standard error for each labeling: exact up to EXACT_ROWS, on a stratified sample above."""
    if len(matrix) <= EXACT_ROWS:
        return [(float(each.mean()), 0.0) for each in silhouette_samples(matrix, labelings)]
    estimates = [silhouette_estimate(matrix, labels, rng=rng) for labels in labelings]
    return [(each.mean, each.standard_error) for each in estimates]


def _candidate(
    matrix: NDArray[np.float32],
    fit: Fit,
    assignment: Assignment,
    silhouette: tuple[float, float],
    rng: np.random.Generator,
) -> SweepCandidate:
    from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score

    labels = assignment.labels
    shares = np.bincount(labels, minlength=fit.k) / len(labels)
    dips = neighbour_dips(matrix, fit.centers, labels, rng=rng)
    return SweepCandidate(
        k=fit.k,
        inertia=float(np.square(assignment.distance).sum()),
        silhouette=silhouette[0],
        silhouette_error=silhouette[1],
        simplified_silhouette=float(simplified_silhouette(matrix, fit.centers, labels).mean()),
        davies_bouldin=float(davies_bouldin_score(matrix, labels)),
        calinski_harabasz=float(calinski_harabasz_score(matrix, labels)),
        smallest_share=float(shares.min()),
        largest_share=float(shares.max()),
        n_iter=fit.n_iter,
        converged=fit.converged,
        over_split=dips.over_split,
        dip_p_value=dips.p_value,
    )
