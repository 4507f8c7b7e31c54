"""The segmentations that there are: the defs folder, its component tree and its mistakes."""

import importlib
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import dagster as dg
from dagster.components.core.component_tree import ComponentTree, ComponentTreeException
from pydantic import ValidationError

from segmentation_pipeline.errors import ConfigurationError, SpecError
from segmentation_pipeline.orchestration.component import Segmentation
from segmentation_pipeline.orchestration.segmentation import SegmentationContext
from segmentation_pipeline.runtime.settings import DEFS_VARIABLE, read_defs_folder
from segmentation_pipeline.spec.files import require_readable


def find_defs_folder() -> Path:
    """Return the folder of the segmentations: the one that `SEGMENTATION_DEFS` names, or this package's own `defs/`.

    Raises:
        ConfigurationError: SEGMENTATION_DEFS names something that is not a folder.
    """
    folder = read_defs_folder()
    if not folder:
        return Path(__file__).parents[1] / "defs"
    path = Path(folder).expanduser().resolve()
    if not path.is_dir():
        message = f"{DEFS_VARIABLE} names {folder}, which is not a folder; make it, or name another"
        raise ConfigurationError(message)
    return path


def load_component_tree() -> ComponentTree | None:
    """Load the segmentations of the defs folder; None where the folder is empty, which Dagster would not accept.

    Raises:
        ConfigurationError: SEGMENTATION_DEFS names something that is not a folder.
        SpecError: a defs.yaml is not a valid segmentation.
    """
    path = find_defs_folder()
    require_readable(path)
    if not any(path.rglob("*.yaml")) and not any(path.rglob("*.py")):
        return None
    if not read_defs_folder():
        module = importlib.import_module("segmentation_pipeline.defs")
        return ComponentTree.from_module(module, path.parent.parent)
    module = ModuleType("segmentation_defs")
    module.__path__ = [str(path)]
    module.__file__ = str(path / "__init__.py")
    sys.modules[module.__name__] = module
    return ComponentTree.from_module(module, path.parent)


def load_definitions() -> dg.Definitions:
    """Load all that the segmentations define; a run is one process, whether it is launched by job or by asset.

    Raises:
        SpecError: a defs.yaml is wrong; the message names file, line, field and what to write.
    """
    with warnings.catch_warnings(), spec_errors():
        warnings.simplefilter("ignore", dg.BetaWarning)  # Dagster warns about its own use of its own beta classes
        tree = load_component_tree()
        loaded = tree.build_defs() if tree is not None else dg.Definitions()
    return dg.Definitions.merge(loaded, dg.Definitions(executor=dg.in_process_executor))


def segmentations() -> dict[str, SegmentationContext]:
    """Return every segmentation by name.

    Raises:
        SpecError: a defs.yaml is wrong; the message names file, line, field and what to write.
    """
    with spec_errors():
        tree = load_component_tree()
        found = tree.get_all_components(of_type=Segmentation) if tree is not None else []
    return {component.segmentation.spec.name: component.segmentation for component in found}


@contextmanager
def spec_errors() -> Iterator[None]:
    """Re-raise Dagster's component error as a SpecError without its traceback."""
    try:
        yield
    except ComponentTreeException as error:
        cause = error.__cause__ or error
        raise SpecError(describe_errors(cause) if isinstance(cause, ValidationError) else str(cause)) from None


def describe_errors(error: ValidationError) -> str:
    """Return a line for each mistake: file and line, field, what to write."""
    lines = []
    for details in error.errors(include_url=False):
        # Dagster puts "field at file:line" in front of the place
        field, _, place = ".".join(str(part) for part in details["loc"]).partition(" at ")
        path = field.removeprefix("attributes").removeprefix(".")
        message = details["msg"].removeprefix("Value error, ")
        lines.append(": ".join(part for part in (place, path, message) if part))
    return "\n".join(lines)
