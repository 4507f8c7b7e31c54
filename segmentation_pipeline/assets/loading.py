"""What the fit needs takes seconds to load: it is loaded beside a stage that leaves a processor idle."""

import importlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import Final

import dagster as dg

from segmentation_pipeline.assets.pipeline import Pipeline

NEEDED: Final = (
    "sklearn.cluster",
    "sklearn.metrics",
    "sklearn.mixture",
    "sklearn.neighbors",
    "scipy.optimize",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
)


@contextmanager
def loading_beside(context: dg.AssetExecutionContext, pipeline: Pipeline) -> Iterator[None]:
    """Load what `k_sweep` needs while the block runs, if the same run comes to it.

    The block ends when both are done, so that nothing else is loaded from two sides at once.
    """
    steps = context.run.step_keys_to_execute
    if pipeline.key("k_sweep").to_python_identifier() not in (
        steps if steps is not None else {node.name for node in context.job_def.nodes}
    ):
        yield
        return
    loading = Thread(target=_load, name="loading")
    loading.start()
    try:
        yield
    finally:
        loading.join()


def _load() -> None:
    for name in NEEDED:
        with suppress(ImportError):  # whoever needs it says so
            importlib.import_module(name)
