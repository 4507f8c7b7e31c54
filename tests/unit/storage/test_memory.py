"""How much memory is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from segmentation_pipeline.storage.memory import available_bytes

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("limit", "expected"), [("1000000", 600_000), ("9000000", 2_048_000), ("max", 2_048_000)])
def test_the_tighter_of_machine_and_container_counts(tmp_path: Path, limit: str, expected: int) -> None:
    """A container's limit counts where it is lower than what the machine has; its file cache is not in the way."""
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:  2000 kB\n")
    (tmp_path / "memory.max").write_text(f"{limit}\n")
    (tmp_path / "memory.current").write_text("500000\n")
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 100000\n")

    assert available_bytes(meminfo=tmp_path / "meminfo", cgroup=tmp_path) == expected


def test_where_nothing_is_known(tmp_path: Path) -> None:
    """Another operating system says nothing."""
    assert available_bytes(meminfo=tmp_path / "meminfo", cgroup=tmp_path) is None
