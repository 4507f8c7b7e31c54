"""How much memory is left below the limits of the machine, the container and the user."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from segmentation_pipeline.errors import ConfigurationError
from segmentation_pipeline.model import Memory
from segmentation_pipeline.runtime.memory import measure_memory
from segmentation_pipeline.runtime.settings import MEMORY_VARIABLE

if TYPE_CHECKING:
    from pathlib import Path

GIB = 2**30
UNLIMITED_V1 = "9223372036854771712"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A machine with 8 GiB, 6 of them free, and a process that holds 1."""
    (tmp_path / "proc" / "self").mkdir(parents=True)
    (tmp_path / "proc" / "meminfo").write_text(f"MemTotal: {8 * 2**20} kB\nMemAvailable:  {6 * 2**20} kB\n")
    (tmp_path / "proc" / "self" / "status").write_text(f"Name:\tpython\nVmRSS:\t9 kB\nRssAnon:\t  {2**20} kB\n")
    return tmp_path


def _v2(folder: Path, limit: str, *, used: int = GIB, reclaimable: int = GIB // 2) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon 1\ninactive_file {reclaimable // 2}\nactive_file {reclaimable // 2}\n")


def _v1(folder: Path, limit: str, *, used: int = GIB, reclaimable: int = GIB // 2) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.limit_in_bytes").write_text(f"{limit}\n")
    (folder / "memory.usage_in_bytes").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(
        f"inactive_file 7\ntotal_inactive_file {reclaimable // 2}\ntotal_active_file {reclaimable // 2}\n"
    )


def _memory(machine: Path) -> Memory | None:
    return measure_memory(proc=machine / "proc", cgroup=machine / "cgroup")


def test_a_machine_without_limits(machine: Path) -> None:
    """A machine without limits has its own memory, and what is available of it is left."""
    assert _memory(machine) == Memory("this machine", 8 * GIB, 6 * GIB)


@pytest.mark.parametrize("group", ["", "memory"])
def test_a_containers_limit_counts(machine: Path, group: str) -> None:
    """The limit of both versions of cgroups is read, and its file cache counts as free."""
    (_v1 if group else _v2)(machine / "cgroup" / group, str(2 * GIB))

    assert _memory(machine) == Memory("this container", 2 * GIB, GIB + GIB // 2)


@pytest.mark.parametrize("group", ["", "memory"])
def test_a_group_without_a_limit_does_not_count(machine: Path, group: str) -> None:
    """Version 2 writes "max" for no limit, version 1 a number larger than any machine's memory."""
    (_v1 if group else _v2)(machine / "cgroup" / group, UNLIMITED_V1 if group else "max")

    assert _memory(machine) == Memory("this machine", 8 * GIB, 6 * GIB)


@pytest.mark.parametrize(("line", "group"), [("0::/slice/unit", ""), ("4:memory:/slice/unit", "memory")])
def test_a_group_outside_a_container_counts(machine: Path, line: str, group: str) -> None:
    """A service's limit lies in the folder of its group; one set on a group around it holds as well."""
    (machine / "proc" / "self" / "cgroup").write_text(f"7:pids:/other\n{line}\n")
    write = _v1 if group else _v2
    write(machine / "cgroup" / group / "slice", str(3 * GIB))
    write(machine / "cgroup" / group / "slice" / "unit", str(4 * GIB))

    assert _memory(machine) == Memory("this container", 3 * GIB, 2 * GIB + GIB // 2)


def test_more_used_than_allowed_is_nothing_left(machine: Path) -> None:
    """A limit that was lowered under a running process leaves nothing, not less than nothing."""
    _v2(machine / "cgroup", str(GIB // 4))

    assert _memory(machine) == Memory("this container", GIB // 4, 0)


@pytest.mark.parametrize(("text", "limit"), [("3GiB", 3 * GIB), ("1.5 GiB", 3 * GIB // 2), ("1536m", 3 * GIB // 2), ("2147483648", 2 * GIB), ("2g", 2 * GIB)])  # fmt: skip
def test_a_limit_of_ones_own(machine: Path, text: str, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """SEGMENTATION_MEMORY_LIMIT is a size; what the process holds already is subtracted from it."""
    monkeypatch.setenv(MEMORY_VARIABLE, text)

    assert _memory(machine) == Memory(MEMORY_VARIABLE, limit, limit - GIB)


@pytest.mark.parametrize("text", ["a lot", "-1", "0", "1.5 parsecs"])
def test_a_limit_that_is_not_a_size_is_refused(machine: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the variable and how a size is written."""
    monkeypatch.setenv(MEMORY_VARIABLE, text)

    with pytest.raises(ConfigurationError, match=r"SEGMENTATION_MEMORY_LIMIT is .* such as 1\.5GiB"):
        _memory(machine)


def test_memory_is_not_known_without_these_files(tmp_path: Path) -> None:
    """On a system without these files the memory is not known."""
    assert _memory(tmp_path) is None
