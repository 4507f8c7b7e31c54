"""Finding the segmentations: the defs folder, its component tree and its mistakes."""

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
    """The folder of the segmentations: the one that `SEGMENTATION_DEFS` names, or this package's own `defs/`.

    Raises:
        ConfigurationError: SEGMENTATION_DEFS names no folder.
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
    """The segmentations of `defs_folder`; None where nothing is in it yet, which Dagster would not take.

    Raises:
        ConfigurationError: SEGMENTATION_DEFS names no folder.
        SpecError: a defs.yaml is none.
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
    """Everything the segmentations define; one process per run, whether it is launched by job or by asset.

    Raises:
        SpecError: a defs.yaml is wrong; the message names file, line, field and what to write.
    """
    with warnings.catch_warnings(), spec_errors():
        warnings.simplefilter("ignore", dg.BetaWarning)  # Dagster warns of its own use of its own beta classes
        tree = load_component_tree()
        loaded = tree.build_defs() if tree is not None else dg.Definitions()
    return dg.Definitions.merge(loaded, dg.Definitions(executor=dg.in_process_executor))


def segmentations() -> dict[str, SegmentationContext]:
    """Every segmentation by name.

    Raises:
        SpecError: a defs.yaml is wrong; the message names file, line, field and what to write.
    """
    with spec_errors():
        tree = load_component_tree()
        found = tree.get_all_components(of_type=Segmentation) if tree is not None else []
    return {component.segmentation.spec.name: component.segmentation for component in found}


@contextmanager
def spec_errors() -> Iterator[None]:
    """Say what is wrong with a defs.yaml in its own words, without Dagster's way to it."""
    try:
        yield
    except ComponentTreeException as error:
        cause = error.__cause__ or error
        raise SpecError(describe_errors(cause) if isinstance(cause, ValidationError) else str(cause)) from None


def describe_errors(error: ValidationError) -> str:
    """One line for each thing that is wrong: file and line, field, what to write."""
    lines = []
    for each in error.errors(include_url=False):
        # Dagster puts "field at file:line" in front of the place
        field, _, place = ".".join(str(part) for part in each["loc"]).partition(" at ")
        path = field.removeprefix("attributes").removeprefix(".")
        lines.append(": ".join(part for part in (place, path, each["msg"].removeprefix("Value error, ")) if part))
    return "\n".join(lines)
