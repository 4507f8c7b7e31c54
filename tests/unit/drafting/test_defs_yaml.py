"""The text of a drafted defs.yaml."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from segmentation_pipeline.drafting.columns import ColumnPlan
from segmentation_pipeline.drafting.defs_yaml import Draft, write_defs_yaml
from segmentation_pipeline.spec import FeatureSpec, SegmentationSpec

DRAFT = Draft(
    name="shop", table="public.customers", key="id", start="2026-10-01", target="public.shop_segments", target_key="id", mode="create"
)  # fmt: skip


def _read(draft: Draft) -> SegmentationSpec:
    said = yaml.safe_load(write_defs_yaml(draft))
    assert said["type"] == "segmentation_pipeline.Segmentation"
    return SegmentationSpec(**said["attributes"])


def test_a_draft_without_columns_leaves_the_features_to_auto() -> None:
    """Where the columns are unknown, the features are `auto`, and the spec accepts it."""
    spec = _read(DRAFT)

    assert (spec.features, spec.outcomes, spec.source.table, spec.source.key) == ("auto", [], "public.customers", "id")
    assert (spec.publish.table, spec.publish.mode, spec.partitions.start) == (
        "public.shop_segments",
        "create",
        "2026-10-01",
    )


def test_every_column_has_its_line_and_its_reason() -> None:
    """Features are listed, what is left out is a comment, outcomes have a field of their own."""
    spend = FeatureSpec(column="spend", kind="numeric", transform="log1p", outliers="winsorize")
    plan = FeatureSpec(column="plan", kind="categorical")
    columns = (
        ColumnPlan("spend", "feature", "skewed (4.1): log1p", spend),
        ColumnPlan("note", "left out", "free text"),
        ColumnPlan("plan", "feature", "3 values, one_hot", plan),
        ColumnPlan("churn", "outcome", "likely what the business wants"),
    )
    draft = replace(
        DRAFT, columns=columns, statement='ALTER TABLE "public"."customers" ADD COLUMN "segment_id" integer;'
    )
    text = write_defs_yaml(draft)
    lines = [line.strip() for line in text.splitlines()]

    assert _read(draft).features == [spend, plan]
    assert _read(draft).outcomes == ["churn"]
    assert "- {column: spend, kind: numeric, transform: log1p, outliers: winsorize}  # skewed (4.1): log1p" in lines
    assert "# - {column: note}  # free text" in lines
    assert '#   ALTER TABLE "public"."customers" ADD COLUMN "segment_id" integer;' in lines


def test_a_target_without_its_column_comes_with_the_statement_before_the_first_run() -> None:
    """In update mode the draft says what to run first."""
    draft = replace(DRAFT, mode="update", target="crm.users", target_key="user_id", statement="ALTER TABLE x;")

    assert "# Run this before the first run:  ALTER TABLE x;" in write_defs_yaml(draft)
    assert (_read(draft).publish.mode, _read(draft).publish.key) == ("update", "user_id")


@pytest.mark.parametrize(
    "name",
    [
        "no",
        "Annual Income (k$)",
        "a: b",
        "# c",
        'say "x"',
        "line\nbreak",
        "1e3",
        "ключ",
        "\x7f",
        "null",
        "{{ x",
        "💚",
        "a, b}",
        " b",
    ],
)
def test_any_column_name_comes_back_as_it_is(name: str) -> None:
    """Names that YAML would read as something else are quoted; the comments do not end early."""
    columns = (
        ColumnPlan(name, "feature", f"as {name}", FeatureSpec(column=name, kind="boolean")),
        ColumnPlan(f"{name}2", "left out", f"as {name}"),
        ColumnPlan(f"{name}3", "outcome", "wanted"),
    )
    spec = _read(replace(DRAFT, key=f"{name}4", target_key=f"{name}4", columns=columns))

    assert [feature.column for feature in spec.features] == [name]
    assert (spec.outcomes, spec.source.key) == ([f"{name}3"], f"{name}4")


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30))
def test_any_text_survives(name: str) -> None:
    """Any name that PostgreSQL allows for a column comes back from the YAML."""
    columns = (ColumnPlan(name, "feature", name, FeatureSpec(column=name, kind="boolean")),)

    assert _read(replace(DRAFT, key="customer", columns=columns)).features[0].column == name
