"""How much memory this process may take, by the machine, its container (cgroup v1 and v2) and the user's own limit.

A container that takes more than its limit is killed without a message, so the limit is read before the work begins.
"""

from __future__ import annotations

import ctypes
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from segmentation_pipeline.errors import ConfigurationError
from segmentation_pipeline.model import Memory
from segmentation_pipeline.runtime.settings import MEMORY_VARIABLE, read_memory_limit

if TYPE_CHECKING:
    from collections.abc import Iterator

_SIZE: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(?:([KMGT])(i?B)?|B)?\s*", re.IGNORECASE)
_POWERS: Final = {"K": 1, "M": 2, "G": 3, "T": 4}


@dataclass(frozen=True, slots=True)
class _Version:
    """The names of the files of one version of cgroups."""

    folder: str
    limit: str
    used: str
    reclaimable: tuple[str, ...]


_VERSIONS: Final = (
    _Version("", "memory.max", "memory.current", ("inactive_file", "active_file")),
    _Version("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", ("total_inactive_file", "total_active_file")),
)


def measure_memory(*, proc: Path = Path("/proc"), cgroup: Path = Path("/sys/fs/cgroup")) -> Memory | None:
    """Return the limit with the least memory left, in bytes; None where the system does not say.

    Raises:
        ConfigurationError: SEGMENTATION_MEMORY_LIMIT is not a size.
    """
    limits = [*_read_own_limit(proc), *_read_container_limits(proc, cgroup), *_read_machine_memory(proc)]
    return min(limits, key=lambda limit: limit.available, default=None)


def release_memory() -> None:
    """Return to the system what Arrow and the C library keep for later: the next stage needs other blocks."""
    pa.default_memory_pool().release_unused()
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)


def _read_own_limit(proc: Path) -> Iterator[Memory]:
    """Yield what is left of SEGMENTATION_MEMORY_LIMIT, where it is set."""
    text = read_memory_limit()
    if text is None:
        return
    match = _SIZE.fullmatch(text)
    if match is None or not float(match[1]):
        message = f"{MEMORY_VARIABLE} is {text!r}; write a size such as 1.5GiB or 800M, or unset it"
        raise ConfigurationError(message)
    limit = int(float(match[1]) * 1024 ** _POWERS.get((match[2] or "").upper(), 0))
    own = _read_numbers(proc / "self" / "status").get("RssAnon", 0) * 1024
    yield Memory(MEMORY_VARIABLE, limit, max(0, limit - own))


def _read_machine_memory(proc: Path) -> Iterator[Memory]:
    """Yield what the machine has available."""
    fields = _read_numbers(proc / "meminfo")
    if {"MemTotal", "MemAvailable"} <= fields.keys():
        yield Memory("this machine", fields["MemTotal"] * 1024, fields["MemAvailable"] * 1024)


def _read_container_limits(proc: Path, cgroup: Path) -> Iterator[Memory]:
    """Yield the limit of every group of this process: in a container the root of the mount is the container's own."""
    for version in _VERSIONS:
        mount = cgroup / version.folder
        for folder in (mount, *_find_groups(proc, mount, version)):
            try:
                limit = int((folder / version.limit).read_text())
                used = int((folder / version.used).read_text())
                stat = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
                # file pages, a mapped matrix among them, count as used; the system frees them when memory is needed
                left = limit - used + sum(int(stat[name]) for name in version.reclaimable)
            except (OSError, KeyError, ValueError):  # not this version, no such group, or "max": no limit
                continue
            yield Memory("this container", limit, min(limit, max(0, left)))


def _find_groups(proc: Path, mount: Path, version: _Version) -> Iterator[Path]:
    """Yield the folders of this process's group and of the groups around it, where this process can see them."""
    try:
        lines = (proc / "self" / "cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if version.folder in controllers.split(","):
            group = mount / path.strip("/")
            yield from (folder for folder in (group, *group.parents) if mount in folder.parents)


def _read_numbers(path: Path) -> dict[str, int]:
    """Return the numbers of a file of `Name:  123 kB` lines."""
    try:
        pairs = (line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
        return {name: int(parts[0]) for name, value in pairs if (parts := value.split()) and parts[0].isdigit()}
    except OSError:
        return {}
