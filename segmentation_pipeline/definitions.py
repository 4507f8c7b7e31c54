"""Dagster's entry point: loads the segmentations, nothing else."""

import dagster as dg

from segmentation_pipeline.orchestration.discovery import load_definitions


@dg.definitions
def defs() -> dg.Definitions:
    """Everything that the segmentations define."""
    return load_definitions()
