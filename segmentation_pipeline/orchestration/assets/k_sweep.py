"""The asset `k_sweep`."""

import secrets
from typing import Any

import dagster as dg

from segmentation_pipeline.lifecycle.decide import require_none_pending
from segmentation_pipeline.model import Finding, SweepCandidate
from segmentation_pipeline.orchestration.metadata.values import embed_picture
from segmentation_pipeline.orchestration.runs.order import wait_for_earlier_runs
from segmentation_pipeline.orchestration.segmentation import SegmentationContext
from segmentation_pipeline.orchestration.stages import K_SWEEP
from segmentation_pipeline.reporting.figures import draw_silhouettes, draw_sweep
from segmentation_pipeline.steps.sweep import DiagnosedSweep, sweep_matrix
from segmentation_pipeline.storage.artifacts.datasets import EncodedFeatures, KSweep
from segmentation_pipeline.storage.registry import snapshots
from segmentation_pipeline.storage.warehouse.postgres.connection import transaction


def k_sweep(segmentation: SegmentationContext) -> dg.AssetsDefinition:
    """Build the asset."""
    spec = segmentation.spec

    @segmentation.asset(K_SWEEP)
    def step(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        encoded = segmentation.latest(context, EncodedFeatures)
        matrix = encoded.fitting_rows()
        # a fixed seed in production hides that the result depends on it: each run draws and records its own
        seed = spec.fit.seed if spec.fit.seed is not None else secrets.randbits(32)
        wait_for_earlier_runs(context, spec.name)  # the parent's K is kept where no other is clearly better
        period = segmentation.period(context.partition_key)
        with transaction(spec.publish.url_env) as connection:
            require_none_pending(connection, spec.name, period)
            parent = snapshots.find_parent(connection, spec.name, period.as_of)
        before = parent.model if parent is not None else None
        done = sweep_matrix(matrix, encoded.encoding, spec, seed=seed, parent=before)
        sweep = done.sweep
        for warning in done.warnings:
            context.log.warning(warning)
        with segmentation.writing(context, K_SWEEP, made_from=[encoded]) as artifact:
            KSweep.write(
                artifact,
                sweep=sweep.result,
                silhouettes=sweep.silhouettes,
                centers={fit.k: fit.centers for fit in sweep.fits},
                findings=done.findings,
                made_from=encoded,
            )
        return segmentation.result(artifact, metadata=_describe(done))

    return step


def _describe(done: DiagnosedSweep) -> dict[str, Any]:  # whatever Dagster takes as metadata
    result, sample = done.sweep.result, done.sweep.silhouettes
    return {
        "k": result.k,
        "reason": result.reason,
        "structure": result.structure.reason,
        "seed": result.seed,
        "silhouette": result.chosen.silhouette,
        "diagnosis": dg.MetadataValue.md(_tabulate_findings(done.findings)),
        "candidates": dg.MetadataValue.md(_tabulate_candidates(result.candidates)),
        "inertia_and_silhouette": embed_picture(draw_sweep(result), "inertia and silhouette for each K"),
        "silhouettes": embed_picture(
            draw_silhouettes(sample, result), f"silhouettes of the customers in the {result.k} clusters of this fit"
        ),
    }


def _tabulate_findings(findings: tuple[Finding, ...]) -> str:
    if not findings:
        return "nothing noteworthy"
    rows = [f"| {finding.severity} | {finding.seen} | {finding.means} | {finding.action} |" for finding in findings]
    return "| | what was seen | what it means | what to do |\n|---|---|---|---|\n" + "\n".join(rows)


def _tabulate_candidates(candidates: tuple[SweepCandidate, ...]) -> str:
    head = (
        "| K | inertia | silhouette | simplified | Davies-Bouldin | smallest | stability | dip p |\n"
        "|---|---|---|---|---|---|---|---|\n"
    )
    return head + "\n".join(
        f"| {tried.k} | {tried.inertia:,.1f} | {tried.silhouette:.3f} | {tried.simplified_silhouette:.3f} "
        f"| {tried.davies_bouldin:.3f} | {tried.smallest_share:.1%} | {tried.stability or 0:.2f} "
        f"| {tried.dip_p_value or 0:.2f} |"
        for tried in candidates
    )
