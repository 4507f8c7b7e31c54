"""What may be wrong with the machine: Python, packages, memory, home, disk; with the fix of every problem."""

from __future__ import annotations

import os
import re
import shutil
import sys
from importlib import metadata
from typing import TYPE_CHECKING, Final

from packaging.requirements import Requirement

from segmentation_pipeline.doctor.check import Check
from segmentation_pipeline.errors import ConfigurationError
from segmentation_pipeline.model.commands import gc_command
from segmentation_pipeline.runtime.memory import measure_memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from segmentation_pipeline.model import Memory

PYTHON: Final = (3, 11)
LEAST_MEMORY: Final = 500_000_000
LEAST_DISK: Final = 1_000_000_000
_PIN: Final = re.compile(r"^[A-Za-z0-9._-]+==[^\\\n]+", re.MULTILINE)
_SHOWN: Final = 5


def check_python(version: tuple[int, ...] = sys.version_info[:3]) -> Check:
    """Check that Python is new enough."""
    wanted = ".".join(map(str, PYTHON))
    found = ".".join(map(str, version))
    fix = f"install Python {wanted} or newer, then: make install"
    return Check("python", ok=version >= PYTHON, found=found, fix=fix)


def check_packages(
    requirements: Sequence[str], pins: str = "", *, version_of: Callable[[str], str] = metadata.version
) -> Check:
    """Check that the requirements (`numpy>=2.0`, as the package's metadata has them) are installed in such versions.

    `pins` is a requirements file with the versions that the tests ran with, `name==version`. Another version is
    reported and is not a problem.
    """
    installed = {
        requirement: _find_version(requirement.name, version_of)
        for requirement in map(Requirement, requirements)
        if _applies(requirement)
    }
    wrong = {
        requirement: version
        for requirement, version in installed.items()
        if version is None or not requirement.specifier.contains(version, prereleases=True)
    }
    if wrong:
        found = "; ".join(
            f"{requirement.name} is {version}, wanted {requirement.specifier}"
            if version
            else f"{requirement.name} is missing"
            for requirement, version in wrong.items()
        )
        install = " ".join(f"'{requirement.name}{requirement.specifier}'" for requirement in wrong)
        return Check("packages", ok=False, found=found, fix=f"pip install {install}")
    n_found = len(installed)
    return Check("packages", ok=True, found=f"{n_found} of {n_found} there{_compare_with_pins(pins, version_of)}")


def _compare_with_pins(pins: str, version_of: Callable[[str], str]) -> str:
    """Describe which installed versions are not those that the tests ran with."""
    locked = [requirement for requirement in map(Requirement, _PIN.findall(pins)) if _applies(requirement)]
    versions = {
        requirement: version for requirement in locked if (version := _find_version(requirement.name, version_of))
    }
    others = [
        f"{requirement.name} {version} (tested: {str(requirement.specifier).removeprefix('==')})"
        for requirement, version in versions.items()
        if not requirement.specifier.contains(version, prereleases=True)
    ]
    if others:
        more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
        return f"; not the tested version: {', '.join(others[:_SHOWN])}{more}"
    return f", and {len(versions)} in all in the versions that were tested" if versions else ""


def check_memory(found: Memory | None) -> Check:
    """Check that a fit has room within the tightest limit of memory."""
    if found is None:
        return Check("memory", ok=True, found="this system does not say how much is left")
    return Check(
        "memory",
        ok=found.available >= LEAST_MEMORY,
        found=f"{_format_size(found.available)} left of the {_format_size(found.limit)} of {found.where}",
        fix="a fit takes about twice the matrix of customers x encoded columns x 4 bytes, and Python some 400 MB: "
        "end other programs, or raise the container's limit (docker run -m 4g)",
    )


def check_home(
    folder: Path, *, free: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free
) -> Iterator[Check]:
    """Check that the home, or the nearest folder above it, can be written, is closed to others and has room."""
    yield _check_folder("home", folder)
    there = _find_nearest(folder)
    room = free(there)
    yield Check(
        "disk",
        ok=room >= LEAST_DISK,
        found=f"{_format_size(room)} free for artifacts",
        fix=f"`{gc_command()}` after setting `retention:` in its defs.yaml removes what is older; or name a "
        "folder on a larger disk in SEGMENTATION_HOME",
    )


def check_artifacts(folder: Path) -> Check:
    """Check that artifacts can be written."""
    return _check_folder("artifacts", folder)


def check_dagster_home(folder: Path, *, ours: bool) -> Iterator[Check]:
    """Check that Dagster's home can be written and has its settings; the first run creates one that is `ours`."""
    yield _check_folder("dagster home", folder)
    settings = folder / "dagster.yaml"
    if not settings.is_file() and not (ours and not folder.is_dir()):
        yield Check(
            "dagster.yaml",
            ok=ours,
            found="is created by the next run" if ours else f"there is none in {folder}",
            fix=f"cp docker/dagster.yaml {folder}/  (without it Dagster sends telemetry, and never ends a killed run)",
        )
    elif settings.is_file():
        readable = os.access(settings, os.R_OK)
        yield Check("dagster.yaml", ok=readable, found=str(settings), fix=f"chmod u+r {settings}")


def check_own_memory() -> Check:
    """Check the memory of this machine, or of its container."""
    try:
        return check_memory(measure_memory())
    except ConfigurationError as error:
        return Check("memory", ok=False, found=str(error), fix="unset the variable, or give it a size")


def _check_folder(what: str, folder: Path) -> Check:
    """Check that a folder, or the nearest one above it that exists, can be written and is closed to others."""
    there = _find_nearest(folder)
    if not os.access(there, os.W_OK | os.X_OK) or not there.is_dir():
        return Check(what, ok=False, found=f"{there} cannot be written", fix=f'sudo chown -R "$(id -un)" {there}')
    if there != folder:
        return Check(what, ok=True, found=f"{folder} is created by the first run")
    mode = folder.stat().st_mode & 0o777
    if mode & 0o007:
        return Check(what, ok=False, found=f"{folder} is open to everybody (mode {mode:o})", fix=f"chmod 700 {folder}")
    return Check(what, ok=True, found=str(folder))


def _find_nearest(folder: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def _applies(requirement: Requirement) -> bool:
    """Return whether a requirement is one of this Python and system, and not of an extra."""
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})


def _find_version(name: str, version_of: Callable[[str], str]) -> str | None:
    """Return the installed version of a package; None where it is not installed."""
    try:
        return version_of(name)
    except metadata.PackageNotFoundError:
        return None


def _format_size(n_bytes: int) -> str:
    """Return a number of bytes as people read it."""
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.0f} MB"
