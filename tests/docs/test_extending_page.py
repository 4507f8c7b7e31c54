"""The Python on the pages runs, and does what the text around it says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.documents import DOCS, Block, read_all_blocks, read_blocks

from segmentation_pipeline.analysis.clustering.labelling import assign
from segmentation_pipeline.analysis.quality.gates import GateInputs
from segmentation_pipeline.model import FittedModel, StructureVerdict
from segmentation_pipeline.spec import Gate


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
