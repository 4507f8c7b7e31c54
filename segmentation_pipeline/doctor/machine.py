"""What may be wrong with the machine: Python, packages, memory, home, disk; each check with its fix."""

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
    """Whether Python is new enough."""
    wanted = ".".join(map(str, PYTHON))
    found = ".".join(map(str, version))
    fix = f"install Python {wanted} or newer, then: make install"
    return Check("python", ok=version >= PYTHON, found=found, fix=fix)


def check_packages(
    requirements: Sequence[str], pins: str = "", *, version_of: Callable[[str], str] = metadata.version
) -> Check:
    """Whether every requirement (`numpy>=2.0`, as the package's metadata has them) is there in a version it allows.

    `pins` is a requirements file with the versions that the tests ran with, `name==version`; others are told, and are
    no problem.
    """
    wrong, n_found = [], 0
    for text in requirements:
        requirement = Requirement(text)
        if not _applies(requirement):
            continue
        found = _installed(requirement.name, version_of)
        n_found += found is not None
        if found is None:
            wrong.append((f"{requirement.name} is missing", f"{requirement.name}{requirement.specifier}"))
        elif not requirement.specifier.contains(found, prereleases=True):
            wanted = f"{requirement.name}{requirement.specifier}"
            wrong.append((f"{requirement.name} is {found}, wanted {requirement.specifier}", wanted))
    if wrong:
        install = " ".join(f"'{wanted}'" for _, wanted in wrong)
        return Check("packages", ok=False, found="; ".join(said for said, _ in wrong), fix=f"pip install {install}")
    locked = [each for each in map(Requirement, _PIN.findall(pins)) if _applies(each)]
    found_of = {each.name: _installed(each.name, version_of) for each in locked}
    others = [
        f"{each.name} {found_of[each.name]} (tested: {str(each.specifier).removeprefix('==')})"
        for each in locked
        if (version := found_of[each.name]) is not None and not each.specifier.contains(version, prereleases=True)
    ]
    more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
    told = f"; not the tested version: {', '.join(others[:_SHOWN])}{more}" if others else ""
    n_locked = sum(version is not None for version in found_of.values())
    same = f", and {n_locked} in all in the versions that were tested" if n_locked and not others else ""
    return Check("packages", ok=True, found=f"{n_found} of {n_found} there{same}{told}")


def check_memory(found: Memory | None) -> Check:
    """Whether a fit has room within the tightest limit there is."""
    if found is None:
        return Check("memory", ok=True, found="this system does not say how much is left")
    return Check(
        "memory",
        ok=found.available >= LEAST_MEMORY,
        found=f"{_size(found.available)} left of the {_size(found.limit)} of {found.where}",
        fix="a fit takes about twice the matrix of customers x encoded columns x 4 bytes, and Python some 400 MB: "
        "end other programs, or give the container more (docker run -m 4g)",
    )


def check_home(
    folder: Path, *, free: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free
) -> Iterator[Check]:
    """Whether the home, or the nearest folder above it that is there, can be written, is closed to others, has room."""
    yield _folder("home", folder)
    there = _nearest(folder)
    room = free(there)
    yield Check(
        "disk",
        ok=room >= LEAST_DISK,
        found=f"{_size(room)} free for artifacts",
        fix=f"`{gc_command()}` after setting `retention:` in its defs.yaml removes what is older; or name a "
        "folder on a larger disk in SEGMENTATION_HOME",
    )


def check_artifacts(folder: Path) -> Check:
    """Whether artifacts can be written."""
    return _folder("artifacts", folder)


def check_dagster_home(folder: Path, *, ours: bool) -> Iterator[Check]:
    """Whether Dagster's home can be written and has its settings; the first run makes one that is `ours`."""
    yield _folder("dagster home", folder)
    settings = folder / "dagster.yaml"
    if not settings.is_file() and not (ours and not folder.is_dir()):
        yield Check(
            "dagster.yaml",
            ok=ours,
            found="is made by the next run" if ours else f"there is none in {folder}",
            fix=f"cp docker/dagster.yaml {folder}/  (without it Dagster sends telemetry, and never ends a killed run)",
        )
    elif settings.is_file():
        readable = os.access(settings, os.R_OK)
        yield Check("dagster.yaml", ok=readable, found=str(settings), fix=f"chmod u+r {settings}")


def check_own_memory() -> Check:
    """The check of this machine's memory."""
    try:
        return check_memory(measure_memory())
    except ConfigurationError as error:
        return Check("memory", ok=False, found=str(error), fix="unset the variable, or give it a size")


def _folder(what: str, folder: Path) -> Check:
    there = _nearest(folder)
    if not os.access(there, os.W_OK | os.X_OK) or not there.is_dir():
        return Check(what, ok=False, found=f"{there} cannot be written", fix=f'sudo chown -R "$(id -un)" {there}')
    if there != folder:
        return Check(what, ok=True, found=f"{folder} is made by the first run")
    mode = folder.stat().st_mode & 0o777
    if mode & 0o007:
        return Check(what, ok=False, found=f"{folder} is open to everybody (mode {mode:o})", fix=f"chmod 700 {folder}")
    return Check(what, ok=True, found=str(folder))


def _nearest(folder: Path) -> Path:
    return next(each for each in (folder, *folder.parents) if each.exists())


def _applies(requirement: Requirement) -> bool:
    """Whether it is one of this Python and system, and of no extra."""
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})


def _installed(name: str, version_of: Callable[[str], str]) -> str | None:
    try:
        return version_of(name)
    except metadata.PackageNotFoundError:
        return None


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.0f} MB"
