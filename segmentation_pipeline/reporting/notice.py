"""The status of the snapshot: what stands at the top of the report, before anything else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from segmentation_pipeline.model.commands import approve_command, decline_command, run_command

if TYPE_CHECKING:
    from segmentation_pipeline.model import Decision
    from segmentation_pipeline.model.report import SnapshotReport


@dataclass(frozen=True, slots=True)
class Notice:
    """A word for the status and, where there is more to say, a title, reasons, and commands with what they do."""

    badge: str
    tone: Literal["good", "calm", "warn", "bad"]
    title: str = ""
    reasons: tuple[str, ...] = ()
    commands: tuple[tuple[str, str], ...] = ()


def make_notice(report: SnapshotReport) -> Notice:  # noqa: PLR0911  one for each status
    """Return what the status means for a reader."""
    snapshot = report.snapshot
    name, snapshot_id = snapshot.segmentation, snapshot.snapshot_id
    again = run_command(name, snapshot.partition)
    approve, decline = approve_command(name, snapshot_id), decline_command(name, snapshot_id)
    approved, declined = _find_last(report, "approve"), _find_last(report, "decline")
    if snapshot.status == "waiting" and approved is not None:
        title = f"{approved.who} approved these segments, and they are not published yet."
        return Notice("approved, not published", "warn", title, (), (("To publish them", approve),))
    if snapshot.status == "waiting":
        title = "These segments wait for a person's decision. They are not published, and later periods wait too."
        ways = (("To publish them", approve), ("To leave them out", decline))
        return Notice("waits for a decision", "warn", title, snapshot.metrics.reasons_to_wait, ways)
    if snapshot.status == "rejected":
        failed = tuple(gate.message for gate in report.gates if gate.blocks)
        n_failed = "a check" if len(failed) == 1 else f"{len(failed)} checks"
        title = f"These segments are not published: {n_failed} failed. What was published before stays as it is."
        return Notice("rejected", "bad", title, failed, (("To try again when the cause is fixed", again),))
    if snapshot.status == "candidate":
        title = "These segments passed their checks and are not published yet."
        return Notice("not published yet", "warn", title, (), (("To publish them, unless a run is doing it", again),))
    if snapshot.status == "declined":
        title = f"These segments are not published: {_describe_decline(declined)}."
        return Notice("declined", "bad", title, _give_reason(declined), (("For a new version", again),))
    if snapshot.status == "superseded":
        return Notice("replaced", "calm", "A newer version of this period has replaced these segments.")
    if snapshot.status == "rolled_back":
        return Notice("taken back", "calm", "These segments were published and have been taken back.")
    return Notice("published, current" if report.is_current else "published", "good")


def _find_last(report: SnapshotReport, action: str) -> Decision | None:
    return next((decision for decision in reversed(report.decisions) if decision.action == action), None)


def _describe_decline(declined: Decision | None) -> str:
    return f"{declined.who} declined them on {declined.at:%Y-%m-%d}" if declined is not None else "they were declined"


def _give_reason(declined: Decision | None) -> tuple[str, ...]:
    return (declined.reason,) if declined is not None and declined.reason else ()
