"""What the fit needs takes seconds to load: it is loaded while the first stages leave a processor idle."""

import functools
import importlib
from contextlib import suppress
from threading import Thread
from typing import Final

import dagster as dg

from segmentation_pipeline.orchestration.segmentation import SegmentationContext
from segmentation_pipeline.orchestration.stages import K_SWEEP

NEEDED: Final = (
    "sklearn.cluster",
    "sklearn.metrics",
    "sklearn.mixture",
    "sklearn.neighbors",
    "scipy.optimize",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
)


def begin_loading(context: dg.AssetExecutionContext, segmentation: SegmentationContext) -> None:
    """Load what `k_sweep` needs beside whatever follows, once in a process, if the run comes to it."""
    steps = context.run.step_keys_to_execute
    if steps is None:
        steps = [node.name for node in context.job_def.nodes]
    if segmentation.key(K_SWEEP).to_python_identifier() in steps:
        _start_loading()


def finish_loading() -> None:
    """Wait for what was begun: the stages after this one load from the same packages."""
    if _start_loading.cache_info().currsize:
        _start_loading().join()


@functools.cache
def _start_loading() -> Thread:
    thread = Thread(target=_load, name="loading")
    thread.start()
    return thread


def _load() -> None:
    for name in NEEDED:
        with suppress(ImportError):  # whoever needs it says so
            importlib.import_module(name)
