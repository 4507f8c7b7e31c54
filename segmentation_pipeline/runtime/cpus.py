"""How many threads this process may keep busy: a container's CPU quota may be below the machine's processors."""

from __future__ import annotations

import math
import os
from pathlib import Path

from segmentation_pipeline.runtime import settings


def count_cpus(*, cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Return how many processors this process may use: at most its container's quota (cgroup v1 and v2), at least 1."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for quota, period in (_read_v2(cgroup), _read_v1(cgroup)):
        if quota > 0 and period > 0:
            usable = min(usable, max(1, math.ceil(quota / period)))
    return usable


def keep_to_quota(*, cgroup: Path = Path("/sys/fs/cgroup")) -> None:
    """Limit the threads of the numerical libraries to the quota, where it is below the machine's processors.

    This must happen before any of them is loaded. With a thread for each processor of the machine they would be
    throttled most of the time. A variable that is set already stays as it is.
    """
    if (allowed := count_cpus(cgroup=cgroup)) < (os.cpu_count() or 1):
        settings.limit_threads(allowed)


def _read_v2(cgroup: Path) -> tuple[int, int]:
    """Return the quota and its period in microseconds; zeros where there is none."""
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
        return int(quota), int(period)
    except (OSError, ValueError):  # "max": no quota
        return 0, 0


def _read_v1(cgroup: Path) -> tuple[int, int]:
    """Return the quota and its period in microseconds; a quota of -1 is none."""
    try:
        names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        quota, period = (int((cgroup / "cpu" / name).read_text()) for name in names)
    except (OSError, ValueError):
        return 0, 0
    return quota, period
