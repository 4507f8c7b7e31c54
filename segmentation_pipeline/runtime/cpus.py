"""How many threads this process may keep busy: a container's CPU quota is not what the machine shows."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import MutableMapping

# OpenMP's is read by scikit-learn's loops and by Arrow, OpenBLAS's by numpy and scipy; each when it is first loaded
THREAD_VARIABLES: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def count_cpus(*, cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """The processors this process may use, no more than its container's quota (cgroup v1 and v2), at least one."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for quota, period in (_v2(cgroup), _v1(cgroup)):
        if quota > 0 and period > 0:
            usable = min(usable, max(1, math.ceil(quota / period)))
    return usable


def keep_to_quota(environ: MutableMapping[str, str] = os.environ, *, cgroup: Path = Path("/sys/fs/cgroup")) -> None:
    """Where the quota is below what the machine has, tell the numerical libraries, before any is loaded.

    With a thread for each processor of the machine they would be throttled most of the time. What the environment says
    already stays.
    """
    if (allowed := count_cpus(cgroup=cgroup)) < (os.cpu_count() or 1):
        for name in THREAD_VARIABLES:
            environ.setdefault(name, str(allowed))


def _v2(cgroup: Path) -> tuple[int, int]:
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
        return int(quota), int(period)
    except (OSError, ValueError):  # "max": no quota
        return 0, 0


def _v1(cgroup: Path) -> tuple[int, int]:
    try:
        names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        quota, period = (int((cgroup / "cpu" / name).read_text()) for name in names)
    except (OSError, ValueError):
        return 0, 0
    return quota, period  # -1: no quota
