"""How much memory this process may take: what the machine, its container (cgroup v1 and v2) and the user say.

A container that takes more than its limit is killed without a word, so the limit is asked before the work is done.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from segmentation_pipeline.errors import ConfigurationError
from segmentation_pipeline.model import Memory

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LIMIT_VARIABLE: Final = "SEGMENTATION_MEMORY_LIMIT"
_SIZE: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(?:([KMGT])(i?B)?|B)?\s*", re.IGNORECASE)
_POWERS: Final = {"K": 1, "M": 2, "G": 3, "T": 4}


@dataclass(frozen=True, slots=True)
class _Version:
    """How a version of cgroups names its files."""

    folder: str
    limit: str
    used: str
    reclaimable: tuple[str, ...]


_VERSIONS: Final = (
    _Version("", "memory.max", "memory.current", ("inactive_file", "active_file")),
    _Version("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", ("total_inactive_file", "total_active_file")),
)


def measure_memory(
    *, proc: Path = Path("/proc"), cgroup: Path = Path("/sys/fs/cgroup"), environ: Mapping[str, str] = os.environ
) -> Memory | None:
    """The tightest of the limits there are, with what is left below it; None where nobody says.

    Raises:
        ConfigurationError: SEGMENTATION_MEMORY_LIMIT is no size.
    """
    found = [*_of_user(proc, environ), *_of_containers(proc, cgroup), *_of_machine(proc)]
    return min(found, key=lambda each: each.available, default=None)


def release_memory() -> None:
    """Give back what Arrow and the C library keep for later: the next stage's needs are others."""
    pa.default_memory_pool().release_unused()
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)


def _of_user(proc: Path, environ: Mapping[str, str]) -> Iterator[Memory]:
    text = environ.get(LIMIT_VARIABLE)
    if not text:
        return
    match = _SIZE.fullmatch(text)
    if match is None or not float(match[1]):
        message = f"{LIMIT_VARIABLE} is {text!r}; give a size such as 1.5GiB or 800M, or unset it"
        raise ConfigurationError(message)
    limit = int(float(match[1]) * 1024 ** _POWERS.get((match[2] or "").upper(), 0))
    own = _fields(proc / "self" / "status").get("RssAnon", 0) * 1024
    yield Memory(LIMIT_VARIABLE, limit, max(0, limit - own))


def _of_machine(proc: Path) -> Iterator[Memory]:
    fields = _fields(proc / "meminfo")
    if {"MemTotal", "MemAvailable"} <= fields.keys():
        yield Memory("this machine", fields["MemTotal"] * 1024, fields["MemAvailable"] * 1024)


def _of_containers(proc: Path, cgroup: Path) -> Iterator[Memory]:
    """Every group that this process is in: inside a container the root of the mount is the container's own."""
    for version in _VERSIONS:
        mount = cgroup / version.folder
        for folder in (mount, *_below(proc, mount, version)):
            try:
                limit = int((folder / version.limit).read_text())
                used = int((folder / version.used).read_text())
                stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
                # file pages count as used, a mapped matrix among them, and go as soon as somebody needs the room
                left = limit - used + sum(int(stat[name]) for name in version.reclaimable)
            except (OSError, KeyError, ValueError):  # not this version, no such group, or "max": no limit
                continue
            yield Memory("this container", limit, min(limit, max(0, left)))


def _below(proc: Path, mount: Path, version: _Version) -> Iterator[Path]:
    """The folders of this process's group and of the groups around it, where they can be seen."""
    try:
        lines = (proc / "self" / "cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if version.folder in controllers.split(","):
            group = mount / path.strip("/")
            yield from (each for each in (group, *group.parents) if mount in each.parents)


def _fields(path: Path) -> dict[str, int]:
    """The numbers of a file of `Name:  123 kB` lines."""
    try:
        pairs = (line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
        return {name: int(parts[0]) for name, value in pairs if (parts := value.split()) and parts[0].isdigit()}
    except OSError:
        return {}
