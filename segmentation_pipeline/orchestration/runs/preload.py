"""The libraries of the fit, loaded on a thread while the validation works on one processor.

Loading them takes 1.6 s of one processor (scikit-learn with scipy 1.2 s, matplotlib 0.4 s; measured on Python 3.11), in
every process, and every run is a process. The validation of a period with many customers takes longer than that and
uses one processor, so on a machine with a second one the loading costs no time.
"""

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
    """Begin to load what `k_sweep` needs, once in a process, if the run will come to it."""
    steps = context.run.step_keys_to_execute
    if steps is None:
        steps = [node.name for node in context.job_def.nodes]
    if segmentation.key(K_SWEEP).to_python_identifier() in steps:
        _start_loading()


def finish_loading() -> None:
    """Wait until the loading has ended: the stages after this one load from the same packages."""
    if _start_loading.cache_info().currsize:
        _start_loading().join()


@functools.cache
def _start_loading() -> Thread:
    thread = Thread(target=_load, name="loading")
    thread.start()
    return thread


def _load() -> None:
    for name in NEEDED:
        with suppress(ImportError):  # the stage that needs it reports it
            importlib.import_module(name)
