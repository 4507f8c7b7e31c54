"""Progress of the partitions of a run: a bar on a terminal, plain lines elsewhere."""

import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from segmentation_pipeline.cli.console import make_console
from segmentation_pipeline.cli.views import describe_publication, describe_waiting

if TYPE_CHECKING:
    from segmentation_pipeline.orchestration.runs.execute import RunOutcome


class RunProgress:
    """A report of which partition runs and how each one ended."""

    def __init__(self, name: str, n_partitions: int, bar: Progress | None) -> None:
        """Report on `bar`, or in plain lines where it is None."""
        self._name, self._n, self._bar = name, n_partitions, bar
        self._task = bar.add_task(name, total=n_partitions) if bar is not None else None
        self._done = 0

    def start(self, partition: str) -> None:
        """Show that a partition starts."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, description=f"{self._name} {partition}")

    def end(self, outcome: "RunOutcome") -> None:
        """Show how a partition ended: in one line, and its problems in full."""
        self._done += 1
        out = self._bar.console if self._bar is not None else make_console()
        if outcome.waiting is not None:
            out.print(f"{self._name} {outcome.partition}: [bold]waits for approval, not published[/bold]")
            for line in describe_waiting(outcome.waiting):
                out.print(f"  {line}", markup=False, soft_wrap=True)
        elif outcome.success:
            out.print(f"{self._name} {outcome.partition}: {describe_publication(outcome)}")
        else:
            out.print(f"{self._name} {outcome.partition}: [bold]failed, not published[/bold]")
            for problem in outcome.problems:
                out.print(textwrap.indent(problem, "  "), markup=False, soft_wrap=True)
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self._done)


@contextmanager
def show_progress(name: str, n_partitions: int) -> Iterator[RunProgress]:
    """Show a progress bar on a terminal; elsewhere plain lines."""
    out = make_console()
    if not out.is_terminal:
        yield RunProgress(name, n_partitions, None)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=out) as bar:
        yield RunProgress(name, n_partitions, bar)
