"""The asset `final_fit`."""

from typing import Any

import dagster as dg

from segmentation_pipeline.analysis.clustering.labelling import choose_block_rows
from segmentation_pipeline.engines.local.blocks import MatrixBlocks
from segmentation_pipeline.engines.local.engine import LocalEngine
from segmentation_pipeline.model import FitSummary, FittedModel
from segmentation_pipeline.orchestration.metadata.columns import describe_label_columns
from segmentation_pipeline.orchestration.metadata.values import embed_picture
from segmentation_pipeline.orchestration.segmentation import SegmentationContext
from segmentation_pipeline.orchestration.stages import FINAL_FIT
from segmentation_pipeline.reporting.figures import draw_distances
from segmentation_pipeline.runtime.memory import measure_memory
from segmentation_pipeline.steps.fit import describe_k, fit_chosen, label_matrix, summarize_fit
from segmentation_pipeline.steps.preflight import require_memory
from segmentation_pipeline.storage.artifacts.datasets import EncodedFeatures, FinalFit, KSweep

PICTURE = "distances of the customers to the centers of the {k} clusters of this fit"


def final_fit(segmentation: SegmentationContext) -> dg.AssetsDefinition:
    """Build the asset."""
    spec, key = segmentation.spec, segmentation.spec.source.key

    @segmentation.asset(FINAL_FIT)
    def step(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        encoded, swept = segmentation.latest(context, EncodedFeatures), segmentation.latest(context, KSweep)
        keys, matrix, sweep = encoded.keys, encoded.matrix, swept.sweep
        resolved = require_memory(
            spec, n_rows=len(matrix), n_columns=matrix.shape[1], key=keys.type, room=measure_memory()
        )
        fit = fit_chosen(encoded, swept, spec.fit, resolved)
        # labelled by what was saved, read back: one model, one answer
        model = FittedModel.from_json(fit.model.to_json())
        notes = (*fit.notes, *describe_k(resolved.algorithm, fixed=spec.fit.k, swept=sweep.k, fitted=fit.k))
        for note in notes:
            context.log.warning(note)
        schema = FinalFit.schema(key, keys.type)
        with segmentation.writing(context, FINAL_FIT, made_from=[encoded, swept]) as artifact:
            with FinalFit.writing_labels(artifact, schema) as table:
                blocks = MatrixBlocks(matrix, choose_block_rows(model))
                n_unassigned = label_matrix(LocalEngine(), blocks, model, keys=keys, schema=schema, labels=table)
            labels = FinalFit.read_label_column(artifact, "cluster")
            summary = summarize_fit(
                fit,
                resolved,
                sweep=sweep,
                matrix=matrix,
                labels=labels,
                n_unassigned=n_unassigned,
                n_init=spec.fit.n_init,
                notes=notes,
            )
            FinalFit.write(artifact, model=model, summary=summary, n_rows=len(matrix), made_from=encoded)
        distances = FinalFit.read_label_column(artifact, "distance")
        shown = _describe(summary, embed_picture(draw_distances(distances, labels), PICTURE.format(k=fit.k)))
        columns = describe_label_columns(segmentation, schema, encoded.encoding)
        return segmentation.result(artifact, metadata={**shown, **columns})

    return step


def _describe(summary: FitSummary, distances: dg.MetadataValue[Any]) -> dict[str, Any]:  # whatever Dagster takes
    return {
        "algorithm": summary.algorithm,
        "algorithm_reason": summary.reason,
        "k": summary.k,
        "inertia": summary.inertia,
        "seed": summary.seed,
        "iterations": summary.n_iter,
        "converged": summary.converged,
        "won_by": summary.won_by,
        "fitted_rows": summary.n_fitted,
        "unassigned": summary.n_unassigned,
        **({"notes": "; ".join(summary.notes)} if summary.notes else {}),
        "distances": distances,
    }
