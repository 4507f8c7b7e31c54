"""The asset `segment_report`."""

from dataclasses import dataclass, replace
from typing import Any

import dagster as dg
import sqlalchemy as sa

from segmentation_pipeline.analysis.features.kinds import kind_named
from segmentation_pipeline.errors import ArtifactError, ReportError
from segmentation_pipeline.model import Snapshot
from segmentation_pipeline.model.commands import run_command
from segmentation_pipeline.model.report import Rule, RunDetails
from segmentation_pipeline.orchestration.assets.published_segments import SNAPSHOT_TAG
from segmentation_pipeline.orchestration.segmentation import SegmentationContext
from segmentation_pipeline.orchestration.stages import SEGMENT_REPORT
from segmentation_pipeline.reporting.report import render
from segmentation_pipeline.storage.artifacts.datasets import AlignedSegments, FinalFit, KSweep, SegmentReport
from segmentation_pipeline.storage.registry import report_data as reports
from segmentation_pipeline.storage.registry import schema, snapshots
from segmentation_pipeline.storage.warehouse.postgres.connection import transaction

CHECK = "report_made"


@dataclass(frozen=True)
class Report:
    """A rendered report, the snapshot it shows, how many customers it says moved, and what it could not show."""

    snapshot: Snapshot
    html: bytes
    n_moved: int
    missing: tuple[str, ...]


def segment_report(segmentation: SegmentationContext) -> dg.AssetsDefinition:
    """Build the asset, with a check that warns when no report could be made: that must not fail a run."""
    check = dg.AssetCheckSpec(
        CHECK,
        asset=segmentation.key(SEGMENT_REPORT),
        blocking=False,
        description="Passes where a report was made. Without one it only warns: the segments are right all the same.",
    )

    @segmentation.asset(SEGMENT_REPORT, check_specs=[check])
    def step(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any] | dg.AssetCheckResult:
        try:
            named = context.run.tags.get(SNAPSHOT_TAG)
            made_from = [segmentation.latest(context, AlignedSegments)] if named is None else []
            report = report_of(segmentation, int(named) if named is not None else made_from[0].snapshot_id)
            with segmentation.writing(context, SEGMENT_REPORT, made_from=made_from) as artifact:
                SegmentReport.write(artifact, html=report.html, snapshot_id=report.snapshot.snapshot_id)
        except Exception as error:  # noqa: BLE001  whatever it is: the segments are right without their report
            context.log.warning(f"no report was made: {error}")
            return _check_result(segmentation, passed=False, said=f"No report was made: {error}")
        return segmentation.result(
            artifact,
            metadata={
                "report": dg.MetadataValue.path(str(SegmentReport(artifact).path)),
                "snapshot": report.snapshot.snapshot_id,
                "status": report.snapshot.status,
                "segments": report.snapshot.k,
                "customers": report.snapshot.n_assigned,
                "moved": report.n_moved,
            },
            check_results=[_check_result(segmentation, passed=True, said="The report was made.")],
        )

    return step


def latest_report(segmentation: SegmentationContext, partition: str | None) -> Report:
    """Render the report of a partition, or of the latest one that was run.

    Raises:
        ReportError: nothing of it was ever made.
    """
    name, variable = segmentation.spec.name, segmentation.spec.publish.url_env
    schema.migrate(variable)
    with transaction(variable) as connection:
        reports.freeze_reads(connection)
        snapshot = reports.choose_snapshot(connection, name, partition)
        if snapshot is None:
            what = f"{name} has no snapshot" if partition is None else f"{partition} of {name} has no snapshot"
            there = sorted({each.partition for each in snapshots.list_snapshots(connection, name)})
            others = f"; there is {there[0]} to {there[-1]}" if there else ""
            message = f"{what}, so there is nothing to report{others}. Make one:  {run_command(name, partition)}"
            raise ReportError(message)
        return _render(segmentation, connection, snapshot)


def report_of(segmentation: SegmentationContext, snapshot_id: int) -> Report:
    """Render the report of one snapshot.

    Raises:
        ReportError: there is no such snapshot.
    """
    with transaction(segmentation.spec.publish.url_env) as connection:
        reports.freeze_reads(connection)
        snapshot = snapshots.find_snapshot(connection, snapshot_id)
        if snapshot is None:
            message = f"{segmentation.spec.name} has no snapshot {snapshot_id}, so there is nothing to report"
            raise ReportError(message)
        return _render(segmentation, connection, snapshot)


def _render(segmentation: SegmentationContext, connection: sa.Connection, snapshot: Snapshot) -> Report:
    reported = reports.read_report(connection, snapshot)
    workings = replace(_workings(segmentation, snapshot), units=_list_units(snapshot))
    return Report(snapshot, render(reported, workings), snapshot.metrics.n_moved, workings.missing)


def _workings(segmentation: SegmentationContext, snapshot: Snapshot) -> RunDetails:
    """What the artifacts of the snapshot's run know; what retention has removed is named instead."""
    try:
        aligned = segmentation.dataset_of(AlignedSegments, snapshot)
        rules = tuple(Rule(**{name: rule[name] for name in Rule.__dataclass_fields__}) for rule in aligned.rules)
    except ArtifactError:
        missing = ("the rules of thumb", "the numbers of groups that were tried", "the diagnosis")
        return RunDetails(missing=missing)
    try:
        swept = segmentation.origin(segmentation.origin(aligned, FinalFit), KSweep)
        sweep, findings = swept.sweep, swept.findings
    except ArtifactError:
        return RunDetails(rules=rules, missing=("the numbers of groups that were tried", "the diagnosis"))
    return RunDetails(sweep, findings, rules)


def _list_units(snapshot: Snapshot) -> dict[str, str]:
    """Return the unit of each feature that has one, by column."""
    kinds = {str(feature["column"]): kind_named(feature["kind"]) for feature in snapshot.metrics.features}
    return {column: kind.unit for column, kind in kinds.items() if kind.unit}


def _check_result(segmentation: SegmentationContext, *, passed: bool, said: str) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=CHECK,
        asset_key=segmentation.key(SEGMENT_REPORT),
        passed=passed,
        severity=dg.AssetCheckSeverity.WARN,
        description=said,
    )
