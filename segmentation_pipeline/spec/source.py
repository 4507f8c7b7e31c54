"""What a `defs.yaml` may say about the source."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final, Self

from pydantic import Field, field_validator, model_validator

from segmentation_pipeline.spec.base import Spec

# the columns beside the key in <name>_assignment, <name>_scored, <name>_current and <name>_movers, and the hidden ones
# of every table
RESERVED: Final = frozenset(
    {"snapshot_id", "segment_id", "distance", "second_segment_id", "margin", "scored_at", "name", "since", "from", "to",
     "cluster", "second_cluster", "tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"}
)  # fmt: skip


class FreshSpec(Spec):
    """How recent the newest row must be, at the period's end, for the period to count as arrived."""

    column: str = Field(description="A date or timestamp column of the source query; `features: auto` leaves it alone.")
    within: str = Field(description="How old the newest row may be at as_of: 36h, 2d, 1w.")

    @field_validator("within")
    @classmethod
    def _check_duration(cls, value: str) -> str:
        if not re.fullmatch(r"[1-9][0-9]{0,4}[mhdw]", value):
            message = f"{value!r} is not a duration; write a whole number and m, h, d or w, such as 90m, 36h, 2d or 1w"
            raise ValueError(message)
        return value

    @property
    def limit(self) -> timedelta:
        """The duration that `within` names."""
        unit = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}[self.within[-1]]
        return timedelta(**{unit: int(self.within[:-1])})


class SourceSpec(Spec):
    """Where the customers come from: a query or a table, and the column that identifies one."""

    query: str | None = Field(
        None, description="A `.sql` file beside the defs.yaml, or the SQL itself. May use :as_of and :window_start."
    )
    table: str | None = Field(None, description="`schema.table`, instead of a query.")
    key: str = Field(description="The column that identifies a customer: integer, uuid or text; unique, not null.")
    url_env: str = Field(
        "SEGMENTATION_DATABASE_URL", description="The environment variable that holds the source database's URL."
    )
    statement_timeout_s: int = Field(3600, ge=1, description="The query is cancelled after this many seconds.")
    fresh: FreshSpec | None = Field(
        None, description="`{column: updated_at, within: 2d}` refuses a period whose data has not arrived."
    )

    @field_validator("key")
    @classmethod
    def _check_key(cls, value: str) -> str:
        if value in RESERVED:
            message = (
                f"the key is called {value!r}, and so is another column of the tables and views that show it. "
                f'Rename it in the query: SELECT "{value}" AS customer_id, ...'
            )
            raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _require_query_or_table(self) -> Self:
        if (self.query is None) == (self.table is None):
            message = "give either `query` or `table`, exactly one of them"
            raise ValueError(message)
        return self
