"""The results of the end-to-end benchmark as tables: seconds, memory, and ratios beside their targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shop import MONTHS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from floors import PublicationFloor
    from measuring import Measured
    from quality import Quality

MILLION: Final = 1_000_000
GIB: Final = 1024.0  # of MB


@dataclass(frozen=True)
class Month:
    """The cost of a month: the pipeline, the script if it ran, and the floors, in seconds and MB."""

    stages: dict[str, float]
    ours: Measured
    by_hand: Measured | None
    extraction_floor: float
    publication_floor: PublicationFloor


@dataclass(frozen=True)
class Result:
    """Both months of one size."""

    rows: int
    memory_limit: str | None
    months: dict[str, Month]
    quality: Quality | None


@dataclass(frozen=True)
class Ratio:
    """A figure beside its target, which was set for `for_rows` rows."""

    what: str
    value: float
    target: float
    at_least: bool
    for_rows: int
    unit: str = "x"
    digits: int = 2

    @property
    def met(self) -> bool:
        """Whether the figure keeps to the target."""
        return self.value >= self.target if self.at_least else self.value <= self.target


def print_stages(result: Result) -> None:
    """Print seconds and memory of both months side by side."""
    months = [result.months[month] for month in MONTHS]
    limit = f", limit {result.memory_limit}" if result.memory_limit else ""
    print(f"\n{f'{result.rows:,} rows{limit}':34}{'first month':>14}{'5 % changed':>14}")
    for stage in months[0].stages:
        _print_line(stage, [month.stages[stage] for month in months])
    _print_line("stages together", [sum(month.stages.values()) for month in months])
    _print_line("whole command", [month.ours.seconds for month in months])
    _print_line("  peak memory (RSS, process tree)", [month.ours.peak for month in months], "MB")
    _print_line("  of it with no file behind", [month.ours.anonymous for month in months], "MB")
    scripts = [month.by_hand for month in months if month.by_hand is not None]
    if scripts:
        _print_line("script by hand", [script.seconds for script in scripts])
        _print_line("  peak memory (RSS, process tree)", [script.peak for script in scripts], "MB")
    _print_line("floor of extraction (psql)", [month.extraction_floor for month in months])
    floors = [month.publication_floor for month in months]
    _print_line("floor of publication", [floor.whole for floor in floors])
    _print_line("  COPY of the labels", [floor.copy for floor in floors])
    _print_line("  UPDATE", [floor.update for floor in floors])
    _print_line("  COPY of the history", [floor.history for floor in floors], last=True)


def print_ratios(results: Mapping[int, Result]) -> bool:
    """Print every ratio beside its target, and return whether those at their target's own size were all met."""
    kept = True
    print(f"\n{'ratio':50}{'rows':>12}{'value':>10}{'target':>12}")
    for result in results.values():
        for ratio in _list_ratios(result):
            kept = _print_ratio(ratio, result.rows) and kept
    small, large = results.get(MILLION), results.get(10 * MILLION)
    if small is not None and large is not None:
        for month in MONTHS:
            value = large.months[month].ours.seconds / small.months[month].ours.seconds
            kept = (
                _print_ratio(Ratio(f"{month}: wall over 1,000,000's", value, 12, False, 10 * MILLION), large.rows)
                and kept
            )
    print("targets are of 1,000,000 rows (wall and memory of 10,000,000: of 10,000,000); in brackets: another size")
    return kept


def _list_ratios(result: Result) -> Iterator[Ratio]:
    for name, month, faster in zip(("first month", "5 % changed"), result.months.values(), (6, 10), strict=True):
        ours, script, stages = month.ours, month.by_hand, month.stages
        if script is not None:
            yield Ratio(f"{name}: script's time over ours", script.seconds / ours.seconds, faster, True, MILLION)
            yield Ratio(f"{name}: our memory over the script's", ours.peak / script.peak, 0.5, False, MILLION)
        yield Ratio(
            f"{name}: raw_extract over psql's COPY", stages["raw_extract"] / month.extraction_floor, 2.5, False, MILLION
        )
        published = stages["published_segments"] / month.publication_floor.whole
        yield Ratio(f"{name}: published_segments over its floor", published, 1.5, False, MILLION)
        if result.rows >= MILLION:
            yield Ratio(f"{name}: peak memory", ours.peak / GIB, 4, False, 10 * MILLION, "GiB")
    if result.quality is not None:
        quality = result.quality
        what = "inertia over scikit-learn's best of 10 starts"
        yield Ratio(what, quality.inertia_ratio, 1.005, False, MILLION, digits=4)
        what = f"K = {quality.k}, of a sweep on all rows {quality.k_of_full_sweep}: the difference"
        yield Ratio(what, abs(quality.k - quality.k_of_full_sweep), 0, False, MILLION, "", digits=0)


def _print_ratio(ratio: Ratio, n_rows: int) -> bool:
    own = n_rows == ratio.for_rows
    verdict = "met" if ratio.met else "missed"
    unit = f" {ratio.unit}" if len(ratio.unit) > 1 else ratio.unit
    value = f"{ratio.value:.{ratio.digits}f}{unit}"
    target = f"{'>=' if ratio.at_least else '<='} {ratio.target:g}{unit}"
    print(f"{ratio.what:50}{n_rows:>12,}{value:>10}{target:>12}  {verdict if own else f'({verdict})'}", flush=True)
    return ratio.met or not own


def _print_line(name: str, values: list[float], unit: str = "s ", *, last: bool = False) -> None:
    digits = 0 if unit == "MB" else 2
    print(f"{name:34}" + "".join(f"{value:11.{digits}f} {unit}" for value in values), flush=last)
