"""A commented defs.yaml for a table, from what was found out about its columns."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segmentation_pipeline.drafting.columns import ColumnPlan
    from segmentation_pipeline.spec import FeatureSpec

# longer lines are not padded to, so that one long column does not push all comments away
_WIDEST: Final = 88
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
# what YAML 1.1 reads as something else than text
_RESERVED: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "none"})


@dataclass(frozen=True, slots=True)
class Draft:
    """What goes into a defs.yaml; `columns` None leaves the features to `auto`; `remarks` say what was looked at."""

    name: str
    table: str
    key: str
    start: str
    target: str
    target_key: str
    mode: Literal["update", "create"]
    columns: tuple[ColumnPlan, ...] | None = None
    remarks: tuple[str, ...] = ()
    key_remark: str = "unique and not null: an integer, uuid or text"
    statement: str | None = None


def write_defs_yaml(draft: Draft) -> str:
    """The text of the defs.yaml, with a comment on every choice."""
    head = [
        f"# {draft.name}: a first draft to change as you know better. docs/defs-yaml.md says what every field means.",
        *(f"# {_comment(remark)}" for remark in draft.remarks),
        "type: segmentation_pipeline.Segmentation",
        "attributes:",
    ]
    source = [
        "# A table shows the customers as they are now. To run months of the past too, write a query that uses :as_of",
        "# into a file beside this one, and name it instead of the table: `query: customers.sql`.",
        "source:",
        *_aligned([(f"  table: {_scalar(draft.table)}", ""), (f"  key: {_scalar(draft.key)}", draft.key_remark)]),
        "# The first period is the last month that is complete.",
        f'partitions: {{cadence: monthly, start: "{draft.start}", timezone: UTC}}',
        "# `enabled: true` runs each month by itself, so many hours after its end, as long as Dagster's daemon runs.",
        "schedule: {enabled: false, hours_after_end: 6}",
    ]
    lines = [*source, *_features(draft.columns), *_publish(draft)]
    return "\n".join([*head, f"  name: {draft.name}", *(f"  {line}" for line in lines)]) + "\n"


def _features(columns: Sequence[ColumnPlan] | None) -> list[str]:
    if columns is None:
        return [
            "# `auto` decides per column. To decide yourself, list the columns:",
            "#   - {column: orders, kind: numeric, transform: log1p}",
            "#   - {column: country, kind: categorical, max_categories: 20}",
            "features: auto",
            "# Columns that are never clustered on: do the segments differ in what matters to the business?",
            "# outcomes: [converted]",
        ]
    chosen = [(f"  - {_feature(each.feature)}", each.why) for each in columns if each.feature is not None]
    left_out = [(f"  # - {{column: {_scalar(each.column)}}}", each.why) for each in columns if each.role == "left out"]
    lines = ["# What customers are compared by."]
    if any(each.feature is not None and each.feature.outliers == "winsorize" for each in columns):
        lines.append(
            "# `outliers: winsorize` pulls in the outermost 1 % on either side, for a handful would get a segment."
        )
    lines += ["features:", *_aligned(chosen)]
    lines += ["  # Left out:", *_aligned(left_out)] if left_out else []
    outcomes = [_scalar(each.column) for each in columns if each.role == "outcome"]
    if outcomes:
        lines += [
            "# Never clustered on, and likely what the business wants: do the segments differ in it?",
            f"outcomes: [{', '.join(outcomes)}]",
        ]
    return lines


def _publish(draft: Draft) -> list[str]:
    fields = [f"table: {_scalar(draft.target)}", f"key: {_scalar(draft.target_key)}", "column: segment_id"]
    if draft.mode == "create":
        lines = ["# A table of its own, made by the first run."]
        fields += ["updated_column: last_updated", "mode: create"]
        if draft.statement is not None:
            lines += [
                "# To have the segments in the table itself instead, run",
                f"#   {_comment(draft.statement)}",
                f"# and write {{table: {_scalar(draft.table)}, key: {_scalar(draft.key)}, column: segment_id}}.",
            ]
    else:
        lines = ["# Only the segment column is written, and only in rows whose segment changes."]
        lines += (
            [f"# Run this before the first run:  {_comment(draft.statement)}"] if draft.statement is not None else []
        )
    return [*lines, f"publish: {{{', '.join(fields)}}}"]


def _feature(feature: FeatureSpec) -> str:
    """The feature in one line, with what is not its default."""
    said = {"column": feature.column, "kind": feature.kind} | feature.model_dump(exclude_defaults=True)
    return f"{{{', '.join(f'{name}: {_scalar(value)}' for name, value in said.items())}}}"


def _aligned(lines: Sequence[tuple[str, str]]) -> list[str]:
    """Lines with their comments one below the other."""
    width = max((len(line) for line, _ in lines if len(line) <= _WIDEST), default=0)
    return [f"{line.ljust(width)}  # {_comment(comment)}" if comment else line for line, comment in lines]


def _scalar(value: object) -> str:
    """A value as YAML reads it back, inside a flow mapping too."""
    if not isinstance(value, str):
        return json.dumps(value)
    if _PLAIN.fullmatch(value) and value.lower() not in _RESERVED:
        return value
    quoted = json.dumps(value, ensure_ascii=False)
    return "".join(each if each.isprintable() else f"\\U{ord(each):08x}" for each in quoted)


def _comment(text: str) -> str:
    """Text that ends no comment and that YAML lets stand in one: a column may be called anything."""
    return "".join(each if each.isprintable() else " " for each in text)
