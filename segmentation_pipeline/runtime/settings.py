"""Environment variables: their names, and the only place in the package that reads or sets them.

Every function reads the variable at the call; nothing is cached. An empty variable counts as one that is not set.
"""

from __future__ import annotations

import os
from typing import Final

HOME_VARIABLE: Final = "SEGMENTATION_HOME"
DEFS_VARIABLE: Final = "SEGMENTATION_DEFS"
DATABASE_VARIABLE: Final = "SEGMENTATION_DATABASE_URL"
MEMORY_VARIABLE: Final = "SEGMENTATION_MEMORY_LIMIT"
PATIENCE_VARIABLE: Final = "SEGMENTATION_PATIENCE_SECONDS"
DAGSTER_HOME_VARIABLE: Final = "DAGSTER_HOME"
TELEMETRY_VARIABLE: Final = "DAGSTER_DISABLE_TELEMETRY"
# scikit-learn's loops and Arrow read OpenMP's, numpy and scipy read OpenBLAS's, all of them once, when they are loaded
THREAD_VARIABLES: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def read_home() -> str | None:
    """Return the home folder that SEGMENTATION_HOME names."""
    return os.environ.get(HOME_VARIABLE) or None


def read_defs_folder() -> str | None:
    """Return the folder of the segmentations that SEGMENTATION_DEFS names."""
    return os.environ.get(DEFS_VARIABLE) or None


def read_database_url(variable: str) -> str | None:
    """Return the URL that `variable` holds; `source.url_env` and `publish.url_env` name the variable."""
    return os.environ.get(variable, "").strip() or None


def read_memory_limit() -> str | None:
    """Return the size that SEGMENTATION_MEMORY_LIMIT holds, as it was written."""
    return os.environ.get(MEMORY_VARIABLE) or None


def read_patience(default: float) -> float:
    """Return SEGMENTATION_PATIENCE_SECONDS, or `default` where it is not set.

    Raises:
        ValueError: the variable does not hold a number.
    """
    return float(os.environ.get(PATIENCE_VARIABLE, default))


def read_dagster_home() -> str | None:
    """Return the folder that DAGSTER_HOME names."""
    return os.environ.get(DAGSTER_HOME_VARIABLE) or None


def set_dagster_home(folder: str) -> None:
    """Set DAGSTER_HOME for this process and the processes that it starts."""
    os.environ[DAGSTER_HOME_VARIABLE] = folder


def disable_dagster_telemetry() -> None:
    """Set DAGSTER_DISABLE_TELEMETRY, unless it is set already."""
    os.environ.setdefault(TELEMETRY_VARIABLE, "1")


def limit_threads(n_threads: int) -> None:
    """Set the numerical libraries' numbers of threads, except the ones that are set already."""
    for variable in THREAD_VARIABLES:
        os.environ.setdefault(variable, str(n_threads))
