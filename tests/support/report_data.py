"""Invented snapshots for tests of the report: any number of segments and periods, without a database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from segmentation_pipeline.model import (
    Encoding,
    Finding,
    FittedModel,
    GateResult,
    LineageEvent,
    Snapshot,
    SnapshotMetrics,
    StructureVerdict,
    SweepCandidate,
    SweepResult,
    Transition,
)
from segmentation_pipeline.model.report import (
    Provenance,
    ReportedPeriod,
    ReportedSegment,
    Rule,
    RunDetails,
    SnapshotReport,
)

if TYPE_CHECKING:
    from segmentation_pipeline.model import Status

SIZE = 120  # customers of a segment
FEATURES = [
    {"column": "spend_180d", "kind": "numeric"},
    {"column": "channel", "kind": "categorical"},
    {"column": "newsletter", "kind": "boolean"},
    {"column": "first_order", "kind": "date"},
]


def make_profile(index: int) -> dict[str, Any]:
    """Make a profile as the database has it; the fourth feature has no value in the first segment."""
    z = (-1) ** index * (1.5 - 0.1 * index)
    return {
        "spend_180d": {"mean": 100.0 * index, "median": 90.5 * index, "z": z},
        "channel": {"shares": {"web": 0.8, "shop & go": 0.2}, "everybody": {"web": 0.5, "shop & go": 0.5}},
        "newsletter": {"shares": {"true": 0.9, "false": 0.1}, "everybody": {"true": 0.6, "false": 0.4}},
        "first_order": {"mean": None, "median": None, "z": None}
        if index == 1
        else {"mean": 30, "median": 28, "z": 0.6},
        "converted": {"mean": 0.25, "median": 0.0, "z": 0.3},
    }


def make_report(
    k: int = 3,
    *,
    months: int = 3,
    name: str = "segment {}",
    status: Status = "published",
    reasons: tuple[str, ...] = (),
    transitions: tuple[Transition, ...] | None = None,
    **changes: Any,
) -> SnapshotReport:
    """Make the report of a snapshot with `k` equal segments whose ids never changed; ten customers moved from 1 to 2."""
    names = {segment: name.replace("{}", str(segment)) for segment in range(1, k + 1)}
    moved = [Transition(1, 2, 10, 4)] if k > 1 else []
    stayed = [Transition(segment, segment, SIZE - 20, 0) for segment in names]
    parent_transitions = tuple(stayed + moved) if months > 1 else ()
    metrics = SnapshotMetrics(
        features=tuple(FEATURES), silhouette=0.5123, reason=f"K = {k}: silhouette 0.51", n_moved=10 if moved else 0,
        transitions=parent_transitions if transitions is None else transitions, reasons_to_wait=reasons,
    )  # fmt: skip
    snapshot = Snapshot(
        snapshot_id=months, segmentation="shop", partition=f"2024-{months:02}-01",
        as_of=datetime(2024, months + 1, 1, tzinfo=UTC), version=1, status=status, k=k, n_rows=k * SIZE + 7,
        n_assigned=k * SIZE, parent_snapshot_id=months - 1 or None, run_id="a1b2", code_version="c0de", metrics=metrics,
        encoding=Encoding(()), model=FittedModel("kmeans", np.zeros((k, 2)), tuple(names)), created_at=datetime(2024, months + 1, 2, tzinfo=UTC),
    )  # fmt: skip
    parent = replace(snapshot, snapshot_id=months - 1, partition=f"2024-{months - 1:02}-01") if months > 1 else None
    found = SnapshotReport(
        snapshot=snapshot,
        making=Provenance("kmeans", 2**32 - 1, 4, 3, {"numpy": "2"}, "da7a", datetime(2024, 5, 3, tzinfo=UTC)),
        parent=parent,
        is_current=status == "published",
        segments=tuple(
            ReportedSegment(segment, names[segment], "automatic", None, SIZE, 1 / k, make_profile(segment), "2024-01-01") for segment in names
        ),
        names=names,
        periods=tuple(
            ReportedPeriod(
                f"2024-{month:02}-01", month, dict.fromkeys(names, SIZE), dict.fromkeys(names, 1 / k),
                tuple(LineageEvent(segment, "born" if month == 1 else "kept") for segment in names),
            )
            for month in range(1, months + 1)
        ),
        gates=(
            GateResult("counts_add_up", True, "block", 0.0, 0.0, "it adds up"),
            GateResult("min_segment_share", True, "block", 1 / k, 0.01, "segment 1 is the smallest (limit 0.01)"),
            GateResult("max_row_drop", False, "block", 0.8, 0.5, "60 rows, 300 before (limit 0.5). Look at the source."),
            GateResult("max_moved", False, "warn", 0.31, 0.3, "many moved (limit 0.3)"),
        ),
        decisions=(),
    )  # fmt: skip
    return replace(found, **changes)


def make_run_details(k: int = 3) -> RunDetails:
    """Make a sweep that chooses `k`, two findings and a rule for the first segment."""
    candidates = tuple(
        SweepCandidate(n_clusters, 100 / n_clusters, 0.5, 0.6 - 0.03 * abs(n_clusters - k), 1.0, 9.0, 0.1, 0.5)
        for n_clusters in range(2, max(k, 10) + 1)
    )
    structure = StructureVerdict("structure", 9.0, 0.5, "there are groups")
    return RunDetails(
        sweep=SweepResult(candidates, k, "", k + 1, None, (), structure, 0, 100, 100, 200.0),
        findings=(
            Finding("shape", "a score of 0.9", "Groups are chains", "Set `fit: {algorithm: hdbscan}`", 0.9, "warn"),
            Finding("ties", "many ties", "Numbers repeat", "Leave the column out", 0.2, "info"),
        ),
        rules=(Rule(1, "spend_180d <= 99 and channel is web", 118, 0.97),),
        units={"first_order": "days ago"},
    )
