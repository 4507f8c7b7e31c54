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
from support.algorithms import numeric_encoding
from support.documents import DOCS, ROOT, Block, read_all_blocks, read_blocks

from segmentation_pipeline.analysis.clustering.algorithms.algorithm import FitRequest
from segmentation_pipeline.analysis.clustering.labelling import assign
from segmentation_pipeline.model import FittedModel

if TYPE_CHECKING:
    from pathlib import Path

ALGORITHM_TESTS = "tests/unit/analysis/clustering/algorithms"
# what a run does with an algorithm: read its name, check the memory, fit, save, label other rows
RUN = """
import json
import numpy as np
from support.algorithms import numeric_encoding
from segmentation_pipeline.analysis.clustering.algorithms.fit import fit_model
from segmentation_pipeline.analysis.clustering.algorithms.registry import ALGORITHMS
from segmentation_pipeline.analysis.clustering.algorithms.resolve import resolve_algorithm
from segmentation_pipeline.analysis.clustering.labelling import assign
from segmentation_pipeline.analysis.selection.assigned_silhouette import silhouette_score
from segmentation_pipeline.model import FittedModel, Memory
from segmentation_pipeline.spec import FitSpec

spec = FitSpec(algorithm="bisecting")
resolved = resolve_algorithm(spec.algorithm, n_rows=120, n_columns=2, memory=Memory("this machine", 2**32, 2**31))
rng = np.random.default_rng(2)
fitted, scored = ((np.array([[0, 0], [9, 0], [0, 9]])[np.arange(120) % 3] + rng.normal(0, 1, (120, 2))).astype("f4") for _ in "ab")
fit = fit_model(fitted, algorithm=resolved.algorithm, k=3, n_init=10, seed=1, encoding=numeric_encoding(2))
model = FittedModel.from_json(json.loads(json.dumps(fit.model.to_json())))
labels = assign(scored, model).labels
print(json.dumps({
    "algorithm": model.algorithm,
    "needed": resolved.needed_bytes - resolve_algorithm("quantile", n_rows=120, n_columns=2).needed_bytes,
    "silhouette": silhouette_score(scored, labels, seed=1),
    "pairs": len(set(zip((np.arange(120) % 3).tolist(), labels.tolist()))),
    "round": ALGORITHMS[model.algorithm].round_clusters,
}))
"""


@pytest.mark.parametrize("block", read_all_blocks("python"), ids=str)
def test_python_blocks_run(block: Block) -> None:
    """Each block runs by itself, with its own imports."""
    exec(compile(block.text, str(block), "exec"), {"__name__": "documented"})


def _define(name: str) -> Any:
    (block,) = [block for block in read_blocks(DOCS / "extending.md") if f"def {name}(" in block.text]
    namespace: dict[str, Any] = {"__name__": "documented"}
    exec(compile(block.text, str(block), "exec"), namespace)
    return namespace[name]


def test_the_example_algorithm_finds_groups_and_labels_from_json() -> None:
    """It finds three groups, and the model that was saved as JSON labels every row in the same way."""
    rng = np.random.default_rng(2)
    truth = np.repeat([0, 1, 2], 40)
    matrix = (np.array([[0, 0], [9, 0], [0, 9]])[truth] + rng.normal(0, 1, (120, 2))).astype(np.float32)
    request = FitRequest(k=3, n_init=10, seed=1, encoding=numeric_encoding(2))
    fitted = _define("fit_bisections")(matrix, request)
    labels = assign(matrix, fitted.model).labels
    assert len({(one, other) for one, other in zip(truth.tolist(), labels.tolist(), strict=True)}) == 3
    assert (assign(matrix, FittedModel.from_json(fitted.model.to_json())).labels == labels).all()


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package and of the tests over all algorithms, with the algorithm added as the page says."""
    copy = tmp_path_factory.mktemp("extended")
    _extend(copy, "An algorithm")
    for folder in ("tests/support", ALGORITHM_TESTS):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    return copy


def _list_files(heading: str) -> list[Block]:
    """The blocks of a section that stand for files."""
    text = (DOCS / "extending.md").read_text()
    first = text[: text.index(f"## {heading}\n")].count("\n") + 1
    last = first + text[text.index(f"## {heading}\n") + 1 :].partition("\n## ")[0].count("\n") + 1
    return [
        block for block in read_blocks(DOCS / "extending.md") if block.file is not None and first < block.line < last
    ]


def _extend(copy: Path, heading: str, *, leave_out: str = "") -> None:
    """Copy the package and change it as a section of the page says, but for the file to `leave_out`.

    A diff has hunks between lines of `@@`; what a hunk changes stands in the file once.
    """
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "segmentation_pipeline", copy / "segmentation_pipeline", ignore=ignored)
    (copy / "docs").mkdir(exist_ok=True)
    shutil.copy(DOCS / "gates.md", copy / "docs")
    for block in _list_files(heading):
        if block.file == leave_out:
            continue
        path = copy / str(block.file)
        if block.language != "diff":
            assert not path.exists()
            path.write_text(block.text)
            continue
        text = path.read_text()
        for hunk in block.text.split("@@\n"):
            lines = hunk.splitlines(keepends=True)
            before, after = ("".join(line[1:] for line in lines if line[0] in kept) for kept in (" -", " +"))
            assert text.count(before) == 1, f"{block.file}: {before!r} is not there once"
            text = text.replace(before, after)
        path.write_text(text)


def _run_python(copy: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(copy), str(copy / "tests")])}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=copy, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_an_algorithm_is_added_in_three_places() -> None:
    """The page adds its algorithm in three files: its own, the registry and the spec."""
    assert [str(block.file) for block in _list_files("An algorithm")] == [
        "segmentation_pipeline/analysis/clustering/algorithms/bisecting.py",
        "segmentation_pipeline/analysis/clustering/algorithms/registry.py",
        "segmentation_pipeline/spec/fit.py",
    ]


def test_the_added_algorithm_is_fitted_and_scores(extended: Path) -> None:
    """Named in a spec, the added algorithm is fitted, saved, and labels the rows of another draw."""
    ran = json.loads(_run_python(extended, "-c", RUN))

    assert ran.pop("silhouette") > 0.6
    assert ran == {"algorithm": "bisecting", "needed": 120 * 2 * 4, "pairs": 3, "round": True}


@pytest.mark.slow
def test_the_tests_over_all_algorithms_take_the_added_one(
    extended: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the three changes of the page alone, the added algorithm passes what every algorithm passes."""
    # a session in the folder of this one would close it to the user that the test server runs as
    monkeypatch.setenv("PYTEST_DEBUG_TEMPROOT", str(tmp_path))
    ran = _run_python(
        extended, "-m", "pytest", "-q", "-p", "no:cacheprovider", ALGORITHM_TESTS, "-k", "bisecting or the_spec_and_the"
    )
    assert " passed" in ran
    assert "failed" not in ran


GATE_FILES = (
    "segmentation_pipeline/analysis/quality/gates.py",
    "segmentation_pipeline/spec/gates.py",
    "segmentation_pipeline/reporting/words.py",
    "docs/gates.md",
)
GATE_PROGRAM = str(ROOT / "tests" / "support" / "gate_places.py")


def test_a_gate_is_added_in_four_places(tmp_path: Path) -> None:
    """Changed in four files as the page says, a copy of the package judges and reports the gate, and lacks no place."""
    assert tuple(str(block.file) for block in _list_files("A gate")) == GATE_FILES
    _extend(tmp_path, "A gate")

    found = json.loads(_run_python(tmp_path, GATE_PROGRAM, "50", "95"))

    assert found["missing"] == []
    passed, failed = found["results"]
    assert (passed["name"], passed["passed"], passed["severity"]) == ("max_segment_share", True, "warn")
    assert passed["message"] == "segment 1 is the largest: 50.0% (limit 0.9)"
    assert failed["passed"] is False
    assert failed["message"] == (
        "segment 1 is the largest: 95.0% (limit 0.9). Transform skewed features (log1p), or raise sweep.k_min."
    )
    assert failed["shown"] == ["No giant segment", "95.0%", "at most 90.0%", "warning"]


@pytest.mark.parametrize("forgotten", GATE_FILES)
def test_a_gates_place_that_was_forgotten_is_named(tmp_path: Path, forgotten: str) -> None:
    """With one of the four files left as it was, the test of the places names it, and only it."""
    _extend(tmp_path, "A gate", leave_out=forgotten)

    missing = json.loads(_run_python(tmp_path, GATE_PROGRAM))["missing"]

    place = forgotten.removeprefix("segmentation_pipeline/")
    assert missing
    assert all(line.startswith("max_segment_share is missing in ") and line.endswith(place) for line in missing)


def test_the_example_kind_is_validated_encoded_and_profiled(tmp_path: Path) -> None:
    """A copy of the package that is changed as the page says, and nowhere else, takes a column of the new kind."""
    _extend(tmp_path, "A column kind")
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
