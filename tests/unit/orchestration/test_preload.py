"""What the fit needs is loaded beside the first stages, where the run comes to the fit."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from segmentation_pipeline.orchestration.runs import preload as loading

# a module of the standard library that nothing else uses
MODULE = "colorsys"
PIPELINE: Any = SimpleNamespace(key=lambda stage: dg.AssetKey(["shop", stage.name]))


@pytest.fixture(autouse=True)
def nothing_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has just begun."""
    monkeypatch.setattr(loading, "NEEDED", ("no_such_module", MODULE))
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    loading._start_loading.cache_clear()


def _context(steps: list[str] | None, nodes: list[str]) -> Any:
    job = SimpleNamespace(nodes=[SimpleNamespace(name=name) for name in nodes])
    return SimpleNamespace(run=SimpleNamespace(step_keys_to_execute=steps), job_def=job)


@pytest.mark.parametrize("steps", [["shop__validated_rows", "shop__k_sweep"], None])
def test_a_run_that_comes_to_the_sweep_loads_for_it(steps: list[str] | None) -> None:
    """A module that is missing is left to the stage that needs it."""
    loading.begin_loading(_context(steps, ["shop__k_sweep"]), PIPELINE)
    loading.begin_loading(_context(steps, ["shop__k_sweep"]), PIPELINE)
    loading.finish_loading()

    assert MODULE in sys.modules


@pytest.mark.parametrize("steps", [["shop__raw_extract"], None, ["other__k_sweep"]])
def test_a_run_of_other_stages_loads_nothing(steps: list[str] | None) -> None:
    """A run that does not come to the fit does not spend seconds and memory on it."""
    loading.begin_loading(_context(steps, ["shop__raw_extract"]), PIPELINE)
    loading.finish_loading()

    assert MODULE not in sys.modules


def test_loading_has_the_priority_of_the_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With a lower priority it would starve on a busy machine, and with it all that waits for it or its interpreter lock."""
    (tmp_path / "its_priority.py").write_text(
        "import os, threading\nfound = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(loading, "NEEDED", ("its_priority",))

    loading.begin_loading(_context(None, ["shop__k_sweep"]), PIPELINE)
    loading.finish_loading()

    assert sys.modules.pop("its_priority").found == os.getpriority(os.PRIO_PROCESS, 0)
