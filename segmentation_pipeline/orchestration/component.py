"""The component: one defs.yaml becomes the assets, checks, jobs and schedules of one segmentation."""

from typing import Self

import dagster as dg
from pydantic import BaseModel

from segmentation_pipeline.errors import SpecError
from segmentation_pipeline.model.commands import init_command
from segmentation_pipeline.orchestration.jobs import build_definitions
from segmentation_pipeline.orchestration.scaffolding import SegmentationScaffolder
from segmentation_pipeline.orchestration.segmentation import SegmentationContext
from segmentation_pipeline.spec import SegmentationSpec


@dg.scaffold_with(SegmentationScaffolder)
class Segmentation(dg.Component):
    """Customer segments that keep their meaning, from a query to a segment id per customer."""

    def __init__(self, segmentation: SegmentationContext) -> None:
        """Keep the checked spec and the folder that it lies in."""
        self.segmentation = segmentation

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """Return the schema of `attributes` in a defs.yaml: the spec, so that its errors name file, line and field."""
        return SegmentationSpec

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> Self:
        """Build the component from checked attributes."""
        if not isinstance(attributes, SegmentationSpec):
            message = f"{context.path}: a Segmentation needs `attributes`; `{init_command()}` writes them"
            raise SpecError(message)
        return cls(SegmentationContext(attributes, context.path))

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:  # noqa: ARG002  Dagster's signature
        """Build the assets, checks, jobs and schedules."""
        return build_definitions(self.segmentation)
