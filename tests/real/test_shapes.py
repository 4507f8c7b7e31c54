"""Data sets whose groups K-Means cuts: the diagnosis of the first run names an algorithm, and the second run uses it."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

if TYPE_CHECKING:
    from support.real_data import OneMonth

    from segmentation_pipeline.orchestration.runs.execute import RunOutcome

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parents[2].parent / "shared" / "data" / "labelled"
SUITABLE = ("hepta", "s1", "s3", "unbalance", "r15", "wine", "g2mg_16_50", "g2mg_2_50")
# adjusted Rand that the named algorithm reaches at least; whatever it is, it has to be better than K-Means
LEAST = {"chainlink": 0.9, "jain": 0.0, "smile": 0.9, "target": 0.0}


def _load(chain: OneMonth, name: str) -> tuple[np.ndarray, str]:
    """Load the data set into a table; return the true groups and the features for the defs.yaml."""
    if not (FOLDER / f"{name}.data.gz").exists():
        pytest.skip(f"{FOLDER} has no {name}: the labelled sets do not ship with the project")
    with gzip.open(FOLDER / f"{name}.data.gz", "rt") as data, gzip.open(FOLDER / f"{name}.labels0.gz", "rt") as labels:
        points, truth = np.loadtxt(data, ndmin=2), np.loadtxt(labels).astype(int)
    columns = [f"x{index}" for index in range(points.shape[1])]
    frame = pd.DataFrame(points, columns=columns)
    frame.insert(0, "customer_id", np.arange(len(points)))
    chain.load(name, frame, "customer_id")
    return truth, ", ".join(f"{{column: {column}, kind: numeric}}" for column in columns)


def _run(chain: OneMonth, name: str, features: str, fit: str) -> tuple[RunOutcome, dict[int, int]]:
    """Run the month once; return its outcome and each customer's cluster."""
    outcome = chain.run(name, "customer_id", f"features: [{features}]\n  sweep: {{k_max: 20}}\n  fit: {{{fit}}}")
    labels = chain.artifact(name, "final_fit", outcome).frame("labels")
    return outcome, dict(zip(labels["customer_id"].tolist(), labels["cluster"].tolist(), strict=True))


def _read_named_algorithms(chain: OneMonth, name: str, outcome: RunOutcome) -> list[str]:
    """Read the algorithms that the findings on shape name."""
    findings = chain.artifact(name, "k_sweep", outcome).json("findings")
    return [finding["algorithm"] for finding in findings if finding["name"] == "shape"]


@pytest.mark.parametrize("name", list(LEAST))
def test_the_named_algorithm_does_better_in_the_pipeline(one_month: OneMonth, name: str) -> None:
    """K-Means is flagged, and the algorithm that the finding names is published and finds the groups better."""
    truth, features = _load(one_month, name)
    k = len(np.unique(truth[truth > 0]))
    first, cut = _run(one_month, name, features, f"k: {k}")
    (algorithm,) = _read_named_algorithms(one_month, name, first)

    second, found = _run(one_month, name, features, f"algorithm: {algorithm}, k: {k}")

    assert second.success, second.problems
    kmeans = adjusted_rand_score(truth, [cut[row] for row in range(len(truth))])
    better = adjusted_rand_score(truth, [found[row] for row in range(len(truth))])
    assert better > kmeans
    assert better >= LEAST[name]
    used = one_month.rows("SELECT algorithm FROM segmentation.snapshot WHERE status = 'published' ORDER BY created_at")
    assert used[-1] == (algorithm,)


@pytest.mark.parametrize("name", SUITABLE)
def test_what_suits_kmeans_is_not_flagged(one_month: OneMonth, name: str) -> None:
    """At the K that the default policy finds, the true one, K-Means is published without a finding on shape."""
    truth, features = _load(one_month, name)

    outcome, found = _run(one_month, name, features, "algorithm: kmeans")

    assert outcome.success, outcome.problems
    assert _read_named_algorithms(one_month, name, outcome) == []
    assert len(set(found.values())) == len(np.unique(truth[truth > 0]))
