"""The clustering of the chosen K on all customers, saved as JSON, and each customer's cluster by what was saved."""

from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from segmentation_pipeline.analysis.clustering.algorithms.fit import fit_model
from segmentation_pipeline.analysis.clustering.labelling import assign_blocks
from segmentation_pipeline.analysis.selection.assigned_silhouette import silhouette_score
from segmentation_pipeline.model import Encoding, FitSummary, FittedModel, SweepResult
from segmentation_pipeline.orchestration.assets.encoded_features import fitting_rows
from segmentation_pipeline.orchestration.metadata.columns import describe_label_columns
from segmentation_pipeline.orchestration.metadata.values import embed_picture
from segmentation_pipeline.orchestration.segmentation import SegmentationContext
from segmentation_pipeline.reporting.figures import draw_distances
from segmentation_pipeline.steps.preflight import require_memory
from segmentation_pipeline.storage.artifacts.artifact import Artifact
from segmentation_pipeline.storage.artifacts.versions import json_version


def final_fit(segmentation: SegmentationContext) -> dg.AssetsDefinition:
    """Build the asset."""
    spec, key = segmentation.spec, segmentation.spec.source.key

    @segmentation.asset("final_fit", kinds={"scikitlearn"}, description=__doc__ or "")
    def step(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        encoded, swept = segmentation.latest(context, "encoded_features"), segmentation.latest(context, "k_sweep")
        keys, matrix = encoded.matrix()
        sweep = SweepResult.from_json(swept.json("sweep"))
        encoding = Encoding.from_json(encoded.json("encoding"))
        start = np.asarray(swept.json("centers")[str(sweep.k)])
        resolved = require_memory(spec, n_rows=matrix.shape[0], n_columns=matrix.shape[1], key=keys.type)
        fit = fit_model(
            fitting_rows(encoded),
            algorithm=resolved.algorithm,
            k=sweep.k,
            n_init=spec.fit.n_init,
            seed=sweep.seed,
            encoding=encoding,
            starts=[("the sweep's centers", start)],
            load_writable=encoded.changeable_matrix if not encoded.manifest.get("outliers") else None,
        )
        # labelled by what was saved, read back: one model, one answer
        model = FittedModel.from_json(fit.model.to_json())
        notes = (*fit.notes, *_notes(resolved.algorithm, spec.fit.k, sweep.k, fit.k))
        for note in notes:
            context.log.warning(note)
        with segmentation.writing(context, "final_fit", made_from=[encoded, swept]) as artifact:
            schema = _schema(key, keys.type)
            labels = _label(artifact, matrix, model, keys=keys, schema=schema)
            # the sweep's silhouette is that of K-Means
            own = resolved.algorithm == "kmeans"
            silhouette = sweep.chosen.silhouette if own else silhouette_score(matrix, labels, seed=sweep.seed)
            summary = FitSummary(
                k=fit.k,
                seed=sweep.seed,
                inertia=fit.inertia,
                silhouette=silhouette,
                n_iter=fit.n_iter,
                converged=fit.converged,
                n_init=spec.fit.n_init,
                won_by=fit.won_by,
                algorithm=resolved.algorithm,
                reason=resolved.reason,
                n_fitted=fit.n_fitted,
                n_unassigned=int((labels < 0).sum()),
                notes=notes,
            )
            artifact.write_json("model", model.to_json())
            artifact.write_json("summary", {field: getattr(summary, field) for field in summary.__slots__})
            artifact.manifest |= {
                "rows": len(matrix),
                "data_version": json_version([encoded.data_version, model.to_json()]),
            }
        return segmentation.result(
            artifact,
            metadata={
                "algorithm": resolved.algorithm,
                "algorithm_reason": resolved.reason,
                "k": fit.k,
                "inertia": fit.inertia,
                "seed": sweep.seed,
                "iterations": fit.n_iter,
                "converged": fit.converged,
                "won_by": fit.won_by,
                "fitted_rows": fit.n_fitted,
                "unassigned": summary.n_unassigned,
                **({"notes": "; ".join(notes)} if notes else {}),
                "distances": embed_picture(
                    draw_distances(artifact.column("labels", "distance").to_numpy(), labels),
                    f"distances of the customers to the centers of the {fit.k} clusters of this fit",
                ),
                **describe_label_columns(segmentation, schema, encoding),
            },
        )

    return step


def _schema(key: str, key_type: pa.DataType) -> pa.Schema:
    """The columns of `labels`."""
    return pa.schema(
        [
            (key, key_type),
            ("cluster", pa.int64()),
            ("distance", pa.float64()),
            ("second_cluster", pa.int64()),
            ("margin", pa.float64()),
        ]
    )


def _label(
    artifact: Artifact, matrix: NDArray[np.float32], model: FittedModel, *, keys: pa.Array, schema: pa.Schema
) -> NDArray[np.int64]:
    """Write what the model says of every row, block by block; gives the clusters, shape (n,)."""
    labels = np.empty(len(matrix), dtype=np.int64)
    with artifact.writing_table("labels", schema, distinct=True) as table:
        for here, block in assign_blocks(matrix, model):
            labels[here] = block.labels
            columns = [keys[here], block.labels, block.distance, block.second_labels, block.margin]
            table.add(pa.table([pa.array(each) for each in columns], schema=schema))
    return labels


def _notes(algorithm: str, fixed: int | None, swept: int, found: int) -> list[str]:
    """What a person who looks at the sweep should know of an algorithm that does not ask it for K."""
    if algorithm != "hdbscan":
        return []
    note = f"hdbscan finds its own number of clusters, {found}; the sweep, with K = {swept}, is K-Means' and only shown"
    return [note if fixed is None else f"{note}; fit.k = {fixed} is not used"]
