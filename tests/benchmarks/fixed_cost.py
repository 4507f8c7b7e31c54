"""What a month costs however few the customers are: 1,000 rows, one partition from the command line.

    python tests/benchmarks/fixed_cost.py [--rows 1000] [--runs 5]

The wall time is the median of the runs after the first, which makes the tables of a new home. Then as many are looked
at fifty times a second: who is at work is what the innermost frame of Dagster's or of this project says, in the
thread that the main one waits for where it waits for one. Loading modules is counted apart, whoever asked for them; and
of this project's time, its own lines.
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

from measuring import environment_for, measure, segmentation

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
    """Time the runs and print where one of them went; ends with 1 where a target was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--profiled", nargs="+", metavar="ARG", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.profiled:
        profiled(options.profiled)
        return
    sys.exit(0 if compare(options.rows, options.runs) else 1)


def compare(n_rows: int, n_runs: int) -> bool:
    """Run the command in a new home, then again and again, then watched."""
    from server import served  # here: the watched process must not find them loaded
    from shop import MONTHS, make_tables, write_defs

    with tempfile.TemporaryDirectory(prefix="bench-") as folder, served(Path(folder)) as url:
        base = Path(folder)
        make_tables(url, n_rows)
        environment = environment_for(url, base, write_defs(base / "defs"))
        arguments = ["run", "bench", "--partition", MONTHS[0]]
        first = measure([segmentation(), *arguments], environment)
        walls = [measure([segmentation(), *arguments], environment).seconds for _ in range(n_runs)]
        watched = [sys.executable, __file__, "--profiled", *arguments[:2], arguments[3]]
        looks = [_watched(watched, environment) for _ in range(n_runs)]
    wall = statistics.median(walls)
    whole, *parts = (statistics.median(look[who] for look in looks) for who in (WHOLE, *PARTS))
    own = dict(zip(PARTS, parts, strict=True))[PROJECT]
    print(f"\n{n_rows:,} rows, one partition from the command line")
    print(f"first run in a new home    {first.seconds:6.2f} s")
    print(f"median of {n_runs} more{'':11}{wall:6.2f} s   target < {WALL:g} s: {_verdict(kept := wall < WALL)}")
    print(f"median of {n_runs} watched{'':8}{whole:6.2f} s, of which")
    for who, seconds in zip(PARTS, parts, strict=True):
        target = f"   target < {OWN:g} s: {_verdict(own < OWN)}" if who == PROJECT else ""
        print(f"  {who:25}{seconds:6.2f} s{target}")
    return kept and own < OWN


def _watched(command: list[str], environment: dict[str, str]) -> dict[str, float]:
    began = time.monotonic()
    said = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    whole = time.monotonic() - began
    parts: dict[str, float] = json.loads(said.splitlines()[-1])
    return {**parts, WHOLE: whole, INTERPRETER: whole - sum(parts[who] for who in SEEN)}


def _verdict(kept: bool) -> str:
    return "met" if kept else "missed"


class Sampler(Thread):
    """Looks at the threads every few milliseconds and adds the time since the last look to whoever is at work."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.ended, self.seconds = Event(), Counter[str]()

    def run(self) -> None:
        """Look until it is told to end."""
        before = time.monotonic()
        while not self.ended.wait(INTERVAL):
            now = time.monotonic()
            for who in at_work(_working(sys._current_frames(), of_no_interest=self.ident or 0)):
                self.seconds[who] += now - before  # type: ignore[assignment]
            before = now


def _working(frames: dict[int, FrameType], *, of_no_interest: int) -> FrameType:
    """Where the main thread is, or, while it waits for others, where one of them is that does not wait."""
    main = frames[main_thread().ident or 0]
    if not main.f_code.co_filename.endswith(WAITING):
        return main
    others = (frame for thread, frame in frames.items() if thread != of_no_interest)
    return next((frame for frame in others if not frame.f_code.co_filename.endswith(WAITING)), main)


def at_work(frame: FrameType) -> tuple[str, ...]:
    """Who a stack belongs to: an import anywhere in it, else the innermost frame of Dagster or of this project."""
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


def profiled(arguments: list[str]) -> None:
    """Run the command in this process under the sampler; the last line of the output says who took how long."""
    command, name, partition = arguments
    sampler = Sampler()
    sampler.start()
    from segmentation_pipeline.cli import main as command_line

    try:
        command_line([command, name, "--partition", partition], standalone_mode=False)
    finally:
        sampler.ended.set()
        sampler.join()
        print(json.dumps({who: sampler.seconds[who] for who in (*SEEN, LINES)}))


if __name__ == "__main__":
    main()
