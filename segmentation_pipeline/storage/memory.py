"""How much memory a fit may still take."""

from __future__ import annotations

from pathlib import Path
from typing import Final

MEMINFO: Final = Path("/proc/meminfo")
CGROUP: Final = Path("/sys/fs/cgroup")


def available_bytes(*, meminfo: Path = MEMINFO, cgroup: Path = CGROUP) -> int | None:
    """The smaller of what the machine and what the container (cgroup v2) has left; None where neither says."""
    known = [each for each in (_of_machine(meminfo), _of_container(cgroup)) if each is not None]
    return min(known, default=None)


def container_limit(*, cgroup: Path = CGROUP) -> int | None:
    """The memory limit of the container (cgroup v2); None where there is none."""
    try:
        return int((cgroup / "memory.max").read_text())
    except (OSError, ValueError):  # "max": no limit
        return None


def _of_machine(meminfo: Path) -> int | None:
    try:
        fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines() if ":" in line)
        return int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None


def _of_container(cgroup: Path) -> int | None:
    try:
        limit, used = ((cgroup / name).read_text().strip() for name in ("memory.max", "memory.current"))
        stat = dict(line.split() for line in (cgroup / "memory.stat").read_text().splitlines())
        # file pages count as used, and go as soon as somebody needs the room
        return max(0, int(limit) - int(used) + int(stat["inactive_file"]))
    except (OSError, KeyError, ValueError):  # "max": no limit
        return None
