"""The asset `scored_customers`."""

from datetime import UTC, datetime
from typing import Any

import dagster as dg

from segmentation_pipeline.analysis.quality.distance_drift import FAR_QUANTILE, DistanceDrift, measure_distance_drift
from segmentation_pipeline.lifecycle import score as scoring
from segmentation_pipeline.model.commands import run_command
from segmentation_pipeline.model.receipts import ScoringReceipt
from segmentation_pipeline.orchestration.metadata.columns import TABLE_NAME, describe_target_columns
from segmentation_pipeline.orchestration.metadata.values import round_number
from segmentation_pipeline.orchestration.partitions import find_scoring_period
from segmentation_pipeline.orchestration.segmentation import SegmentationContext
from segmentation_pipeline.orchestration.stages import PUBLISHED_SEGMENTS, SCORED_CUSTOMERS
from segmentation_pipeline.steps.score import Scored, find_redefined, require_as_fitted, score_as_fitted, to_assignments
from segmentation_pipeline.storage.artifacts.versions import json_version
from segmentation_pipeline.storage.registry import schema
from segmentation_pipeline.storage.warehouse.open import source_for
from segmentation_pipeline.storage.warehouse.postgres.connection import transaction

DRIFT_CHECK = "distance_drift"


def scored_customers(segmentation: SegmentationContext) -> dg.AssetsDefinition:
    """Build the asset, with a check that warns when too many customers are far from every segment."""
    spec, key = segmentation.spec, segmentation.spec.source.key
    check = dg.AssetCheckSpec(
        DRIFT_CHECK,
        asset=segmentation.key(SCORED_CUSTOMERS),
        description="Today's customers are as near to their segments as those of the fit were. `value` is the share "
        f"that is farther away than {FAR_QUANTILE:.0%} of them, `threshold` what is tolerated; it only warns.",
    )

    @segmentation.asset(
        SCORED_CUSTOMERS,
        check_specs=[check],
        metadata={TABLE_NAME: spec.publish.table},
    )
    def step(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        period = find_scoring_period(spec.partitions, datetime.now(tz=UTC))
        schema.migrate(spec.publish.url_env)
        with transaction(spec.publish.url_env) as connection:
            fit = scoring.read_scoring_model(connection, spec.name, quantile=FAR_QUANTILE)
        require_as_fitted(spec.name, fit.snapshot, find_redefined(fit.snapshot, spec.features))
        today = source_for(spec.source, timezone=spec.partitions.timezone).extract_frame(segmentation.query, period)
        key_type = today.extracted.key_type
        scoring.require_same_key(spec.name, fit.ledger, key_name=key, key_type=key_type)
        scored = score_as_fitted(today.rows, fit.snapshot, spec, as_of=period.as_of)
        # in a transaction of their own: they say why nobody was scored
        with transaction(spec.publish.url_env) as connection:
            scoring.record_rejected_scores(connection, spec, fit.ledger, scored, run_id=context.run.run_id)
        scored.require_usable()
        with transaction(spec.publish.url_env) as connection:
            rows, snapshot_id = to_assignments(key, scored), fit.snapshot.snapshot_id
            receipt = scoring.write_scores(connection, spec.publish, spec.name, snapshot_id, rows)
        drift = measure_distance_drift(
            scored.assignment.labels,
            scored.assignment.distance,
            fit.reaches,
            n_unassigned_at_fit=fit.n_unassigned,
        )
        for warning in scored.warnings:
            context.log.warning(warning)
        return dg.MaterializeResult(
            metadata={
                **_describe(scored, receipt, drift),
                "snapshot_partition": fit.snapshot.partition,
                "as_of": period.as_of.isoformat(),
                "window_start": period.window_start.isoformat(),
                **describe_target_columns(segmentation, PUBLISHED_SEGMENTS, key_type),
            },
            data_version=dg.DataVersion(json_version([snapshot_id, today.extracted.data_version])),
            check_results=[_check_result(segmentation, drift)],
        )

    return step


def _describe(
    scored: Scored, receipt: ScoringReceipt, drift: DistanceDrift
) -> dict[str, Any]:  # whatever Dagster takes as metadata
    return {
        "extracted": scored.n_rows,
        "rejected": len(scored.rejected),
        **receipt.to_json(),
        "reasons": dg.MetadataValue.json(scored.reason_counts),
        "unknown_categories": dg.MetadataValue.json(scored.unknown),
        "missing_values": dg.MetadataValue.json(scored.missing),
        "far_by_segment": dg.MetadataValue.json({str(segment): share for segment, share in drift.by_segment.items()}),
        "dagster/row_count": receipt.scored,
    }


def _check_result(segmentation: SegmentationContext, drift: DistanceDrift) -> dg.AssetCheckResult:
    advice = f". The segments are out of date; refit: {run_command(segmentation.spec.name)}" if drift.drifted else ""
    return dg.AssetCheckResult(
        check_name=DRIFT_CHECK,
        asset_key=segmentation.key(SCORED_CUSTOMERS),
        passed=not drift.drifted,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{drift.message}{advice}",
        metadata={
            "value": round_number(drift.share),
            "threshold": round_number(drift.threshold),
            "expected": round_number(drift.expected_share),
            "far": drift.n_far,
            "standard_errors": round_number(drift.z),
        },
    )
