"""Rendering the report of a snapshot from the database and from the artifacts of its run."""

from dataclasses import dataclass, replace

from segmentation_pipeline.analysis.features.kinds import kind_named
from segmentation_pipeline.errors import ArtifactError, ReportError
from segmentation_pipeline.model import Snapshot
from segmentation_pipeline.model.commands import run_command
from segmentation_pipeline.model.report import RunDetails
from segmentation_pipeline.orchestration.segmentation import SegmentationContext
from segmentation_pipeline.reporting.report import render
from segmentation_pipeline.storage.artifacts.datasets import AlignedSegments, FinalFit, KSweep
from segmentation_pipeline.storage.registry import report_data, schema, snapshots
from segmentation_pipeline.storage.registry.connection import Connection
from segmentation_pipeline.storage.warehouse.postgres.connection import transaction


@dataclass(frozen=True)
class Report:
    """A rendered report, the snapshot it shows, how many customers it says moved, and what it could not show."""

    snapshot: Snapshot
    html: bytes
    n_moved: int
    missing: tuple[str, ...]


def render_latest(segmentation: SegmentationContext, partition: str | None) -> Report:
    """Render the report of a partition, or of the latest one that was run.

    Raises:
        ReportError: nothing of it was ever made.
    """
    name, variable = segmentation.spec.name, segmentation.spec.publish.url_env
    schema.migrate(variable)
    with transaction(variable) as connection:
        report_data.freeze_reads(connection)
        snapshot = report_data.choose_snapshot(connection, name, partition)
        if snapshot is None:
            what = f"{name} has no snapshot" if partition is None else f"{partition} of {name} has no snapshot"
            there = sorted({snapshot.partition for snapshot in snapshots.list_snapshots(connection, name)})
            others = f"; there is {there[0]} to {there[-1]}" if there else ""
            message = f"{what}, so there is nothing to report{others}. Make one:  {run_command(name, partition)}"
            raise ReportError(message)
        return _render(segmentation, connection, snapshot)


def render_snapshot(segmentation: SegmentationContext, snapshot_id: int) -> Report:
    """Render the report of one snapshot.

    Raises:
        ReportError: there is no such snapshot.
    """
    with transaction(segmentation.spec.publish.url_env) as connection:
        report_data.freeze_reads(connection)
        snapshot = snapshots.find_snapshot(connection, snapshot_id)
        if snapshot is None:
            message = f"{segmentation.spec.name} has no snapshot {snapshot_id}, so there is nothing to report"
            raise ReportError(message)
        return _render(segmentation, connection, snapshot)


def _render(segmentation: SegmentationContext, connection: Connection, snapshot: Snapshot) -> Report:
    reported = report_data.read_report(connection, snapshot)
    details = replace(_read_details(segmentation, snapshot), units=_list_units(snapshot))
    return Report(snapshot, render(reported, details), snapshot.metrics.n_moved, details.missing)


def _read_details(segmentation: SegmentationContext, snapshot: Snapshot) -> RunDetails:
    """Return what the artifacts of the snapshot's run hold; what retention has removed is named instead."""
    try:
        aligned = segmentation.dataset_of(AlignedSegments, snapshot)
        rules = aligned.rules
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
