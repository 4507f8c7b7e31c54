"""A commented defs.yaml for a table, from what is known of its columns."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from segmentation_pipeline.drafting.columns import ColumnPlan
    from segmentation_pipeline.spec import FeatureSpec

# comments are not aligned behind longer lines, so that one long column does not push all of them away
_WIDEST: Final = 88
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
# what YAML 1.1 does not read as text
_RESERVED: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "none"})


@dataclass(frozen=True, slots=True)
class Draft:
    """What goes into a defs.yaml: without `columns` the features are `auto`; `remarks` say what was looked at."""

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
    """Write the text of a defs.yaml, with a comment on every choice."""
    head = [
        f"# {draft.name}: a first draft to change as you know better. docs/defs-yaml.md says what every field means.",
        *(f"# {_clean(remark)}" for remark in draft.remarks),
        "type: segmentation_pipeline.Segmentation",
        "attributes:",
    ]
    source = [
        "# A table shows the customers as they are now. To run months of the past too, write a query that uses :as_of",
        "# into a file beside this one, and name it instead of the table: `query: customers.sql`.",
        "source:",
        *_align([(f"  table: {_quote(draft.table)}", ""), (f"  key: {_quote(draft.key)}", draft.key_remark)]),
        "# The first period is the last month that is complete.",
        f'partitions: {{cadence: monthly, start: "{draft.start}", timezone: UTC}}',
        "# `enabled: true` runs each month by itself, so many hours after its end, as long as Dagster's daemon runs.",
        "schedule: {enabled: false, hours_after_end: 6}",
    ]
    lines = [*source, *_write_features(draft.columns), *_write_publish(draft)]
    return "\n".join([*head, f"  name: {draft.name}", *(f"  {line}" for line in lines)]) + "\n"


def _write_features(columns: Sequence[ColumnPlan] | None) -> list[str]:
    if columns is None:
        return [
            "# `auto` decides per column. To decide yourself, list the columns:",
            "#   - {column: orders, kind: numeric, transform: log1p}",
            "#   - {column: country, kind: categorical, max_categories: 20}",
            "features: auto",
            "# Columns that are never clustered on: do the segments differ in what matters to the business?",
            "# outcomes: [converted]",
        ]
    features = [(column.feature, column.why) for column in columns if column.feature is not None]
    left_out = [
        (f"  # - {{column: {_quote(column.column)}}}", column.why) for column in columns if column.role == "left out"
    ]
    lines = ["# What customers are compared by."]
    if any(feature.outliers == "winsorize" for feature, _ in features):
        lines.append(
            "# `outliers: winsorize` pulls in the outermost 1 % on either side, for a handful would get a segment."
        )
    lines += ["features:", *_align([(f"  - {_write_feature(feature)}", why) for feature, why in features])]
    lines += ["  # Left out:", *_align(left_out)] if left_out else []
    outcomes = [_quote(column.column) for column in columns if column.role == "outcome"]
    if outcomes:
        lines += [
            "# Never clustered on, and likely what the business wants: do the segments differ in it?",
            f"outcomes: [{', '.join(outcomes)}]",
        ]
    return lines


def _write_publish(draft: Draft) -> list[str]:
    fields = [f"table: {_quote(draft.target)}", f"key: {_quote(draft.target_key)}", "column: segment_id"]
    if draft.mode == "create":
        lines = ["# A table of its own, made by the first run."]
        fields += ["updated_column: last_updated", "mode: create"]
        if draft.statement is not None:
            lines += [
                "# To have the segments in the table itself instead, run",
                f"#   {_clean(draft.statement)}",
                f"# and write {{table: {_quote(draft.table)}, key: {_quote(draft.key)}, column: segment_id}}.",
            ]
    else:
        lines = ["# Only the segment column is written, and only in rows whose segment changes."]
        lines += [f"# Run this before the first run:  {_clean(draft.statement)}"] if draft.statement is not None else []
    return [*lines, f"publish: {{{', '.join(fields)}}}"]


def _write_feature(feature: FeatureSpec) -> str:
    """Write a feature in one line, with every field that is not its default."""
    fields = {"column": feature.column, "kind": feature.kind} | feature.model_dump(exclude_defaults=True)
    return f"{{{', '.join(f'{name}: {_quote(value)}' for name, value in fields.items())}}}"


def _align(lines: Sequence[tuple[str, str]]) -> list[str]:
    """Join lines and their comments, the comments one below the other."""
    width = max((len(line) for line, _ in lines if len(line) <= _WIDEST), default=0)
    return [f"{line.ljust(width)}  # {_clean(comment)}" if comment else line for line, comment in lines]


def _quote(value: object) -> str:
    """Write a value so that YAML reads it back, inside a flow mapping too."""
    if not isinstance(value, str):
        return json.dumps(value)
    if _PLAIN.fullmatch(value) and value.lower() not in _RESERVED:
        return value
    quoted = json.dumps(value, ensure_ascii=False)
    return "".join(letter if letter.isprintable() else f"\\U{ord(letter):08x}" for letter in quoted)


def _clean(text: str) -> str:
    """Write text that cannot end a comment and that YAML allows in one: a column may have any name."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
