"""Whether the process of a run is still there.

A killed one leaves its run STARTED for ever, and no month may wait for a ghost.

Dagster watches the runs that its webserver and daemon launch. A run of the command line has no such guardian, so it
names its process in a tag.
"""

import os
import socket
from pathlib import Path
from typing import NamedTuple

PROCESS_TAG = "segmentation/process"
PROC = Path("/proc")


def make_process_tag() -> str:
    """This process: host, pid, and when it began, so that a pid given out again is not taken for it."""
    pid = os.getpid()
    own = _read_stat(pid)
    return f"{socket.gethostname()}:{pid}:{own.started if own is not None else 0}"


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
    now = _read_stat(int(pid))
    if now is None:
        return False
    # a killed process that nobody has collected yet (a zombie) answers too
    return now.state == "Z" or (started != "0" and str(now.started) != started)


class _Stat(NamedTuple):
    state: str
    started: int
    """In ticks since the machine did."""


def _read_stat(pid: int) -> _Stat | None:
    """The state of a process and when it began; None where there is no /proc."""
    try:
        # the command, in brackets, may hold anything; behind it stand the state and, as the 20th field, the start
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        return _Stat(fields[0], int(fields[19]))
    except (OSError, IndexError, ValueError):
        return None
