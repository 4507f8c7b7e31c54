"""How many threads a container's quota allows."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from segmentation_pipeline.runtime.cpus import THREAD_VARIABLES, count_cpus, keep_to_quota

if TYPE_CHECKING:
    from pathlib import Path

MINE = len(os.sched_getaffinity(0))


def _v2(cgroup: Path, text: str) -> None:
    (cgroup / "cpu.max").write_text(f"{text}\n")


def _v1(cgroup: Path, text: str) -> None:
    (cgroup / "cpu").mkdir()
    for name, value in zip(("cpu.cfs_quota_us", "cpu.cfs_period_us"), text.split(), strict=True):
        (cgroup / "cpu" / name).write_text(f"{value}\n")


@pytest.mark.parametrize("text", ["100000 100000", "50000 100000", "1000 100000"])
@pytest.mark.parametrize("write", [_v1, _v2])
def test_a_quota_of_one_cpu_or_less_is_one_thread(tmp_path: Path, write: object, text: str) -> None:
    """A share of a processor is one thread, in both versions of cgroups."""
    assert callable(write)
    write(tmp_path, text)

    assert count_cpus(cgroup=tmp_path) == 1


def test_without_a_quota_all_processors_count(tmp_path: Path) -> None:
    """No quota, "max" and -1 leave what this process may run on; more than that is not made up."""
    assert count_cpus(cgroup=tmp_path) == MINE
    _v2(tmp_path, "max 100000")
    _v1(tmp_path, "-1 100000")
    assert count_cpus(cgroup=tmp_path) == MINE
    _v2(tmp_path, "9900000 100000")
    assert count_cpus(cgroup=tmp_path) == MINE


def test_the_libraries_are_told_unless_somebody_else_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the quota is below what the machine has, OpenMP and OpenBLAS get it; a variable that is set stays."""
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    _v2(tmp_path, "100000 100000")
    environ = {THREAD_VARIABLES[0]: "3"}

    keep_to_quota(environ, cgroup=tmp_path)

    assert environ == {THREAD_VARIABLES[0]: "3", THREAD_VARIABLES[1]: "1"}


def test_without_a_quota_nothing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of one's own is used as the libraries see fit."""
    monkeypatch.setattr(os, "cpu_count", lambda: MINE)
    environ: dict[str, str] = {}

    keep_to_quota(environ, cgroup=tmp_path)

    assert environ == {}
