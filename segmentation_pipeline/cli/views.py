"""What the commands show: tables and lines, of values that the commands have read."""

import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from segmentation_pipeline.cli.console import make_console, make_table
from segmentation_pipeline.model.commands import (
    approve_command,
    backfill_command,
    decline_command,
    doctor_command,
    run_command,
    status_command,
)

if TYPE_CHECKING:
    from segmentation_pipeline.demo.showing import DemoResult
    from segmentation_pipeline.demo.truth import IdentityStability
    from segmentation_pipeline.doctor.check import Check
    from segmentation_pipeline.drafting.defs_yaml import Draft
    from segmentation_pipeline.lifecycle.forget import Forgotten
    from segmentation_pipeline.model import Json, LineageEvent, Snapshot
    from segmentation_pipeline.model.receipts import RollbackReceipt
    from segmentation_pipeline.orchestration.runs.execute import RunOutcome, ScoringOutcome
    from segmentation_pipeline.orchestration.segmentation import SegmentationContext
    from segmentation_pipeline.storage.registry.status import DecisionLog

STATUS_STYLES = {"published": "green", "waiting": "yellow", "candidate": "yellow", "rejected": "red", "declined": "red"}


def show_status(status: "Json", log: "DecisionLog", stale: Sequence[str] = ()) -> None:
    """Print what `status --json` returns, for people, and what waits for them or was decided by them.

    `stale` are the partitions that were aligned with an older parent.
    """
    out = make_console()
    out.print(f"[bold]{status['segmentation']}[/bold]")
    if not status["snapshots"]:
        out.print(f"  no snapshot yet; start with: {run_command(status['segmentation'])}")
        return
    table = make_table("partition", "v", "status", "snapshot", "parent", "K", "rows", "silhouette")
    for snapshot in status["snapshots"]:
        is_current = snapshot["snapshot_id"] == status["current_snapshot_id"]
        silhouette = f"{snapshot['silhouette']:.3f}" if snapshot["silhouette"] is not None else ""
        table.add_row(
            snapshot["partition"],
            str(snapshot["version"]),
            # the current snapshot is published; that word beside it would not fit into 80 columns
            Text("current", "bold green")
            if is_current
            else Text(snapshot["status"], STATUS_STYLES.get(snapshot["status"], "dim")),
            str(snapshot["snapshot_id"]),
            str(snapshot["parent_snapshot_id"] or ""),
            str(snapshot["k"]),
            f"{snapshot['n_rows']:,}",
            silhouette,
        )
    out.print(table, "")
    _show_segments(out, status["segments"])
    _show_decisions(out, log)
    if stale:
        rebuild = backfill_command(status["segmentation"], stale[0], stale[-1])
        out.print(f"{', '.join(stale)} built on an older parent. Rebuild:  [bold]{rebuild}[/bold]")


def show_draft(draft: "Draft", path: str) -> None:
    """Print what `init` made of each column, and the commands that come next."""
    out = make_console()
    table = make_table("column", "taken as", "why")
    for plan in draft.columns or ():
        kind = str(plan.feature.kind if plan.feature is not None else plan.role)
        table.add_row(*(Text(text) for text in (plan.column, kind, plan.why)))
    out.print(table)
    out.print(f"\nWritten: {path}  (look at it: every line says why)", markup=False, soft_wrap=True)
    if draft.mode == "update" and draft.statement is not None:
        out.print(f"First run in the database:\n  {draft.statement}", markup=False, soft_wrap=True)
    place = f"{draft.target}, which it makes" if draft.mode == "create" else draft.target
    out.print("Next:")
    for command, what in (
        (run_command(draft.name), f"the customers as they are, into {place}"),
        (status_command(draft.name), "the segments and how many customers are in each"),
        (doctor_command(), "if something is in the way"),
    ):
        out.print(f"  {command.ljust(24 + len(draft.name))}# {what}", markup=False, soft_wrap=True)


def show_checks(checks: "Iterable[tuple[str, Check]]") -> bool:
    """Print a line for each check as it is made, and the fix of each problem; return whether all is well."""
    out, n_checks, n_problems = make_console(), 0, 0
    for of, check in checks:
        n_checks += 1
        n_problems += not check.ok
        mark = "[green]ok     [/green]" if check.ok else "[bold red]problem[/bold red]"
        out.print(mark, Text(f" {f'{of}: {check.what}'.ljust(36)} {check.found}"), sep="", soft_wrap=True)
        if not check.ok:
            out.print("        [bold]fix:[/bold]", Text(check.fix), soft_wrap=True)
    summary = f"{n_problems} of {n_checks} checks found a problem" if n_problems else f"{n_checks} checks, all well"
    out.print(f"[bold]{summary}[/bold]")
    return n_problems == 0


def show_demo(result: "DemoResult", *, table_name: str, n_up_to_date: int, changed: int) -> None:
    """Print what the demo found: the months, the segments, how stable they are, and the way to the UI."""
    out = make_console()
    table = make_table("month", "customers", "K", "silhouette", "what happened to the segments", "changed segment")
    for month in result.months:
        snapshot, metrics = month.snapshot, month.snapshot.metrics
        moved = f"{metrics.n_moved:,} of {metrics.n_shared:,}" if snapshot.parent_snapshot_id else "-"
        table.add_row(
            snapshot.partition[:7],
            f"{snapshot.n_assigned:,}",
            str(snapshot.k),
            f"{metrics.silhouette:.2f}" if metrics.silhouette is not None else "",
            describe_events(month.events),
            moved,
        )
    out.print(table)
    _show_segments(out, result.segments)
    _show_stability(out, result.stability)
    out.print(f"{n_up_to_date} months were up to date; {changed:,} rows of {table_name} changed.")
    out.print("Look at it in the Dagster UI: [bold]make ui[/bold], then http://localhost:3000")


def show_scoring(segmentation: "SegmentationContext", outcome: "ScoringOutcome") -> None:
    """Print what scoring did in a line, and what to look at."""
    out, name, receipt, rows = make_console(), segmentation.spec.name, outcome.receipt, outcome.rows
    if receipt is None or rows is None:
        out.print(f"{name}: [bold]nobody was scored[/bold]")
        for problem in outcome.problems:
            out.print(textwrap.indent(problem, "  "), markup=False, soft_wrap=True)
        return
    parts = [
        f"{receipt.new:,} new",
        f"{receipt.moved:,} in another segment than at the fit",
        f"{receipt.changed:,} rows of {segmentation.spec.publish.table} changed",
        f"{receipt.unchanged:,} unchanged",
    ]
    parts += [f"{receipt.unassigned:,} in no segment"] if receipt.unassigned else []
    parts += [f"{rows.rejected:,} rejected (see segmentation.{name}_rejected)"] if rows.rejected else []
    parts += [f"{receipt.kept:,} not scored today keep their segment"] if receipt.kept else []
    if receipt.not_in_target:
        examples = ", ".join(receipt.examples_not_in_target)
        parts.append(f"{receipt.not_in_target:,} are not in the target, for example {examples}")
    scored = f"{receipt.scored:,} customers scored by snapshot {receipt.snapshot_id} ({rows.snapshot_partition})"
    out.print(f"{name}: {scored}: {', '.join(parts)}", markup=False, soft_wrap=True)
    for warning in outcome.warnings:
        out.print(f"  warning: {warning}", markup=False, soft_wrap=True)


def describe_events(events: "Sequence[LineageEvent]") -> str:
    """Return the lineage of a period in words: "1, 2 kept; 4 born (split from 2)"."""
    by_event: dict[str, list[str]] = {}
    notes = {
        event.segment_id: f" ({event.event.replace('_', ' ')} {event.other_segment_id})"
        for event in events
        if event.other_segment_id is not None
    }
    for event in events:
        if event.other_segment_id is None:
            text = f"{event.segment_id}{notes.get(event.segment_id, '')}"
            by_event.setdefault(event.event, []).append(text)
    return "; ".join(f"{', '.join(ids)} {event}" for event, ids in by_event.items())


def _show_segments(out: Console, segments: "list[Json]") -> None:
    table = make_table("segment", "name", "customers", "share")
    for segment in segments:
        live = segment["live"]
        customers = f"{segment['n_customers']:,}" if live else "retired"
        share = f"{segment['share']:.1%}" if live else ""
        # a name is a person's text, and may look like markup
        table.add_row(str(segment["segment_id"]), Text(segment["name"]), customers, share)
    out.print(table)


def _show_decisions(out: Console, log: "DecisionLog") -> None:
    for entry in log.decisions:
        decision = entry.decision
        reason = f": {decision.reason}" if decision.reason else ""
        line = f"{decision.at:%Y-%m-%d %H:%M} {decision.who}: {decision.action} {entry.label}{reason}"
        out.print(line, markup=False, soft_wrap=True)
    for waiting in log.waiting:
        snapshot = waiting.snapshot
        if waiting.approved_by is not None:
            line = f"{snapshot.label} is approved by {waiting.approved_by} and not published yet; publish it:"
            approve_it = approve_command(snapshot.segmentation, snapshot.snapshot_id)
            out.print(line, f"  {approve_it}", sep="\n", markup=False, soft_wrap=True)
            continue
        out.print(f"{snapshot.label} waits for a person:", markup=False, soft_wrap=True)
        for line in describe_waiting(snapshot):
            out.print(f"  {line}", markup=False, soft_wrap=True)


def describe_waiting(snapshot: "Snapshot") -> list[str]:
    """Return the reasons why a snapshot waits, and the commands that decide, a line each."""
    name, snapshot_id = snapshot.segmentation, snapshot.snapshot_id
    return [*snapshot.metrics.reasons_to_wait, approve_command(name, snapshot_id), decline_command(name, snapshot_id)]


def _show_stability(out: Console, stability: "IdentityStability") -> None:
    out.print(
        f"True personas kept their segment id in [bold]{stability.kept_by_segment:.1%}[/bold] of {stability.steps} "
        f"month-to-month steps; the raw K-Means index would have kept its number in {stability.kept_by_cluster:.1%}."
    )
    for persona in stability.personas:
        if persona.returns:
            out.print(
                f"{persona.persona}: away and back {persona.returns} time(s), "
                f"under the old segment id {persona.returned_to_segment} time(s)."
            )


def describe_publication(outcome: "RunOutcome") -> str:
    """Return what a publication did, in a phrase."""
    receipt = outcome.receipt
    if receipt is not None and receipt.already_published:
        return "published already, 0 rows changed"
    if receipt is None or not receipt.became_current:
        return "published to the history; the target shows a later period"
    absent = ""
    if receipt.not_in_target:
        examples = ", ".join(receipt.examples_not_in_target)
        absent = f", {receipt.not_in_target:,} customers are not in the target, for example {examples}"
    return f"published, {outcome.changed:,} rows changed, {receipt.unchanged or 0:,} unchanged{absent}"


def show_forgotten(segmentation: "SegmentationContext", key: str, forgotten: "Forgotten") -> None:
    """Print what was erased of a customer, where, and what is for the user to do."""
    out, name, target = make_console(), segmentation.spec.name, segmentation.spec.publish.table
    if not forgotten.anything:
        out.print(f"{name}: nothing was kept of customer {key!r}", markup=False, soft_wrap=True)
        return
    rows = (
        f"{forgotten.history:,} rows of the history, {forgotten.scored:,} scored, {forgotten.rejected:,} rejected; "
        f"segment emptied in {forgotten.target:,} rows of {target}"
    )
    out.print(f"{name}: customer {key!r} is erased: {rows}", markup=False, soft_wrap=True)
    lines = [f"artifact {artifact} rewritten without the customer" for artifact in forgotten.rewritten]
    lines += [f"artifact {artifact} removed; to align its period again, run it again" for artifact in forgotten.removed]
    lines += [
        "The target's other columns and the source are unchanged.",
        "A customer who is still in the source comes back with the next run.",
        "Dagster's event log may name a customer who has no row in the target, or a rejected value: delete those runs.",
    ]
    for line in lines:
        out.print(f"  {line}", markup=False, soft_wrap=True)


def describe_rollback(receipt: "RollbackReceipt") -> str:
    """Return what a rollback did, in a sentence."""
    others = {"rolled back": receipt.rolled_back, "declined": receipt.declined}
    newer = "; ".join(f"{what}: {', '.join(map(str, ids))}" for what, ids in others.items() if ids)
    return (
        f"snapshot {receipt.snapshot_id} ({receipt.partition}) is current again; {receipt.changed:,} rows changed, "
        f"{receipt.unchanged:,} unchanged, {receipt.emptied:,} emptied (customers it does not know), "
        f"{receipt.not_in_target:,} of its customers are not in the target; {newer}"
    )
