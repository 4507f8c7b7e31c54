"""What a `defs.yaml` may say about publishing."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from segmentation_pipeline.spec.base import Spec

Approval = Literal["auto", "on_change", "manual"]


class PublishSpec(Spec):
    """Where the segment of each customer is written."""

    table: str = Field(description="`schema.table` in the target database.")
    key: str = Field(description="The target's column that holds the source's key.")
    column: str = Field("segment_id", description="The column that takes the segment id.")
    updated_column: str | None = Field(None, description="A timestamp column, set on the rows whose segment changes.")
    mode: Literal["update", "create"] = Field(
        "update", description="`update` writes to rows that exist; `create` also makes the table and missing rows."
    )
    approval: Approval = Field(
        "auto",
        description=(
            "`auto` publishes what passes its gates, `manual` only what a person approves; `on_change` asks a person "
            "where K changed, a segment was born, came back or retired, or more customers than `gates.max_moved` moved."
        ),
    )
    absent: Literal["keep", "clear"] = Field(
        "keep", description="Customers of the target that are not in the source: keep their segment, or empty it."
    )
    url_env: str = Field(
        "SEGMENTATION_DATABASE_URL", description="The environment variable that holds the target database's URL."
    )
