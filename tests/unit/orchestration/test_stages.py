"""The records of the stages: each has its asset, and each asset's code version changes with what it reads."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from segmentation_pipeline.orchestration import assets
from segmentation_pipeline.orchestration.jobs import build_definitions
from segmentation_pipeline.orchestration.segmentation import SegmentationContext
from segmentation_pipeline.orchestration.stages import CHAIN, STAGES, Stage
from segmentation_pipeline.spec import SegmentationSpec

SPEC: dict[str, Any] = {
    "name": "shop",
    "source": {"query": "SELECT 1 AS customer_id", "key": "customer_id"},
    "partitions": {"start": "2024-01-01"},
    "features": [{"column": "spend", "kind": "numeric"}],
    "publish": {"table": "public.target", "key": "user_id"},
}


def _shop(**changes: Any) -> SegmentationContext:
    return SegmentationContext(SegmentationSpec(**SPEC | changes), Path())


def _changed(**changes: Any) -> set[str]:
    """The stages whose code version a change of the defs.yaml changes."""
    before, after = _shop(), _shop(**changes)
    return {stage.name for stage in STAGES if before.code_version(stage) != after.code_version(stage)}


def test_every_stage_has_a_file_a_builder_and_a_place_in_the_definitions() -> None:
    """A stage that was forgotten somewhere is named: its asset's file, its builder, the definitions."""
    files = {path.stem for path in Path(next(iter(assets.__path__))).glob("*.py")} - {"__init__"}
    assert files == {stage.name for stage in STAGES}
    for stage in STAGES:
        module = import_module(f"segmentation_pipeline.orchestration.assets.{stage.name}")
        assert callable(getattr(module, stage.name)), stage.name
    defined = build_definitions(_shop()).resolve_asset_graph().get_all_asset_keys()
    assert defined == {dg.AssetKey(["shop", stage.name]) for stage in STAGES}


def test_the_chain_is_one_way() -> None:
    """Each stage of the chain hangs off the one before it; the others hang off the chain."""
    assert [stage.after for stage in CHAIN] == [None, *CHAIN[:-1]]
    assert all(stage.after in CHAIN for stage in STAGES if stage not in CHAIN)


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_every_stage_says_what_it_shows(stage: Stage) -> None:
    """Every thing shown with a materialization has a meaning."""
    assert stage.shows
    assert all(stage.shows.values())


@pytest.mark.parametrize(
    ("changes", "stages"),
    [
        ({"partitions": {"start": "2024-01-01", "timezone": "Europe/Berlin"}}, {"raw_extract", "scored_customers"}),
        ({"store_rows": False}, {"validated_rows", "scored_customers"}),
        ({"pca": 0.9}, {"encoded_features"}),
        ({"sweep": {"k_max": 4}}, {"k_sweep"}),
        ({"fit": {"k": 4}}, {"k_sweep", "final_fit"}),
        ({"gates": {"max_moved": 0.1}}, {"aligned_segments"}),
        ({"retention": {"artifacts": 3}}, {"published_segments"}),
        ({"owners": ["team:crm"]}, set()),
    ],
    ids=["timezone", "store_rows", "pca", "sweep", "fit", "gates", "retention", "owners"],
)
def test_the_code_version_changes_with_what_a_stage_reads(changes: dict[str, Any], stages: set[str]) -> None:
    """A change of the defs.yaml changes the code version of the stages that read it, and of no other."""
    assert _changed(**changes) == stages


def test_the_source_and_the_query_are_read_by_extraction_and_scoring() -> None:
    """Another query means other rows: extraction and scoring have another code version."""
    source = {"query": "SELECT 2 AS customer_id", "key": "customer_id"}
    assert _changed(source=source) == {"raw_extract", "scored_customers"}


def test_the_features_are_read_by_every_stage_that_handles_columns() -> None:
    """Another feature changes validation, encoding and scoring."""
    features = [{"column": "spend", "kind": "numeric", "transform": "log1p"}]
    assert _changed(features=features) == {"validated_rows", "encoded_features", "scored_customers"}
