"""The asset `scored_customers`."""

from datetime import UTC, datetime
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pyarrow as pa

from segmentation_pipeline.analysis.quality.distance_drift import FAR_QUANTILE, DistanceDrift, measure_distance_drift
from segmentation_pipeline.errors import FeaturesChangedError, UnusableDataError
from segmentation_pipeline.lifecycle import score as scoring
from segmentation_pipeline.model import UNASSIGNED, Period
from segmentation_pipeline.model.commands import run_command
from segmentation_pipeline.orchestration.metadata.columns import TABLE_NAME, describe_target_columns
from segmentation_pipeline.orchestration.metadata.values import round_number
from segmentation_pipeline.orchestration.partitions import find_scoring_period
from segmentation_pipeline.orchestration.segmentation import SegmentationContext
from segmentation_pipeline.orchestration.stages import PUBLISHED_SEGMENTS, SCORED_CUSTOMERS
from segmentation_pipeline.steps.score import Scored, fitted_features, no_longer_readable, redefined, score
from segmentation_pipeline.storage.artifacts.versions import json_version
from segmentation_pipeline.storage.registry import schema
from segmentation_pipeline.storage.registry.rejected import clear_rejected, record_rejected
from segmentation_pipeline.storage.registry.tables import ensure_tables
from segmentation_pipeline.storage.warehouse.base import Extracted
from segmentation_pipeline.storage.warehouse.open import source_for
from segmentation_pipeline.storage.warehouse.postgres.connection import transaction

DRIFT_CHECK = "distance_drift"
# what `<name>_rejected` has in place of a period; only the latest scoring's rows are kept
REJECTED_PARTITION = "scored"


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
        _require(segmentation, fit, redefined(fit.snapshot, spec.features))
        source = source_for(spec.source, timezone=spec.partitions.timezone)
        today = source.extract_frame(segmentation.query, period)
        extracted, frame = today.extracted, today.rows
        _require_same_key(segmentation, fit, extracted)
        scored = _score(segmentation, fit, frame, period)
        _record_rejected(context, segmentation, fit, scored)
        if scored.keys.empty:
            message = f"all {len(frame):,} rows were rejected: {scored.reason_counts}. Nobody was scored."
            raise UnusableDataError(message)
        labels = scored.assignment
        with transaction(spec.publish.url_env) as connection:
            receipt = scoring.write_scores(
                connection, spec.publish, spec.name, fit.snapshot.snapshot_id, _rows(key, scored)
            )
        drift = measure_distance_drift(
            labels.labels, labels.distance, fit.reaches, n_unassigned_at_fit=fit.n_unassigned
        )
        if scored.unknown:
            context.log.warning(f"values that no category of the fit knows: {scored.unknown}")
        return dg.MaterializeResult(
            metadata={
                "extracted": len(frame),
                "rejected": len(scored.rejected),
                **receipt.to_json(),
                "snapshot_partition": fit.snapshot.partition,
                "as_of": period.as_of.isoformat(),
                "window_start": period.window_start.isoformat(),
                "reasons": dg.MetadataValue.json(scored.reason_counts),
                "unknown_categories": dg.MetadataValue.json(scored.unknown),
                "missing_values": dg.MetadataValue.json(scored.missing),
                "far_by_segment": dg.MetadataValue.json(
                    {str(segment): part for segment, part in drift.by_segment.items()}
                ),
                "dagster/row_count": receipt.scored,
                **describe_target_columns(segmentation, PUBLISHED_SEGMENTS, extracted.key_type),
            },
            data_version=dg.DataVersion(json_version([fit.snapshot.snapshot_id, extracted.data_version])),
            check_results=[_check_result(segmentation, drift)],
        )

    return step


def _require(segmentation: SegmentationContext, fit: scoring.ScoringModel, no_longer: list[str]) -> None:
    """Refuse where anything is no longer as the snapshot was fitted on it."""
    if not no_longer:
        return
    name, snapshot = segmentation.spec.name, fit.snapshot
    message = (
        f"the features no longer match snapshot {snapshot.snapshot_id} ({snapshot.partition}), which customers of "
        f"{name} are scored by: {'; '.join(no_longer)}. Nobody was scored. Run a fit: {run_command(name)}; or give "
        "the source and the defs.yaml their features back."
    )
    raise FeaturesChangedError(message)


def _require_same_key(segmentation: SegmentationContext, fit: scoring.ScoringModel, extracted: Extracted) -> None:
    then, now = (fit.ledger.key_name, fit.ledger.key_type), (segmentation.spec.source.key, extracted.key_type)
    if then != now:
        message = (
            f"the key of {segmentation.spec.name} is {then[0]} ({then[1]}), and now the source gives {now[0]} "
            f"({now[1]}). Nobody was scored. Cast the key in the query."
        )
        raise FeaturesChangedError(message)


def _score(segmentation: SegmentationContext, fit: scoring.ScoringModel, frame: pd.DataFrame, period: Period) -> Scored:
    features = fitted_features(fit.snapshot, segmentation.spec.features)
    if not features:
        _require(segmentation, fit, ["it does not say how it read its columns"])
    _require(segmentation, fit, no_longer_readable(frame, features, as_of=period.as_of))
    scored = score(frame, fit.snapshot, features, key=segmentation.spec.source.key, as_of=period.as_of)
    _require(segmentation, fit, list(scored.no_longer))
    return scored


def _record_rejected(
    context: dg.AssetExecutionContext, segmentation: SegmentationContext, fit: scoring.ScoringModel, scored: Scored
) -> None:
    """Keep the rejected rows in a transaction of their own: who asks why nobody was scored finds them."""
    spec, ledger = segmentation.spec, fit.ledger
    with transaction(spec.publish.url_env) as connection:
        ensure_tables(connection, spec.name, key_name=ledger.key_name, key_type=ledger.key_type)
        clear_rejected(connection, spec.name, run_id=context.run.run_id, partition=REJECTED_PARTITION)
        record_rejected(
            connection,
            spec.name,
            run_id=context.run.run_id,
            partition=REJECTED_PARTITION,
            key=spec.source.key,
            rejected=scored.rejected,
            reasons=scored.reasons,
            store_rows=spec.store_rows,
        )
    if len(scored.rejected):
        context.log.warning(f"{len(scored.rejected):,} rows rejected: {scored.reason_counts}")


def _rows(key: str, scored: Scored) -> pa.Table:
    def segments(ids: np.ndarray) -> pa.Array:
        return pa.array(ids.astype(np.int32), mask=ids == UNASSIGNED)

    labels = scored.assignment
    return pa.table(
        {
            key: pa.Array.from_pandas(scored.keys),
            "segment_id": segments(labels.labels),
            "distance": labels.distance,
            "second_segment_id": segments(labels.second_labels),
            "margin": labels.margin,
        }
    )


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
