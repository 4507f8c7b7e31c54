"""How many threads a container's quota allows."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from segmentation_pipeline.runtime.cpus import count_cpus, keep_to_quota
from segmentation_pipeline.runtime.settings import THREAD_VARIABLES

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
    """No quota, "max", -1 and a quota above the machine leave the processors this process may run on."""
    assert count_cpus(cgroup=tmp_path) == MINE
    _v2(tmp_path, "max 100000")
    _v1(tmp_path, "-1 100000")
    assert count_cpus(cgroup=tmp_path) == MINE
    _v2(tmp_path, "9900000 100000")
    assert count_cpus(cgroup=tmp_path) == MINE


def test_the_libraries_get_the_quota_unless_their_variable_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the quota is below the machine's processors, OpenMP and OpenBLAS get it; a variable that is set stays."""
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    _v2(tmp_path, "100000 100000")
    monkeypatch.setenv(THREAD_VARIABLES[0], "3")
    monkeypatch.delenv(THREAD_VARIABLES[1], raising=False)

    keep_to_quota(cgroup=tmp_path)

    assert [os.environ[name] for name in THREAD_VARIABLES] == ["3", "1"]


def test_without_a_quota_no_variable_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine without a quota the libraries choose their own number of threads."""
    monkeypatch.setattr(os, "cpu_count", lambda: MINE)
    for name in THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)

    keep_to_quota(cgroup=tmp_path)

    assert not set(THREAD_VARIABLES) & set(os.environ)
