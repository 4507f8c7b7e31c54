"""Structure or none: noise and one group are refused, groups are not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from segmentation_pipeline.analysis.selection.structure import gap_statistics, judge_structure, measure_structure

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from segmentation_pipeline.analysis.selection.structure import StructureEvidence
    from segmentation_pipeline.model import StructureVerdict


OPTIONS: dict[str, Any] = {"ks": (2, 3, 5, 8), "draws": 8, "max_rows": 400}


def _standardise(matrix: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    return (matrix - matrix.mean(axis=0)) / matrix.std(axis=0)


def _judge(matrix: NDArray[np.floating[Any]], seed: int = 0) -> StructureVerdict:
    return judge_structure(_standardise(matrix), rng=np.random.default_rng(seed), **OPTIONS)


def _measure(matrix: NDArray[np.floating[Any]], seed: int = 0) -> StructureEvidence:
    return measure_structure(_standardise(matrix), rng=np.random.default_rng(seed), **OPTIONS)


def _groups(k: int, d: int, *, apart: float, n: int = 600, seed: int = 0) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    centers = np.linalg.qr(rng.normal(size=(max(d, k), d)))[0][:k] * apart
    return centers[rng.integers(k, size=n)] + rng.normal(size=(n, d))


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("d", [2, 5, 20])
def test_uniform_noise_has_no_structure(d: int, seed: int) -> None:
    """K-Means cuts a cube into neat cells; they are no better than those of another cube."""
    found = _judge(np.random.default_rng(seed).uniform(size=(800, d)).astype(np.float32), seed)
    assert found.verdict == "none"
    assert found.reason.startswith("no cluster structure: the best silhouette")


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("d", [2, 5, 20])
def test_one_gaussian_has_no_structure_however_elongated(d: int, seed: int) -> None:
    """Cutting one long group across makes a good silhouette, and so does one Gaussian of that shape."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(800, d))
    assert _judge(points, seed).verdict == "none"
    assert _judge(points @ rng.normal(size=(d, d)), seed).verdict == "none"


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("d", range(2, 21))
def test_noise_of_any_width_has_no_structure_as_it_ships(d: int, seed: int) -> None:
    """With the settings that the sweep uses, neither uniform noise nor one Gaussian passes, at 2 to 20 features."""
    rng = np.random.default_rng([d, seed])
    for points in (rng.uniform(size=(800, d)), rng.normal(size=(800, d))):
        standardised = ((points - points.mean(axis=0)) / points.std(axis=0)).astype(np.float32)
        assert judge_structure(standardised, rng=np.random.default_rng(seed)).verdict == "none"


@pytest.mark.parametrize(("k", "d"), [(2, 2), (3, 5), (5, 12)])
def test_groups_with_valleys_are_structure(k: int, d: int) -> None:
    """Groups well apart beat every null and show their valleys on rows that were held out."""
    verdict, evidence = _judge(_groups(k, d, apart=7.0)), _measure(_groups(k, d, apart=7.0))
    assert verdict.verdict == "structure"
    assert verdict.score == evidence.score
    assert evidence.k == k
    assert evidence.dip_p_value is not None
    assert evidence.dip_p_value <= 0.05
    assert verdict.z == min(null.z for null in evidence.nulls) > 3
    assert len(evidence.nulls) == 3


def test_skewed_data_without_a_valley_is_doubtful() -> None:
    """A dense corner with a long tail beats the nulls, but nothing separates the tail from the corner."""
    found = _judge(np.random.default_rng(0).exponential(size=(600, 2)) ** 2)
    assert found.verdict == "doubtful"
    assert "no valley" in found.reason


def test_the_verdict_repeats_with_its_seed_and_ignores_scale() -> None:
    """The same generator leads to the same numbers, and units do not matter."""
    points = _groups(3, 3, apart=6.0)
    assert _judge(points) == _judge(points)
    assert _measure(points) == _measure(points)
    assert _judge(points * 1000 + 5).verdict == _judge(points).verdict


def test_duplicates_do_not_trouble_the_judge() -> None:
    """Few distinct rows are fitted without warnings, with the K that they allow."""
    points = np.repeat([[0.0, 0.0], [0.1, 0.2], [8.0, 8.0], [8.1, 8.3]], 40, axis=0)
    assert _measure(points).k in (2, 3)


def test_what_cannot_be_split_is_an_error() -> None:
    """Rows that are all alike, and a null of one draw, are refused with a reason."""
    with pytest.raises(ValueError, match=r"5 rows \(1 distinct\)"):
        judge_structure(np.zeros((5, 2)), rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="draws=1"):
        judge_structure(np.zeros((5, 2)), rng=np.random.default_rng(0), draws=1)


def test_the_gap_is_largest_at_the_true_k() -> None:
    """The inertia falls furthest below that of structureless data at the number of groups."""
    from sklearn.cluster import KMeans

    points = _groups(4, 4, apart=9.0)
    inertias = {k: float(KMeans(k, n_init=3, random_state=0).fit(points).inertia_) for k in range(2, 8)}
    gaps = gap_statistics(points, inertias, rng=np.random.default_rng(0), draws=5, max_rows=300)
    assert max(gaps, key=lambda k: gaps[k].gap) == 4
    assert all(gap.error > 0 for gap in gaps.values())
    with pytest.raises(ValueError, match="K = 3 has inertia"):
        gap_statistics(points, {3: 0.0}, rng=np.random.default_rng(0))
