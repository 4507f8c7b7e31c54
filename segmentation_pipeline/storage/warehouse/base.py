"""The seam between the package and a database: what is read from a source and what is written to a target.

A warehouse is a folder beside this file with a `Source`, a `Target` or both; `open.py` names it by its URL's scheme.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from segmentation_pipeline.model import KeyType, Period

# the columns' names with the database's own names of their types
Columns: TypeAlias = dict[str, str]


@dataclass(frozen=True, slots=True)
class Extracted:
    """What an extraction wrote; `data_version` does not depend on the order of the rows."""

    n_rows: int
    data_version: str
    key_type: KeyType
    column_types: Columns


@dataclass(frozen=True, slots=True)
class ExtractedFrame:
    """What an extraction would have written, with the rows as every stage reads them."""

    extracted: Extracted
    rows: pd.DataFrame


@dataclass(frozen=True, slots=True)
class InspectedTable:
    """A table as it was found: a sample of its rows (all of them where they are few) and what the database knows.

    `table` is `schema.table` as a defs.yaml takes it. `n_distinct` is the database's estimate of the number of
    different values of a column, where it has one.
    """

    table: str
    key: str
    n_rows: int
    sample: pd.DataFrame
    column_types: Columns
    n_distinct: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProposedTarget:
    """Where the segments of a table can be written, and the statement that makes another place possible."""

    table: str
    key: str
    mode: Literal["update", "create"]
    statement: str | None = None


@dataclass(frozen=True, slots=True)
class WrittenSegments:
    """The numbers of target rows that a writing of segments changed, left, missed and found beside those written.

    `not_in_target` customers have no row in the target. `absent` rows have a segment, and their customer is not among
    those written.
    """

    changed: int
    unchanged: int
    not_in_target: int
    absent: int
    examples_not_in_target: tuple[str, ...]


class Source(Protocol):
    """A database that customers are read from, by the `source` of a defs.yaml. Nothing in it is ever changed."""

    def is_dated(self, query: str) -> bool:
        """Return whether the query uses `:as_of` or `:window_start`, so that an earlier period differs from today."""

    def describe(self, query: str, period: Period) -> Columns:
        """Return the columns of the query without running it."""

    def extract(self, query: str, period: Period, destination: Path) -> Extracted:
        """Run the query for a period and write its rows to the Parquet file `destination`."""

    def extract_frame(self, query: str, period: Period) -> ExtractedFrame:
        """Run the query for a period and return its rows as every stage reads them; no file stays."""

    def inspect(self, table: str, period: Period) -> InspectedTable:
        """Return a sample of a table, and what the database knows of it, after checking its key."""

    def propose_target(self, inspected: InspectedTable, name: str, *, wanted: str | None = None) -> ProposedTarget:
        """Return where the segments `name` of an inspected table can be written in the same database."""


class Target(Protocol):
    """A database that segments are written to, by the `publish` of a defs.yaml, inside an open transaction.

    `rows` is the quoted name of a table of the same database, with the key in the column `key` and a `segment_id`.
    """

    def check(self, *, key_type: KeyType) -> None:
        """Raise TargetError where the target cannot take segments; make what is missing in `create` mode."""

    def write(self, rows: str, *, key: str) -> WrittenSegments:
        """Write the segments of `rows` where the target differs."""

    def clear_absent(self, rows: str, *, key: str) -> int:
        """Empty the segment of the customers that are not in `rows`; return the number of target rows."""

    def clear_customer(self, key: int | str, *, key_type: KeyType) -> int:
        """Empty the segment of one customer; return the number of target rows."""
