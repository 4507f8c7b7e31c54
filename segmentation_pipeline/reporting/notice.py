"""Where the snapshot stands: what must be said at the top, before anything else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from segmentation_pipeline.model.commands import approve_command, decline_command, run_command

if TYPE_CHECKING:
    from segmentation_pipeline.model import Decision
    from segmentation_pipeline.model.report import SnapshotReport


@dataclass(frozen=True, slots=True)
class Notice:
    """A word for the status and, where something is to be said, a title, reasons, and commands with what they do."""

    badge: str
    tone: Literal["good", "calm", "warn", "bad"]
    title: str = ""
    reasons: tuple[str, ...] = ()
    commands: tuple[tuple[str, str], ...] = ()


def make_notice(reported: SnapshotReport) -> Notice:  # noqa: PLR0911  one for each status
    """What the status means for a reader."""
    snapshot = reported.snapshot
    name, snapshot_id = snapshot.segmentation, snapshot.snapshot_id
    again = run_command(name, snapshot.partition)
    approve, decline = approve_command(name, snapshot_id), decline_command(name, snapshot_id)
    approved, declined = _find_last(reported, "approve"), _find_last(reported, "decline")
    if snapshot.status == "waiting" and approved is not None:
        title = f"{approved.who} approved these segments, and they are not published yet."
        return Notice("approved, not published", "warn", title, (), (("To publish them", approve),))
    if snapshot.status == "waiting":
        title = "These segments wait for a person. Nothing of them is published, and later periods wait too."
        ways = (("To publish them", approve), ("To leave them out", decline))
        return Notice("waits for a decision", "warn", title, snapshot.metrics.reasons_to_wait, ways)
    if snapshot.status == "rejected":
        failed = tuple(gate.message for gate in reported.gates if gate.blocks)
        n_failed = "a check" if len(failed) == 1 else f"{len(failed)} checks"
        title = f"These segments are not published: {n_failed} failed. What was published before stays as it is."
        return Notice("rejected", "bad", title, failed, (("To try again when the cause is mended", again),))
    if snapshot.status == "candidate":
        title = "These segments passed their checks and are not published yet."
        return Notice("not published yet", "warn", title, (), (("To publish them, if no run is doing it", again),))
    if snapshot.status == "declined":
        title = f"These segments are not published: {_describe_decline(declined)}."
        return Notice("declined", "bad", title, _give_reason(declined), (("For a new version", again),))
    if snapshot.status == "superseded":
        return Notice("replaced", "calm", "A newer version of this period has taken the place of these segments.")
    if snapshot.status == "rolled_back":
        return Notice("taken back", "calm", "These segments were published, and were taken back since.")
    return Notice("published, current" if reported.is_current else "published", "good")


def _find_last(reported: SnapshotReport, action: str) -> Decision | None:
    return next((each for each in reversed(reported.decisions) if each.action == action), None)


def _describe_decline(declined: Decision | None) -> str:
    return f"{declined.who} declined them on {declined.at:%Y-%m-%d}" if declined is not None else "they were declined"


def _give_reason(declined: Decision | None) -> tuple[str, ...]:
    return (declined.reason,) if declined is not None and declined.reason else ()
