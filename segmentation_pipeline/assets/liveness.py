"""Whether the process of a run is still there.

A killed one leaves its run STARTED for ever, and no month may wait for a ghost.

Dagster watches the runs that its webserver and daemon launch. A run of the command line has no such guardian, so it
names its process in a tag.
"""

import os
import socket
from pathlib import Path

PROCESS_TAG = "segmentation/process"
PROC = Path("/proc")


def process_tag() -> str:
    """This process: host, pid, and when it began, so that a pid given out again is not taken for it."""
    pid = os.getpid()
    return f"{socket.gethostname()}:{pid}:{_started(pid) or 0}"


def is_gone(tag: str) -> bool:
    """Whether the process of a tag has ended; False where that cannot be known (another host)."""
    host, pid, started = tag.rsplit(":", 2) if tag.count(":") >= 2 else ("", "", "")
    if host != socket.gethostname() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    now = _started(int(pid))
    return now is not None and started != "0" and str(now) != started


def _started(pid: int) -> int | None:
    """When a process began, in ticks since the machine did; None where there is no /proc."""
    try:
        # the command, in brackets, may hold anything; the 20th field behind it is the start
        return int((PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return None
