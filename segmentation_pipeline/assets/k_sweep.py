"""Every K of the range tried on the same matrix, and the one that is taken, with the reason."""

import secrets
from typing import Any

import dagster as dg

from segmentation_pipeline.assets.encoded_features import fitting_rows
from segmentation_pipeline.assets.order import wait_for_earlier_runs
from segmentation_pipeline.assets.pipeline import Pipeline, picture
from segmentation_pipeline.model import SweepCandidate
from segmentation_pipeline.reporting.figures import sweep_figure
from segmentation_pipeline.stages.sweep import run_sweep
from segmentation_pipeline.storage import database, snapshots
from segmentation_pipeline.storage.artifacts import json_version


def k_sweep(pipeline: Pipeline) -> dg.AssetsDefinition:
    """Build the asset."""
    spec = pipeline.spec

    @pipeline.asset("k_sweep", kinds={"scikitlearn"}, description=__doc__ or "")
    def step(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        encoded = pipeline.latest(context, "encoded_features")
        matrix = fitting_rows(encoded)
        # a fixed seed in production hides that the result depends on it: each run draws and records its own
        seed = spec.fit.seed if spec.fit.seed is not None else secrets.randbits(32)
        wait_for_earlier_runs(context, spec.name)  # the parent's K is kept where no other is clearly better
        with database.begin(spec.publish.url_env) as connection:
            parent = snapshots.parent(connection, spec.name, pipeline.period(context.partition_key).as_of)
        parent_k = parent.k if parent is not None else None
        sweep = run_sweep(matrix, spec.sweep, spec.fit, seed=seed, parent_k=parent_k)
        with pipeline.writing(context, "k_sweep", made_from=[encoded]) as artifact:
            artifact.write_json("sweep", sweep.result.to_json())
            artifact.write_json("centers", {fit.k: fit.centers.tolist() for fit in sweep.fits})
            artifact.manifest |= {
                "data_version": json_version([encoded.data_version, sweep.result.to_json()]),
            }
        return pipeline.result(
            artifact,
            metadata={
                "k": sweep.result.k,
                "reason": sweep.result.reason,
                "structure": sweep.result.structure.reason,
                "seed": seed,
                "silhouette": sweep.result.chosen.silhouette,
                "candidates": dg.MetadataValue.md(_table(sweep.result.candidates)),
                "inertia_and_silhouette": picture(sweep_figure(sweep.result), "inertia and silhouette for each K"),
            },
        )

    return step


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
