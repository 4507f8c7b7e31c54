"""What a `defs.yaml` may say: plain pydantic models, every field documented, unknown fields refused."""

from segmentation_pipeline.spec.base import Share, Spec
from segmentation_pipeline.spec.features import (
    KIND_OPTIONS,
    ColumnKind,
    Features,
    FeatureSpec,
    KindOptions,
    is_amount,
    is_number,
)
from segmentation_pipeline.spec.fit import AlgorithmName, FitSpec, SweepSpec
from segmentation_pipeline.spec.gates import Gate, GatesSpec, Severity
from segmentation_pipeline.spec.publish import Approval, PublishSpec
from segmentation_pipeline.spec.schedule import PartitionsSpec, ScheduleSpec
from segmentation_pipeline.spec.segmentation import RetentionSpec, SegmentationSpec
from segmentation_pipeline.spec.source import RESERVED, FreshSpec, SourceSpec

__all__ = [
    "KIND_OPTIONS", "RESERVED", "AlgorithmName", "Approval", "ColumnKind", "FeatureSpec", "Features", "FitSpec",
    "FreshSpec", "Gate", "GatesSpec", "KindOptions", "PartitionsSpec", "PublishSpec", "RetentionSpec", "ScheduleSpec",
    "SegmentationSpec", "Severity", "Share", "SourceSpec", "Spec", "SweepSpec", "is_amount", "is_number",
]  # fmt: skip
