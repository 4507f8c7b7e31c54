"""The Python on the pages runs, and does what the text around it says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.documents import DOCS, ROOT, Block, read_all_blocks, read_blocks

from segmentation_pipeline.analysis.clustering.labelling import assign
from segmentation_pipeline.analysis.quality.gates import GateInputs
from segmentation_pipeline.model import FittedModel, StructureVerdict
from segmentation_pipeline.spec import Gate

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("block", read_all_blocks("python"), ids=str)
def test_python_blocks_run(block: Block) -> None:
    """Each by itself, with its own imports."""
    exec(compile(block.text, str(block), "exec"), {"__name__": "documented"})


def _define(name: str) -> Any:
    (block,) = [block for block in read_blocks(DOCS / "extending.md") if f"def {name}(" in block.text]
    namespace: dict[str, Any] = {"__name__": "documented"}
    exec(compile(block.text, str(block), "exec"), namespace)
    return namespace[name]


def test_the_example_algorithm_finds_groups_and_labels_from_json() -> None:
    """Three groups are found, and the model that was saved as JSON gives every row the same label."""
    rng = np.random.default_rng(2)
    truth = np.repeat([0, 1, 2], 40)
    matrix = (np.array([[0, 0], [9, 0], [0, 9]])[truth] + rng.normal(0, 1, (120, 2))).astype(np.float32)
    fitted = _define("bisecting")(matrix, 3, seed=1)
    labels = assign(matrix, fitted.model).labels
    assert len({(one, other) for one, other in zip(truth.tolist(), labels.tolist(), strict=True)}) == 3
    assert (assign(matrix, FittedModel.from_json(fitted.model.to_json())).labels == labels).all()


@pytest.mark.parametrize(("sizes", "passed"), [({1: 50, 2: 50}, True), ({1: 95, 2: 5}, False)])
def test_the_example_gate_fails_what_it_should(sizes: dict[int, int], passed: bool) -> None:
    """Half and half passes; 95 % in one segment does not, and the message says what to do."""
    evidence = GateInputs(
        n_extracted=100, n_assigned=100, n_unassigned=0, n_rejected=0, segment_sizes=sizes, silhouette=0.5,
        structure=StructureVerdict("structure", 9.0, 0.5, "groups"), parent_partition=None, parent_n_rows=None,
    )  # fmt: skip
    result = _define("max_segment_share")(evidence, Gate(threshold=0.9, severity="warn"))
    assert (result.name, result.passed) == ("max_segment_share", passed)
    assert ("log1p" in result.message) is not passed


def _change(text: str, lines: str) -> str:
    """Replace the lines that are marked with "-" by the ones that follow with "+"."""
    old: list[str] = []
    new: list[str] = []
    for line in [*lines.splitlines(), "-"]:
        if line.startswith("-") and new:
            assert text.count("\n".join(old) + "\n") == 1, f"not there once: {old}"
            text = text.replace("\n".join(old) + "\n", "\n".join(new) + "\n")
            old, new = [], []
        (old if line.startswith("-") else new).append(line[1:])
    return text


def test_the_example_kind_is_validated_encoded_and_profiled(tmp_path: Path) -> None:
    """A copy of the package that is changed as the page says, and nowhere else, takes a column of the new kind."""
    shutil.copytree(
        ROOT / "segmentation_pipeline", tmp_path / "segmentation_pipeline", ignore=shutil.ignore_patterns("__pycache__")
    )
    for block in [block for block in read_blocks(DOCS / "extending.md") if block.file is not None]:
        file = tmp_path / str(block.file)
        file.write_text(_change(file.read_text(), block.text) if block.language == "text" else block.text)
    program = subprocess.run(
        [sys.executable, ROOT / "tests" / "support" / "text_length.py"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert program.returncode == 0, program.stderr
    found = json.loads(program.stdout)

    kinds = ["boolean", "categorical", "date", "numeric", "text_length"]
    assert found["names"] == [kinds, kinds, kinds]
    assert found["stored_as"] == "float64"
    assert (found["lengths"], found["reasons"]) == ([2.0, 4.0, -1.0, 14.0, 16.0], [["note: above 20"]])
    assert found["columns"] == ["note"]
    lengths = np.array([2.0, 4.0, 9.0, 14.0, 16.0])
    assert found["encoded"] == pytest.approx(((lengths - lengths.mean()) / lengths.std()).tolist())
    assert found["means"] == {"1": 3.0, "2": 15.0}
    assert found["segment_names"] == {"1": "low note", "2": "high note"}
    assert found["rules"] == ["(note <= 10 characters or missing)", "note > 10 characters"]
