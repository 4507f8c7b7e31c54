"""Every K of the range tried on the same matrix, and the one that is taken, with the reason."""

import secrets
from dataclasses import asdict
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from segmentation_pipeline.analysis.selection.diagnosis.diagnose import diagnose
from segmentation_pipeline.analysis.selection.sweep import Sweep, run_sweep
from segmentation_pipeline.model import Encoding, Finding, FittedModel, Snapshot, SweepCandidate
from segmentation_pipeline.orchestration.assets.encoded_features import fitting_rows
from segmentation_pipeline.orchestration.metadata.values import embed_picture
from segmentation_pipeline.orchestration.runs.order import wait_for_earlier_runs
from segmentation_pipeline.orchestration.segmentation import SegmentationContext
from segmentation_pipeline.reporting.figures import draw_silhouettes, draw_sweep
from segmentation_pipeline.storage.artifacts.artifact import Artifact
from segmentation_pipeline.storage.artifacts.versions import json_version
from segmentation_pipeline.storage.registry import decisions, snapshots
from segmentation_pipeline.storage.warehouse.postgres.connection import transaction


def k_sweep(segmentation: SegmentationContext) -> dg.AssetsDefinition:
    """Build the asset."""
    spec = segmentation.spec

    @segmentation.asset("k_sweep", kinds={"scikitlearn"}, description=__doc__ or "")
    def step(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        encoded = segmentation.latest(context, "encoded_features")
        matrix = fitting_rows(encoded)
        # a fixed seed in production hides that the result depends on it: each run draws and records its own
        seed = spec.fit.seed if spec.fit.seed is not None else secrets.randbits(32)
        wait_for_earlier_runs(context, spec.name)  # the parent's K is kept where no other is clearly better
        period = segmentation.period(context.partition_key)
        with transaction(spec.publish.url_env) as connection:
            decisions.require_none_pending(connection, spec.name, period)
            parent = snapshots.find_parent(connection, spec.name, period.as_of)
        parent_k = parent.k if parent is not None else None
        sweep = run_sweep(matrix, spec.sweep, spec.fit, seed=seed, parent_k=parent_k)
        findings = _diagnosis(matrix, encoded, sweep, parent, k_max=spec.sweep.k_max)
        for finding in findings:
            if finding.severity == "warn":
                context.log.warning(finding.message)
        with segmentation.writing(context, "k_sweep", made_from=[encoded]) as artifact:
            artifact.write_json("findings", [asdict(finding) for finding in findings])
            artifact.write_json("sweep", sweep.result.to_json())
            artifact.write_table("silhouettes", _silhouettes(sweep))
            artifact.write_json("centers", {fit.k: fit.centers.tolist() for fit in sweep.fits})
            artifact.manifest |= {
                "data_version": json_version([encoded.data_version, sweep.result.to_json()]),
            }
        return segmentation.result(
            artifact,
            metadata={
                "k": sweep.result.k,
                "reason": sweep.result.reason,
                "structure": sweep.result.structure.reason,
                "seed": seed,
                "silhouette": sweep.result.chosen.silhouette,
                "diagnosis": dg.MetadataValue.md(_findings_table(findings)),
                "candidates": dg.MetadataValue.md(_table(sweep.result.candidates)),
                "inertia_and_silhouette": embed_picture(draw_sweep(sweep.result), "inertia and silhouette for each K"),
                "silhouettes": embed_picture(
                    draw_silhouettes(sweep.silhouettes, sweep.result),
                    f"silhouettes of the customers in the {sweep.result.k} clusters of this fit",
                ),
            },
        )

    return step


def _diagnosis(
    matrix: NDArray[np.float32], encoded: Artifact, sweep: Sweep, parent: Snapshot | None, *, k_max: int
) -> tuple[Finding, ...]:
    """What the K-Means fit of the chosen K shows about these customers, whatever algorithm is used in the end."""
    fit, result = sweep.fit_of(sweep.result.k), sweep.result
    before = FittedModel.from_json(parent.model).centers if parent is not None else None
    return diagnose(
        matrix,
        encoding=Encoding.from_json(encoded.json("encoding")),
        labels=sweep.labels,
        centers=fit.centers,
        inertias={1: result.inertia_of_one, **{each.k: each.inertia for each in result.candidates}},
        n_iter=fit.n_iter,
        converged=fit.converged,
        rng=np.random.default_rng(result.seed),
        parent_centers=before if before is not None and before.shape == fit.centers.shape else None,
        k_wanted=k_max,
    )


def _silhouettes(sweep: Sweep) -> pa.Table:
    """What the silhouette plot shows; by cluster, as no segment is known here."""
    sample = sweep.silhouettes
    return pa.table({"cluster": sample.clusters, "silhouette": sample.silhouettes, "weight": sample.weights})


def _findings_table(findings: tuple[Finding, ...]) -> str:
    if not findings:
        return "nothing noteworthy"
    rows = [f"| {each.severity} | {each.seen} | {each.means} | {each.action} |" for each in findings]
    return "| | what was seen | what it means | what to do |\n|---|---|---|---|\n" + "\n".join(rows)


def _table(candidates: tuple[SweepCandidate, ...]) -> str:
    head = (
        "| K | inertia | silhouette | simplified | Davies-Bouldin | smallest | stability | dip p |\n"
        "|---|---|---|---|---|---|---|---|\n"
    )
    return head + "\n".join(
        f"| {each.k} | {each.inertia:,.1f} | {each.silhouette:.3f} | {each.simplified_silhouette:.3f} "
        f"| {each.davies_bouldin:.3f} | {each.smallest_share:.1%} | {each.stability or 0:.2f} "
        f"| {each.dip_p_value or 0:.2f} |"
        for each in candidates
    )
