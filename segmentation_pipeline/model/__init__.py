"""The values that the rooms pass to each other: frozen, and plain JSON where they are saved."""

from segmentation_pipeline.model.clustering import UNASSIGNED, FitSummary, FittedModel
from segmentation_pipeline.model.decision import Decision
from segmentation_pipeline.model.drift import CentroidShift, Drift, Reach
from segmentation_pipeline.model.encoding import Encoding, FeatureEncoding, PrincipalAxes
from segmentation_pipeline.model.identity import (
    Alignment,
    Event,
    LineageEvent,
    Match,
    Through,
    Transition,
)
from segmentation_pipeline.model.json import Json
from segmentation_pipeline.model.judgement import Finding, GateResult, OutcomeEffect
from segmentation_pipeline.model.key import KeyType
from segmentation_pipeline.model.memory import Memory
from segmentation_pipeline.model.metrics import SegmentMatch, SnapshotMetrics
from segmentation_pipeline.model.period import Period
from segmentation_pipeline.model.snapshot import Centroid, EarlierSnapshot, Segment, Snapshot, SnapshotHeader, Status
from segmentation_pipeline.model.sweep import SilhouetteSample, StructureVerdict, SweepCandidate, SweepResult

__all__ = [
    "UNASSIGNED",
    "Alignment",
    "Centroid",
    "CentroidShift",
    "Decision",
    "Drift",
    "EarlierSnapshot",
    "Encoding",
    "Event",
    "FeatureEncoding",
    "Finding",
    "FitSummary",
    "FittedModel",
    "GateResult",
    "Json",
    "KeyType",
    "LineageEvent",
    "Match",
    "Memory",
    "OutcomeEffect",
    "Period",
    "PrincipalAxes",
    "Reach",
    "Segment",
    "SegmentMatch",
    "SilhouetteSample",
    "Snapshot",
    "SnapshotHeader",
    "SnapshotMetrics",
    "Status",
    "StructureVerdict",
    "SweepCandidate",
    "SweepResult",
    "Through",
    "Transition",
]  # fmt: skip
