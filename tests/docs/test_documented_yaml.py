"""The spec accepts every YAML block, and every setting in a line of text.

The rule for a block: with `type:` it is a whole defs.yaml; without, its fields replace those of a least segmentation. In a
line, `sweep: {k_max: 6}` is such a fragment, `transform: log1p` a field of a feature of some kind, and `sweep.k_max` has to
be a field. What is left open with "..." is not looked at.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from pydantic import BaseModel, ValidationError
from support.documents import PAGES, Block, read_all_blocks, read_spans

from segmentation_pipeline.spec import GatesSpec, SegmentationSpec
from segmentation_pipeline.spec.features import FeatureSpec

if TYPE_CHECKING:
    from pathlib import Path

LEAST = {
    "name": "members",
    "source": {"table": "club.members", "key": "member_id"},
    "partitions": {"start": "2025-01-01"},
    "publish": {"table": "club.segments", "key": "member_id"},
}
KINDS = ("numeric", "categorical", "date", "boolean")


def _validate(attributes: dict[str, Any]) -> SegmentationSpec:
    return SegmentationSpec.model_validate(LEAST | attributes)


def _find_model(name: str) -> type[BaseModel] | None:
    """Find the model of a segmentation's field that is a mapping."""
    model = SegmentationSpec.model_fields[name].annotation
    return model if isinstance(model, type) and issubclass(model, BaseModel) else None


@pytest.mark.parametrize("block", read_all_blocks("yaml"), ids=str)
def test_yaml_blocks_are_segmentations(block: Block) -> None:
    """A whole file is valid as it is, a fragment inside a minimal segmentation."""
    said = yaml.safe_load(block.text)
    assert isinstance(said, dict), f"{block}: neither a defs.yaml nor fields of one"
    if "type" in said:
        assert said["type"] == "segmentation_pipeline.Segmentation"
        SegmentationSpec.model_validate(said["attributes"])
    else:
        _validate(said)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_settings_in_a_line_are_settings(page: Path) -> None:
    """A setting between backticks can be written into a defs.yaml."""
    for span in read_spans(page):
        name, colon, value = span.partition(": ")
        if not colon or "..." in span or "…" in span or not value or not re.fullmatch(r"\w+", name):
            continue
        said = yaml.safe_load(f"{{{span}}}" if value[0] not in "[{" else span)
        if page.name == "defs-yaml.md":
            continue  # its examples are checked where they are made
        if name in SegmentationSpec.model_fields and name not in FeatureSpec.model_fields:
            _validate(said)
        elif name in FeatureSpec.model_fields:
            assert any(_is_feature(said, kind) for kind in KINDS), f"{page.name}: {span}"


def _is_feature(said: dict[str, Any], kind: str) -> bool:
    try:
        FeatureSpec.model_validate({"column": "x", "kind": kind} | said)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_fields_named_in_a_line_are_fields(page: Path) -> None:
    """In `sweep.k_max` and the like, the first part belongs to a segmentation and has that field."""
    for span in read_spans(page):
        part, dot, field = span.partition(":")[0].partition(".")
        if not dot or part not in SegmentationSpec.model_fields or not field.isidentifier():
            continue
        model = _find_model(part)
        if model is None or part == "segmentation":
            continue
        assert field in model.model_fields, f"{page.name}: {span}"


def test_the_yaml_tests_refuse_mistakes() -> None:
    """The checks of this file refuse a wrong setting, and the pages have settings to check."""
    with pytest.raises(ValidationError):
        _validate({"sweep": {"k_mx": 3}})
    assert not any(_is_feature({"transform": "log2"}, kind) for kind in KINDS)
    assert _find_model("gates") is GatesSpec
    assert sum(span.startswith("fit: {") for page in PAGES for span in read_spans(page)) >= 5
