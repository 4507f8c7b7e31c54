"""Write the reference of defs.yaml from the spec: python docs/generate_reference.py > docs/defs-yaml.md."""

from __future__ import annotations

import types
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Union, get_args, get_origin

import yaml
from pydantic_core import PydanticUndefined

from segmentation_pipeline.spec import (
    FitSpec,
    FreshSpec,
    Gate,
    GatesSpec,
    PartitionsSpec,
    PublishSpec,
    RetentionSpec,
    ScheduleSpec,
    SegmentationSpec,
    SourceSpec,
    SweepSpec,
)
from segmentation_pipeline.spec.base import Spec
from segmentation_pipeline.spec.features import FeatureSpec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic.fields import FieldInfo

MINIMAL: Final = """\
type: segmentation_pipeline.Segmentation
attributes:
  name: members
  source: {table: club.members, key: member_id}
  partitions: {start: "2025-01-01"}
  publish: {table: club.segments, key: member_id, mode: create}
"""
FULL: Final = """\
type: segmentation_pipeline.Segmentation
attributes:
  name: members
  source:
    query: members.sql
    key: member_id
    fresh: {column: last_bought_at, within: 2d}
  partitions: {cadence: monthly, start: "2025-01-01", timezone: Europe/Berlin}
  schedule: {enabled: true, hours_after_end: 6, score: "0 7 * * *"}
  features:
    - {column: recency_days, kind: numeric, transform: log1p, min: 0}
    - {column: spend, kind: numeric, transform: auto, outliers: winsorize}
    - {column: joined_on, kind: date, missing: indicator}
    - {column: newsletter, kind: boolean, weight: 0.5}
    - {column: channel, kind: categorical, max_categories: 5, missing: category}
  outcomes: [renewed]
  sweep: {k_min: 3, k_max: 8}
  gates: {min_segment_share: 0.02, max_moved: {threshold: 0.2, severity: block}}
  publish: {table: club.segments, key: member_id, mode: create, updated_column: updated_at, approval: on_change}
  retention: {artifacts: 12, assignments: 36}
  owners: ["team:crm"]
"""


@dataclass(frozen=True)
class Section:
    """One table of the page: the part of a defs.yaml at `place`, with an example for each of its fields."""

    model: type[Spec]
    place: str
    examples: Mapping[str, str]
    notes: str = ""


def _write_example(name: str, field: FieldInfo) -> str:
    """Return the example that the spec itself has for a field, in YAML."""
    (example,) = field.examples or ()
    value = yaml.safe_dump([example], default_flow_style=True, sort_keys=False).strip()[1:-1]
    return f"{name}: {value}"


SECTIONS: Final = (
    Section(
        SegmentationSpec,
        "",
        {
            "name": "name: members",
            "source": "source: {table: club.members, key: member_id}",
            "partitions": 'partitions: {cadence: weekly, start: "2025-01-06"}',
            "schedule": "schedule: {enabled: true}",
            "features": "features: auto",
            "pca": "pca: 0.9",
            "exclude": "exclude: [postcode]",
            "outcomes": "outcomes: [renewed]",
            "sweep": "sweep: {k_max: 6}",
            "fit": "fit: {k: 5}",
            "gates": "gates: {min_silhouette: 0.1}",
            "publish": "publish: {table: club.segments, key: member_id, mode: create}",
            "retention": "retention: {artifacts: 12}",
            "store_rows": "store_rows: false",
            "owners": 'owners: ["team:crm", ada@example.com]',
        },
    ),
    Section(
        SourceSpec,
        "source",
        {
            "query": "query: members.sql",
            "table": "table: club.members",
            "key": "key: member_id",
            "url_env": "url_env: SHOP_READER_URL",
            "statement_timeout_s": "statement_timeout_s: 600",
            "fresh": "fresh: {column: last_bought_at, within: 36h}",
        },
        "Set `query` or `table`. In a query `:as_of` is the period's end and `:window_start` its start; both are "
        "`timestamptz`, and `::casts` are left alone. A source that uses neither returns today's customers "
        "whatever the period, and a run of an older period warns about it. The query runs in a read-only transaction.",
    ),
    Section(FreshSpec, "source.fresh", {"column": "column: last_bought_at", "within": "within: 2d"}),
    Section(
        PartitionsSpec,
        "partitions",
        {
            "cadence": "cadence: monthly",
            "start": 'start: "2025-01-01"',
            "end": 'end: "2026-01-01"',
            "timezone": "timezone: Europe/Berlin",
        },
        "A partition is named by its start, `2025-03-01`. Its *as of* is its end, exclusive, `2025-04-01T00:00` in the "
        "time zone: the customers as they were when March ended.",
    ),
    Section(
        ScheduleSpec,
        "schedule",
        {
            "enabled": "enabled: true",
            "hours_after_end": "hours_after_end: 30",
            "score": 'score: "0 7 * * MON-FRI"',
        },
    ),
    Section(
        FeatureSpec,
        "features[]",
        {
            "column": "{column: spend, kind: numeric}",
            "kind": "{column: joined_on, kind: date}",
            "transform": "{column: spend, kind: numeric, transform: log1p}",
            "scale": "{column: spend, kind: numeric, scale: robust}",
            "missing": "{column: age, kind: numeric, missing: median}",
            "fill": "{column: visits, kind: numeric, missing: constant, fill: 0}",
            "outliers": "{column: spend, kind: numeric, outliers: winsorize}",
            "winsorize": "{column: spend, kind: numeric, outliers: winsorize, winsorize: [0.005, 0.995]}",
            "fence": "{column: spend, kind: numeric, outliers: remove, fence: 2.2}",
            "encode": "{column: city, kind: categorical, encode: frequency}",
            "order": "{column: tier, kind: categorical, encode: ordinal, order: [basic, silver, gold]}",
            "max_categories": "{column: country, kind: categorical, max_categories: 8}",
            "weight": "{column: newsletter, kind: boolean, weight: 0.5}",
            "min": "{column: spend, kind: numeric, min: 0}",
            "max": "{column: discount, kind: numeric, max: 1}",
            "allowed": "{column: channel, kind: categorical, allowed: [app, shop]}",
        },
        "`features: auto` chooses: numbers (log1p where skewed, yeo-johnson where also negative, winsorized from 100 "
        "values on), dates, booleans and texts with 2 to 50 values. It says why it left a column out. "
        "`features: {columns: [...], pca: 0.9}` keeps the principal components of that share of variance.\n\n"
        "A category's 0/1 columns are multiplied by ½, so that two customers in different categories are a squared "
        "distance of ½ apart, where two random customers differ by 2 in a standardised number (Huang 1998); `weight` "
        "shifts the balance.",
    ),
    Section(SweepSpec, "sweep", {"k_min": "k_min: 3", "k_max": "k_max: 8", "policy": "policy: silhouette"}),
    Section(
        FitSpec,
        "fit",
        {"algorithm": "algorithm: kmedoids", "k": "k: 5", "seed": "seed: 7", "n_init": "n_init: 20"},
        "[choosing-k.md](choosing-k.md) says when another algorithm than K-Means is right.",
    ),
    Section(
        GatesSpec,
        "gates",
        {name: _write_example(name, field) for name, field in GatesSpec.model_fields.items()},
        "A gate is a number, its threshold, or a mapping. [gates.md](gates.md) says what to do when one fails.",
    ),
    Section(Gate, "gates.NAME", {"threshold": "threshold: 0.3", "severity": "severity: warn"}),
    Section(
        PublishSpec,
        "publish",
        {
            "table": "table: public.user_analytics",
            "key": "key: user_id",
            "column": "column: club_segment",
            "updated_column": "updated_column: last_updated",
            "mode": "mode: create",
            "approval": "approval: on_change",
            "absent": "absent: clear",
            "url_env": "url_env: WAREHOUSE_WRITER_URL",
        },
        "The table is yours: only `column` and `updated_column` are written, and only in rows whose segment changes. "
        "The `segmentation` schema lives in the same database, so that publishing is one transaction.",
    ),
    Section(RetentionSpec, "retention", {"artifacts": "artifacts: 12", "assignments": "assignments: 36"}),
)


def write_page() -> str:
    """Return the whole page."""
    lines = [
        "<!-- Written by `python docs/generate_reference.py > docs/defs-yaml.md`; change the spec, not this page. -->",
        "# defs.yaml",
        "",
        (
            "A segmentation is a folder with a `defs.yaml` and, where the query is long, a `.sql` file beside it. The "
            "folders are in `segmentation_pipeline/defs/`, or in the folder that `SEGMENTATION_DEFS` names. "
            "`segmentation init` writes a commented one from a table ([tutorial](tutorial.md)), `dg check yaml` checks "
            "it. A field that is not on this page is refused, with the line and the nearest name."
        ),
        "",
        "The shortest one:",
        "",
        f"```yaml\n{MINIMAL}```",
        "",
        "One with most of the options:",
        "",
        f"```yaml\n{FULL}```",
        "",
        "The tables show every field with its type, its default, its meaning and an example:",
        "",
    ]
    for section in SECTIONS:
        lines += _write_section(section)
    return "\n".join(lines).rstrip() + "\n"


def _write_section(section: Section) -> Iterator[str]:
    yield f"## {section.place or 'attributes'}"
    yield ""
    yield f"{section.model.__doc__}"
    yield ""
    if section.notes:
        yield section.notes
        yield ""
    yield "| field | type | default | meaning | example |"
    yield "|---|---|---|---|---|"
    for name, field in section.model.model_fields.items():
        meaning, example = field.description or "", f"`{section.examples[name]}`"
        cells = (f"`{name}`", _type_of(field), _default_of(field), meaning, example)
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"
    yield ""


def _default_of(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined or value is None or value == []:
        return "none"
    if isinstance(value, Gate):
        return f"`{'none' if value.threshold is None else format(value.threshold, 'g')}`, `{value.severity}`"
    if isinstance(value, Spec):
        return "see its section"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{list(value)}`" if isinstance(value, tuple) else f"`{value}`"


BOUNDS: Final = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
PLAIN: Final = {str: "text", int: "whole number", float: "number", bool: "`true` or `false`"}


def _type_of(field: FieldInfo) -> str:
    bounds = [
        f"{words} {value:,}" if isinstance(value, int) else f"{words} {value:g}"
        for limit in field.metadata
        for name, words in BOUNDS.items()
        if (value := getattr(limit, name, None)) is not None
    ]
    return ", ".join([_words(field.annotation), *bounds])


def _words(annotation: Any) -> str:  # any annotation of a field
    if get_args(annotation):
        return _words_of_many(annotation)
    if annotation is Gate:
        return "number or [`{threshold, severity}`](#gatesname)"
    if isinstance(annotation, type) and issubclass(annotation, Spec):
        place = next(section.place for section in SECTIONS if section.model is annotation)
        return f"[{place}](#{place.replace('.', '').replace('[]', '')})"
    return PLAIN[annotation]


def _words_of_many(annotation: Any) -> str:  # any annotation of a field
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in inner)
    if origin in (Union, types.UnionType):
        return " or ".join(_words(part) for part in inner if part is not type(None))
    if origin is tuple and Ellipsis not in inner:
        return f"two {_words(inner[0])}s"
    return f"list of {_words(inner[0])}" if origin in (list, tuple) else _words(inner[0])


if __name__ == "__main__":
    print(write_page(), end="")
