"""The clustering of the chosen K on all customers, saved as JSON, and each customer's cluster by what was saved."""

from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa

from segmentation_pipeline.assets.encoded_features import fitting_rows
from segmentation_pipeline.assets.pipeline import Pipeline
from segmentation_pipeline.model import FitSummary, FittedModel, SweepResult
from segmentation_pipeline.stages.clustering import assign, fit_kmeans
from segmentation_pipeline.storage.artifacts import json_version


def final_fit(pipeline: Pipeline) -> dg.AssetsDefinition:
    """Build the asset."""
    spec, key = pipeline.spec, pipeline.spec.source.key

    @pipeline.asset("final_fit", kinds={"scikitlearn"}, description=__doc__ or "")
    def step(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        encoded, swept = pipeline.latest(context, "encoded_features"), pipeline.latest(context, "k_sweep")
        keys, matrix = encoded.matrix()
        sweep = SweepResult.from_json(swept.json("sweep"))
        start = np.asarray(swept.json("centers")[str(sweep.k)])
        fit = fit_kmeans(
            fitting_rows(encoded),
            sweep.k,
            n_init=spec.fit.n_init,
            seed=sweep.seed,
            starts=[("the sweep's centers", start)],
        )
        # labelled by what was saved, read back: one model, one answer
        model = FittedModel.from_json(fit.model.to_json())
        assigned = assign(matrix, model)
        summary = FitSummary(
            k=fit.k,
            seed=sweep.seed,
            inertia=fit.inertia,
            silhouette=sweep.chosen.silhouette,
            n_iter=fit.n_iter,
            converged=fit.converged,
            n_init=spec.fit.n_init,
            won_by=fit.won_by,
        )
        with pipeline.writing(context, "final_fit", made_from=[encoded, swept]) as artifact:
            artifact.write_json("model", model.to_json())
            artifact.write_json("summary", {field: getattr(summary, field) for field in summary.__slots__})
            artifact.write_table(
                "labels",
                pa.table(
                    {
                        key: keys,
                        "cluster": assigned.labels,
                        "distance": assigned.distance,
                        "second_cluster": assigned.second_labels,
                        "margin": assigned.margin,
                    }
                ),
            )
            artifact.manifest |= {
                "rows": len(matrix),
                "data_version": json_version([encoded.data_version, model.to_json()]),
            }
        return pipeline.result(
            artifact,
            metadata={
                "k": fit.k,
                "inertia": fit.inertia,
                "seed": sweep.seed,
                "iterations": fit.n_iter,
                "converged": fit.converged,
                "won_by": fit.won_by,
            },
        )

    return step
