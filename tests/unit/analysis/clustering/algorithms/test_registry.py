"""The registry has all algorithms, and a record says what is true of the algorithm's fits."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from support.algorithms import fit_rows, rows_for

import segmentation_pipeline
from segmentation_pipeline.analysis.clustering.algorithms.registry import ALGORITHMS
from segmentation_pipeline.analysis.clustering.algorithms.resolve import AUTO
from segmentation_pipeline.analysis.clustering.labelling import assign
from segmentation_pipeline.spec.fit import AlgorithmName

PACKAGE = Path(segmentation_pipeline.__file__).parent
RECORDS = PACKAGE / "analysis" / "clustering" / "algorithms"


def test_the_spec_and_the_registry_name_the_same_algorithms() -> None:
    """`fit.algorithm` may be `auto` or an algorithm of the registry, and nothing else."""
    named, registered = set(get_args(AlgorithmName)) - {AUTO}, set(ALGORITHMS)
    assert registered - named == set(), "AlgorithmName in spec/fit.py lacks these"
    assert named - registered == set(), "ALGORITHMS in algorithms/registry.py lacks these"


def test_every_record_stands_in_a_file_of_its_name_and_in_the_registry() -> None:
    """An algorithm named hdbscan has its record in hdbscan.py, and no file has a record that the registry lacks."""
    records = [path.stem for path in RECORDS.glob("*.py") if "Final = Algorithm(" in path.read_text()]
    assert sorted(records) == sorted(ALGORITHMS)


@pytest.mark.parametrize("name", ALGORITHMS)
def test_the_name_of_an_algorithm_stands_in_its_record_alone(name: str) -> None:
    """Other code asks the record: no other string of the package but the spec's is an algorithm's name."""
    found = {
        (path.relative_to(PACKAGE).as_posix(), node.lineno)
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value == name
    }
    # scikit-learn's own word for the start of a mixture
    others = {"analysis/clustering/algorithms/gaussian_mixture.py"} if name == "kmeans" else set()
    assert {path for path, _ in found} - others == {"spec/fit.py", f"analysis/clustering/algorithms/{name}.py"}


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_record_says_how_its_models_label_rows(name: str) -> None:
    """The parts of the saved model are those of the rule in the record, and only where it says so is a row unassigned."""
    matrix, encoding = rows_for(name)
    record, fit = ALGORITHMS[name], fit_rows(name, matrix, encoding)
    parts = {"radius": fit.model.radii, "component": fit.model.precisions, "interval": fit.model.edges}

    assert fit.model.algorithm == name
    assert {rule for rule, part in parts.items() if part is not None} == {record.labels_by} - {"prototype"}
    far = assign(matrix[:1] + np.float32(1e4), fit.model).labels
    assert bool((far < 0).any()) == record.leaves_unassigned


@pytest.mark.parametrize("name", ALGORITHMS)
def test_a_record_says_whether_the_algorithm_finds_its_own_k(name: str) -> None:
    """Asked for two and for five clusters, only an algorithm that finds its own K has the same number twice."""
    matrix, encoding = rows_for(name)

    two, five = (fit_rows(name, matrix, encoding, k=k).k for k in (2, 5))

    assert (two == five) == ALGORITHMS[name].finds_own_k


def test_one_algorithm_is_the_sweeps() -> None:
    """The sweep fits a single algorithm, so that its figures are those of one record."""
    assert [record.name for record in ALGORITHMS.values() if record.is_swept] == ["kmeans"]
