"""Every K of the range on the same matrix, the one that is taken, and what speaks against it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from segmentation_pipeline.analysis.selection.diagnosis.diagnose import diagnose
from segmentation_pipeline.analysis.selection.sweep import Sweep, run_sweep

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from segmentation_pipeline.model import Encoding, Finding, FittedModel
    from segmentation_pipeline.spec import SegmentationSpec


@dataclass(frozen=True, slots=True)
class DiagnosedSweep:
    """A sweep, and the findings of the diagnosis of its chosen K."""

    sweep: Sweep
    findings: tuple[Finding, ...]

    @property
    def warnings(self) -> list[str]:
        """The findings that warn, as messages."""
        return [finding.message for finding in self.findings if finding.severity == "warn"]


def sweep_matrix(
    matrix: NDArray[np.float32], encoding: Encoding, spec: SegmentationSpec, *, seed: int, parent: FittedModel | None
) -> DiagnosedSweep:
    """Try every K on `matrix`, shape (n, D), and diagnose the K-Means fit of the chosen one.

    The parent's K is kept where no other is clearly better. The diagnosis is of K-Means, whatever algorithm is used in
    the end.

    Raises:
        UnusableDataError: fewer distinct rows than the smallest K.
    """
    sweep = run_sweep(matrix, spec.sweep, spec.fit, seed=seed, parent_k=parent.k if parent is not None else None)
    fit, result = sweep.fit_of(sweep.result.k), sweep.result
    before = parent.centers if parent is not None else None
    findings = diagnose(
        matrix,
        encoding=encoding,
        labels=sweep.labels,
        centers=fit.centers,
        inertias={1: result.inertia_of_one, **{candidate.k: candidate.inertia for candidate in result.candidates}},
        n_iter=fit.n_iter,
        converged=fit.converged,
        rng=np.random.default_rng(result.seed),
        parent_centers=before if before is not None and before.shape == fit.centers.shape else None,
        k_wanted=spec.sweep.k_max,
    )
    return DiagnosedSweep(sweep, findings)
