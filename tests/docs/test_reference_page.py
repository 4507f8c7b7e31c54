"""docs/defs-yaml.md is what its generator prints, and the generator knows every field of a defs.yaml."""

from __future__ import annotations

from typing import Any

import generate_reference as generator
import pytest
import yaml
from support.documents import DOCS

from segmentation_pipeline.spec import SegmentationSpec
from segmentation_pipeline.spec.base import Spec

LEAST = {
    "": {
        "name": "members",
        "source": {"table": "club.members", "key": "member_id"},
        "partitions": {"start": "2025-01-01"},
        "publish": {"table": "club.segments", "key": "member_id"},
    },
    "source": {"key": "member_id"},
    "source.fresh": {"column": "updated_at", "within": "2d"},
    "partitions": {"start": "2025-01-01"},
    "publish": {"table": "club.segments", "key": "member_id"},
}
EXAMPLES = [
    (section.place, name, example) for section in generator.SECTIONS for name, example in section.examples.items()
]


def _place_example(place: str, said: Any) -> dict[str, Any]:
    """Return the minimal segmentation with the example in its place."""
    least: dict[str, Any] = LEAST[""]
    if place == "":
        return least | said
    if place == "features[]":
        return least | {"features": [said]}
    if place == "gates.NAME":
        return least | {"gates": {"structure": said}}
    if place == "source.fresh":
        return least | {"source": least["source"] | {"fresh": LEAST[place] | said}}
    if place == "source":
        either = {} if {"query", "table"} & said.keys() else {"table": "club.members"}
        return least | {"source": LEAST[place] | either | said}
    return least | {place: LEAST.get(place, {}) | said}


def test_the_page_is_what_the_generator_prints() -> None:
    """A change of the spec that is not in the page fails here."""
    assert (DOCS / "defs-yaml.md").read_text() == generator.write_page(), "run `make docs`"


def test_every_part_of_the_spec_is_on_the_page_with_every_field_described() -> None:
    """No model is left out, each field has a description, and each has an example."""
    parts = {part for part in Spec.__subclasses__() if part.__module__.startswith("segmentation_pipeline.")}
    assert {section.model for section in generator.SECTIONS} == parts
    for section in generator.SECTIONS:
        assert section.model.__doc__
        for name, field in section.model.model_fields.items():
            assert field.description, f"{section.model.__name__}.{name} has no description"
        assert list(section.examples) == list(section.model.model_fields), section.place


@pytest.mark.parametrize(("place", "name", "example"), EXAMPLES, ids=[f"{place}.{name}" for place, name, _ in EXAMPLES])
def test_the_example_of_a_field_is_valid_and_uses_the_field(place: str, name: str, example: str) -> None:
    """The example can be written into a defs.yaml and sets that field."""
    said = yaml.safe_load(example)
    assert name in said
    SegmentationSpec.model_validate(_place_example(place, said))
