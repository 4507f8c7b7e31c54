"""The console: a terminal, or a pipe that is not wrapped."""

import sys
from typing import Final

from rich.console import Console
from rich.table import Table

PLAIN_WIDTH: Final = 140


def make_console(*, error: bool = False) -> Console:
    """Return a console that does not wrap at 80 columns when it is piped."""
    stream = sys.stderr if error else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else PLAIN_WIDTH, highlight=False)


def make_table(*columns: str) -> Table:
    """Return a table without a frame, with its numbers to the right."""
    table = Table(show_edge=False, pad_edge=False, header_style="bold")
    numeric = {"customers", "K", "silhouette", "share", "rows", "v", "snapshot", "parent", "segment", "changed segment"}
    for column in columns:
        table.add_column(column, justify="right" if column in numeric else "left")
    return table
