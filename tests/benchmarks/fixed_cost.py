"""What a month costs, however few customers there are: 1,000 rows, one partition from the command line.

    python tests/benchmarks/fixed_cost.py [--rows 1000] [--runs 5]

The wall time is the median of the runs after the first, which makes the tables of a new home. As many runs are then
sampled fifty times a second: the time belongs to the innermost frame of Dagster's or of this project, in the main thread
or, where that waits, in the thread that it waits for. Loading modules is counted apart, whichever of the two asked for
them; and of this project's time, that of its own lines is shown too.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from threading import Event, Thread, main_thread
from typing import TYPE_CHECKING, Final

from measuring import find_command, make_environment, measure

if TYPE_CHECKING:
    from types import FrameType

ROWS: Final = 1_000
INTERVAL: Final = 0.02
WALL, OWN = 8.0, 2.0
IMPORTS, DAGSTER, PROJECT, OTHERS = "loading modules", "Dagster", "this project", "neither"
LINES: Final = "of which its own lines"
WHOLE, INTERPRETER = "whole", "the interpreter itself"
SEEN: Final = (IMPORTS, DAGSTER, PROJECT, OTHERS)
PARTS: Final = (IMPORTS, DAGSTER, PROJECT, LINES, OTHERS, INTERPRETER)
WAITING: Final = ("/threading.py", "/concurrent/futures/thread.py")


def main() -> None:
    """Time the runs and print where one of them went; end with 1 where a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--profiled", nargs="+", metavar="ARG", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.profiled:
        profile(options.profiled)
        return
    sys.exit(0 if compare(options.rows, options.runs) else 1)


def compare(n_rows: int, n_runs: int) -> bool:
    """Run the command in a new home, then again and again, then watched."""
    from server import serve  # here: the watched process must not find them loaded
    from shop import MONTHS, make_tables, write_defs

    with tempfile.TemporaryDirectory(prefix="bench-") as folder, serve(Path(folder)) as url:
        base = Path(folder)
        make_tables(url, n_rows)
        environment = make_environment(url, base, write_defs(base / "defs"))
        arguments = ["run", "bench", "--partition", MONTHS[0]]
        first = measure([find_command(), *arguments], environment)
        walls = [measure([find_command(), *arguments], environment).seconds for _ in range(n_runs)]
        watched = [sys.executable, __file__, "--profiled", *arguments[:2], arguments[3]]
        looks = [_watch(watched, environment) for _ in range(n_runs)]
    wall = statistics.median(walls)
    whole, *parts = (statistics.median(look[owner] for look in looks) for owner in (WHOLE, *PARTS))
    own = dict(zip(PARTS, parts, strict=True))[PROJECT]
    print(f"\n{n_rows:,} rows, one partition from the command line")
    print(f"first run in a new home    {first.seconds:6.2f} s")
    print(f"median of {n_runs} more{'':11}{wall:6.2f} s   target < {WALL:g} s: {_format_verdict(kept := wall < WALL)}")
    print(f"median of {n_runs} watched{'':8}{whole:6.2f} s, of which")
    for owner, seconds in zip(PARTS, parts, strict=True):
        target = f"   target < {OWN:g} s: {_format_verdict(own < OWN)}" if owner == PROJECT else ""
        print(f"  {owner:25}{seconds:6.2f} s{target}")
    return kept and own < OWN


def _watch(command: list[str], environment: dict[str, str]) -> dict[str, float]:
    began = time.monotonic()
    said = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    whole = time.monotonic() - began
    parts: dict[str, float] = json.loads(said.splitlines()[-1])
    return {**parts, WHOLE: whole, INTERPRETER: whole - sum(parts[owner] for owner in SEEN)}


def _format_verdict(kept: bool) -> str:
    return "met" if kept else "missed"


class Sampler(Thread):
    """A thread that looks at the others every few milliseconds and adds up the time of those at work."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.ended, self.seconds = Event(), Counter[str]()

    def run(self) -> None:
        """Look until `ended` is set."""
        before = time.monotonic()
        while not self.ended.wait(INTERVAL):
            now = time.monotonic()
            for owner in find_owner(_find_working(sys._current_frames(), ignored=self.ident or 0)):
                self.seconds[owner] += now - before  # type: ignore[assignment]
            before = now


def _find_working(frames: dict[int, FrameType], *, ignored: int) -> FrameType:
    """Return the main thread's frame or, while it waits for others, that of one that does not wait."""
    main = frames[main_thread().ident or 0]
    if not main.f_code.co_filename.endswith(WAITING):
        return main
    others = (frame for thread, frame in frames.items() if thread != ignored)
    return next((frame for frame in others if not frame.f_code.co_filename.endswith(WAITING)), main)


def find_owner(frame: FrameType) -> tuple[str, ...]:
    """Return the owner of a stack: an import anywhere in it, else the innermost frame of Dagster or this project."""
    innermost: tuple[str, ...] = ()
    own = _is_own(frame)
    here: FrameType | None = frame
    while here is not None:
        name = here.f_code.co_filename
        if name.startswith("<frozen importlib"):
            return (IMPORTS,)
        if not innermost:
            if _is_own(here):
                innermost = (PROJECT, LINES) if own else (PROJECT,)
            elif "/site-packages/dagster" in name:
                innermost = (DAGSTER,)
        here = here.f_back
    return innermost or (OTHERS,)


def _is_own(frame: FrameType) -> bool:
    return "/segmentation_pipeline/" in frame.f_code.co_filename


def profile(arguments: list[str]) -> None:
    """Run the command in this process under the sampler; the last line of the output holds the seconds of each owner."""
    command, name, partition = arguments
    sampler = Sampler()
    sampler.start()
    from segmentation_pipeline.cli import main as command_line

    try:
        command_line([command, name, "--partition", partition], standalone_mode=False)
    finally:
        sampler.ended.set()
        sampler.join()
        print(json.dumps({owner: sampler.seconds[owner] for owner in (*SEEN, LINES)}))


if __name__ == "__main__":
    main()
