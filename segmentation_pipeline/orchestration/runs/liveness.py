"""Whether the process of a run is still there.

A killed process leaves its run STARTED for ever, and later periods would wait for it. Dagster watches the runs that its
webserver and daemon launch, but not those of the command line; such a run names its process in a tag.
"""

import os
import socket
from pathlib import Path
from typing import Final, NamedTuple

PROCESS_TAG: Final = "segmentation/process"
PROC: Final = Path("/proc")


def make_process_tag() -> str:
    """Return the tag of this process: host, pid, and when it began, because a pid may be given to a later process."""
    pid = os.getpid()
    own = _read_stat(pid)
    return f"{socket.gethostname()}:{pid}:{own.started if own is not None else 0}"


def is_gone(tag: str) -> bool:
    """Return whether the process of a tag has ended; False where that cannot be known (another host)."""
    host, pid, started = tag.rsplit(":", 2) if tag.count(":") >= 2 else ("", "", "")
    if host != socket.gethostname() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    now = _read_stat(int(pid))
    if now is None:
        return False
    # a killed process whose parent has not read its exit code (a zombie) answers too
    return now.state == "Z" or (started != "0" and str(now.started) != started)


class _Stat(NamedTuple):
    state: str
    started: int
    """When the process started, in clock ticks since the machine started."""


def _read_stat(pid: int) -> _Stat | None:
    """Return the state of a process and when it began; None where there is no /proc."""
    try:
        # the command, in brackets, may hold any character; after it come the state and, as the 20th field, the start
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        return _Stat(fields[0], int(fields[19]))
    except (OSError, IndexError, ValueError):
        return None
