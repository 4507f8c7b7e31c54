"""Which K to take, given what each K looks like, and the reason in one sentence.

`default` takes the highest simplified silhouette (Hruschka, Campello and de Castro 2006,
doi:10.1016/j.ins.2005.07.015), then lets the valleys between neighbouring clusters correct it, in both directions:

- down: where some pair of neighbours is plainly one group, that K is vetoed and the best smaller K without a veto is
  taken. A veto never leads to a larger K: a coarse split without a valley is not evidence for a finer one, which in
  many dimensions finds valleys that are not there.
- up: the silhouette prefers few groups that are far apart, and personas nest. A larger K is taken where its silhouette
  is practically as good and every pair of neighbours has a proven valley.

Last, the parent's K is kept unless the new one is clearly better: a K that flickers costs more than it is worth.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from segmentation_pipeline.analysis.selection.dip import PROVEN_VALLEY_P, UNIMODAL_P
from segmentation_pipeline.analysis.selection.stability import UNSTABLE_BELOW

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from segmentation_pipeline.model import SweepCandidate

Policy = Literal["default", "silhouette", "davies_bouldin", "gap", "fixed"]

# Simplified silhouettes nearer than this are practically the same where the valleys are proven. Personas nest, and the
# silhouette rewards few groups that are far apart: of 360 simulated months with 4 to 7 personas the true K was taken in
# 346 at 0.03, in 360 at 0.07 and 0.10, and at 0.10 a K that is too large began to be taken where personas overlap.
MARGIN: Final = 0.07
# Groups that were published need less proof to stay than new ones to come: a K at the edge of PROVEN_VALLEY_P would
# flicker. Of 192 simulated months in which personas overlap, 0.1 took 170 right with 6 needless changes,
# PROVEN_VALLEY_P 166 with 9.
STILL_THERE_P: Final = 0.1
# A new K has to gain this much beyond its error: a birth shows at once, noise in large data does not flicker.
WORTH_A_CHANGE: Final = 0.01


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen K and why; `elbow_k` is where the inertia curve bends, None where it does not."""

    k: int
    policy: Policy
    reason: str
    runner_up: int | None
    elbow_k: int | None
    vetoed: tuple[int, ...]


def choose_k(
    candidates: Sequence[SweepCandidate],
    *,
    policy: Policy = "default",
    fixed_k: int | None = None,
    parent_k: int | None = None,
    row_scores: Mapping[int, NDArray[np.floating[Any]]] | None = None,
    inertia_of_one: float | None = None,
) -> Choice:
    """Choose K by `policy` and give the reason.

    `row_scores` maps K to the simplified silhouettes (m,) of the same rows in the same order: a gain over `parent_k`
    has to exceed the error of their paired differences. `inertia_of_one` is the inertia of K = 1, without which an
    elbow at the smallest K cannot be seen.

    Raises:
        ValueError: no candidates, `fixed` without a `fixed_k` among them, or `gap` where a candidate has no gap.
    """
    if not candidates:
        raise ValueError("no candidates to choose K from: lower sweep.k_min or add distinct customers.")
    by_k = {candidate.k: candidate for candidate in sorted(candidates, key=lambda candidate: candidate.k)}
    if policy == "fixed":
        if fixed_k not in by_k:
            raise ValueError(f"K is fixed at {fixed_k}, candidates are {[*by_k]}: set fit.k to one of them.")
        best = fixed_k
    elif policy == "gap":
        best = _choose_by_gap([*by_k.values()])
    else:
        best = _rank(by_k, policy)[0]
    k = best
    if parent_k in by_k and policy not in ("fixed", "gap"):
        k = _keep_parent(by_k, best, parent_k, policy, row_scores or {})
    others = [other for other in _rank(by_k, policy) if other != k]
    runner_up = best if best != k else (others[0] if others else None)
    elbow = find_elbow({k: candidate.inertia for k, candidate in by_k.items()}, inertia_of_one=inertia_of_one)
    notes = _list_disagreements(by_k, k, best, runner_up, elbow, policy)
    figures = _describe_figures(by_k[k], policy)
    if runner_up is not None:
        figures += f" (K = {runner_up}: {_describe_figures(by_k[runner_up], policy, names=False)})"
    return Choice(
        k=k,
        policy=policy,
        reason="; ".join([f"K = {k}{' (fixed)' if policy == 'fixed' else ''}: {figures}", *notes]),
        runner_up=runner_up,
        elbow_k=elbow,
        vetoed=tuple(k for k, candidate in by_k.items() if explain_veto(candidate)),
    )


def explain_veto(candidate: SweepCandidate) -> str | None:
    """Return why a K is not eligible for the default policy, None where it is."""
    if candidate.dip_p_value is None or candidate.dip_p_value < UNIMODAL_P:
        return None
    return f"K = {candidate.k} cuts through one group (dip p = {candidate.dip_p_value:.2f})"


def has_proven_valleys(candidate: SweepCandidate) -> bool:
    """Return whether every cluster has a valley towards its nearest neighbour."""
    return candidate.dip_p_value is not None and candidate.dip_p_value < PROVEN_VALLEY_P


def find_elbow(inertias: Mapping[int, float], *, inertia_of_one: float | None = None) -> int | None:
    """Return the K farthest below the chord of the inertia curve, None below three points.

    The rule is kneedle (Satopaa and others 2011, doi:10.1109/ICDCSW.2011.20). It is shown because people look for it,
    and it never decides: where segments overlap the curve has no corner.
    """
    curve = {**({1: inertia_of_one} if inertia_of_one is not None else {}), **inertias}
    ks = sorted(curve)
    heights = np.array([curve[k] for k in ks], dtype=np.float64)
    if len(ks) < 3 or heights[0] <= heights[-1]:
        return None
    across = (np.array(ks) - ks[0]) / (ks[-1] - ks[0])
    down = (heights[0] - heights) / (heights[0] - heights[-1])
    return ks[int(np.argmax(down - across))]


def _get_figure(candidate: SweepCandidate, policy: Policy) -> float:
    """Return the figure that a policy compares; higher is better."""
    if policy == "silhouette":
        return candidate.silhouette
    if policy == "davies_bouldin":
        return -candidate.davies_bouldin
    return candidate.simplified_silhouette


def _rank(by_k: Mapping[int, SweepCandidate], policy: Policy) -> list[int]:
    """Return every K, best first; the ranks below the first are by the policy's figure, vetoed ones last."""
    by_figure = sorted(by_k, key=lambda k: (-_get_figure(by_k[k], policy), k))
    if policy != "default":
        return by_figure
    best = by_figure[0]
    smaller = [k for k in by_figure if k < best and not explain_veto(by_k[k])]
    if explain_veto(by_k[best]) and smaller:
        best = smaller[0]
    good = by_k[best].simplified_silhouette - MARGIN
    larger = [
        k
        for k, candidate in by_k.items()
        if k > best and has_proven_valleys(candidate) and candidate.simplified_silhouette >= good
    ]
    best = max(larger, default=best)
    others = [k for k in by_figure if k != best]
    return [best, *sorted(others, key=lambda k: explain_veto(by_k[k]) is not None)]


def _choose_by_gap(candidates: Sequence[SweepCandidate]) -> int:
    """Return the first K within an error of the next (Tibshirani and others 2001, doi:10.1111/1467-9868.00293)."""
    gaps = [(candidate.gap, candidate.gap_error) for candidate in candidates]
    if any(gap is None or error is None for gap, error in gaps):
        raise ValueError("policy gap needs the gap statistic of every K: compute it in the sweep.")
    for here, after in pairwise(candidates):
        if (here.gap or 0.0) >= (after.gap or 0.0) - (after.gap_error or 0.0):
            return here.k
    return max(candidates, key=lambda candidate: candidate.gap or 0.0).k


def _keep_parent(
    by_k: Mapping[int, SweepCandidate],
    best: int,
    parent: int,
    policy: Policy,
    row_scores: Mapping[int, NDArray[np.floating[Any]]],
) -> int:
    """Return the parent's K unless it is vetoed or the best K gains clearly more than twice its error."""
    if parent == best or (policy == "default" and explain_veto(by_k[parent]) and not explain_veto(by_k[best])):
        return best
    if policy == "default" and best > parent and has_proven_valleys(by_k[best]):
        return best  # a group that is plainly there was born
    valley = by_k[parent].dip_p_value
    if policy == "default" and best < parent and valley is not None and valley < STILL_THERE_P:
        return parent  # all of its groups are still there, however much better few distant ones look
    error = 0.0
    if policy == "silhouette":
        error = float(np.hypot(by_k[parent].silhouette_error, by_k[best].silhouette_error))
    elif policy == "default" and {parent, best} <= set(row_scores):
        paired = np.asarray(row_scores[best], dtype=np.float64) - row_scores[parent]
        error = float(paired.std() / np.sqrt(len(paired)))
    gain = _get_figure(by_k[best], policy) - _get_figure(by_k[parent], policy)
    return parent if gain <= max(2 * error, WORTH_A_CHANGE) else best


def _describe_figures(candidate: SweepCandidate, policy: Policy, *, names: bool = True) -> str:
    if policy == "silhouette":
        return f"{'silhouette ' * names}{candidate.silhouette:.2f}"
    if policy == "davies_bouldin":
        return f"{'Davies-Bouldin ' * names}{candidate.davies_bouldin:.2f}"
    if policy == "gap":
        return f"{'gap ' * names}{candidate.gap:.2f}"
    full = f"{'silhouette ' * names}{candidate.silhouette:.2f}"
    return f"{full}, {'simplified ' * names}{candidate.simplified_silhouette:.2f}"


def _list_disagreements(
    by_k: Mapping[int, SweepCandidate],
    k: int,
    best: int,
    runner_up: int | None,
    elbow: int | None,
    policy: Policy,
) -> list[str]:
    """Return one clause for everything that a reader would otherwise ask about."""
    notes = []
    if best != k:
        notes.append(f"the parent's K is kept: K = {best} is not clearly better")
    top = max(by_k, key=lambda other: by_k[other].simplified_silhouette)
    if policy == "default" and top not in (k, best):
        why = explain_veto(by_k[top]) or f"K = {k} is practically as good and has a valley between all neighbours"
        notes.append(f"the simplified silhouette alone would have said {top}, but {why}")
    full = max(by_k, key=lambda other: by_k[other].silhouette)
    if policy != "silhouette" and full not in (k, best, top):
        notes.append(f"the silhouette would have said {full}")
    if elbow is not None and elbow != k:
        notes.append(f"the elbow would have said {elbow}")
    if veto := explain_veto(by_k[k]):
        notes.append(veto)
    for shown in (k, runner_up):
        stability = by_k[shown].stability if shown is not None else None
        if stability is not None and stability < UNSTABLE_BELOW:
            notes.append(f"K = {shown} is unstable ({stability:.2f})")
    nested = max((other for other in by_k if other > k and has_proven_valleys(by_k[other])), default=None)
    if nested is not None and nested not in (best, top):
        notes.append(f"K = {nested} also has a valley between all neighbours: segments may nest")
    return notes
