"""The cost of a command: its wall time, and the most memory that its whole process tree held.

Memory is read from /proc ten times a second, summed over the command's process and everything that it started. What
is mapped from files counts as resident too. PostgreSQL's server is not a child of the command, so neither its processes
nor its shared buffers are in the sum.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

INTERVAL: Final = 0.1


@dataclass(frozen=True)
class Measured:
    """Wall seconds; MB at the peak, and MB of what has no file behind it, which cannot be given back under pressure."""

    seconds: float
    peak: float
    anonymous: float


class _Watch(Thread):
    """A thread that follows a process tree until `stopped` is set."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._pid, self.stopped = pid, Event()
        self.peak = self.anonymous = 0

    def run(self) -> None:
        """Keep the highest of what was seen; the kernel's own high-water mark misses nothing between two looks."""
        while not self.stopped.wait(INTERVAL):
            # a process on its way to start another shows all of its parent's memory as its own
            seen = {
                process.get("VmSize", 0): process for process in map(_read_kilobytes, _walk_tree(self._pid))
            }.values()
            resident = sum(process.get("VmRSS", 0) for process in seen)
            self.peak = max(self.peak, resident, *(process.get("VmHWM", 0) for process in seen), 0)
            self.anonymous = max(self.anonymous, sum(process.get("RssAnon", 0) for process in seen))


def measure(command: Sequence[str], environment: Mapping[str, str]) -> Measured:
    """Run a command to its end and return its cost; exit where it fails."""
    began = time.monotonic()
    with subprocess.Popen(command, env=dict(environment)) as process:
        watch = _Watch(process.pid)
        watch.start()
        code = process.wait()
        seconds = time.monotonic() - began
        watch.stopped.set()
        watch.join()
    if code:
        sys.exit(f"{' '.join(command[:2])} ended with {code}")
    return Measured(seconds, watch.peak / 1024, watch.anonymous / 1024)


def make_environment(url: str, base: Path, defs: Path, *, memory_limit: str | None = None) -> dict[str, str]:
    """Return the environment of a `segmentation` command with its home below `base`, without this process's settings.

    It is that of an installation for use: pandera would load hypothesis, which only the tests install, in a third of a
    second.
    """
    hidden = base / "hidden"
    hidden.mkdir(exist_ok=True)
    (hidden / "hypothesis.py").write_text("raise ImportError('not where the package is used')\n")
    own = ("DAGSTER_HOME", "SEGMENTATION_", "PYTHONPATH")
    return {name: value for name, value in os.environ.items() if not name.startswith(own)} | {
        "PYTHONPATH": str(hidden),
        "SEGMENTATION_DATABASE_URL": url,
        "SEGMENTATION_HOME": str(base / "home"),
        "SEGMENTATION_DEFS": str(defs),
        **({"SEGMENTATION_MEMORY_LIMIT": memory_limit} if memory_limit else {}),
    }


def find_command() -> str:
    """Return the path of the `segmentation` command of this environment."""
    return str(Path(sys.executable).with_name("segmentation"))


def _walk_tree(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            pids = [int(pid) for pid in children.read_text().split()]
        except OSError:  # the thread has ended
            continue
        for child in pids:
            yield from _walk_tree(child)


def _read_kilobytes(pid: int) -> dict[str, int]:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:  # the process has ended
        return {}
    return {line.split(":")[0]: int(line.split()[1]) for line in lines if line.endswith(" kB")}
