"""What the artifact of each stage holds: its files and their contents are named here and nowhere else.

A dataset is opened on a finished artifact and reads it; its `write` fills an artifact that is being written.
"""

from segmentation_pipeline.storage.artifacts.datasets.customers import EncodedFeatures, RawExtract, ValidatedRows
from segmentation_pipeline.storage.artifacts.datasets.dataset import Dataset
from segmentation_pipeline.storage.artifacts.datasets.fits import FinalFit, KSweep
from segmentation_pipeline.storage.artifacts.datasets.segments import (
    AlignedSegments,
    PublishedSegments,
    SegmentReport,
)

__all__ = [
    "AlignedSegments", "Dataset", "EncodedFeatures", "FinalFit", "KSweep", "PublishedSegments", "RawExtract",
    "SegmentReport", "ValidatedRows",
]  # fmt: skip
