"""Which sets does the diagnosis flag as shapes for another algorithm, and is the one it names better?

    python tests/benchmarks/diagnosis.py --seeds 10
    python tests/benchmarks/diagnosis.py --seeds 0 --labelled ../shared/data/labelled

Generated: shapes K-Means cuts through (moons, rings, chains, spirals, stripes, unlike densities), groups that suit it
(mixtures), and customers without groups (uniform, normal, skewed). A flag is right on the first, wrong on the others.
"""

import argparse
import gzip
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import HDBSCAN, KMeans, SpectralClustering
from sklearn.datasets import make_moons
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from segmentation_pipeline.analysis.clustering.algorithms.hdbscan import choose_min_cluster_size
from segmentation_pipeline.analysis.selection.diagnosis.shapes import Shapes, judge_shapes

Points = NDArray[np.float64]
Labels = NDArray[np.int64]
Kind = Literal["shape", "groups", "no structure", "labelled"]
MAX_ROWS = 2_000


@dataclass(frozen=True)
class Case:
    """A set with its groups; `labels` above 0 are groups, 0 is noise."""

    name: str
    kind: Kind
    points: Points
    labels: Labels

    @property
    def k(self) -> int:
        """The true number of groups."""
        return len(np.unique(self.labels[self.labels > 0]))


def draw_moons(rng: np.random.Generator) -> tuple[Points, Labels]:
    """Draw two half circles that reach into each other."""
    return make_moons(800, noise=rng.uniform(0.04, 0.1), random_state=int(rng.integers(2**31)))


def draw_rings(rng: np.random.Generator) -> tuple[Points, Labels]:
    """Draw two or three circles around one middle."""
    which, angle = np.arange(900) % rng.integers(2, 4), rng.uniform(0, 2 * np.pi, 900)
    radius = np.array([0.2, 1.0, 2.0])[which]
    return np.column_stack([np.cos(angle), np.sin(angle)]) * radius[:, None] + rng.normal(0, 0.07, (900, 2)), which


def draw_chains(rng: np.random.Generator) -> tuple[Points, Labels]:
    """Draw two rings in space, one through the other."""
    which, angle = np.arange(900) % 2, rng.uniform(0, 2 * np.pi, 900)
    flat, zero = np.column_stack([np.cos(angle), np.sin(angle)]), np.zeros(900)
    links = [np.column_stack([flat, zero]), np.column_stack([1 + flat[:, 0], zero, flat[:, 1]])]
    return np.where(which[:, None] == 0, *links) + rng.normal(0, rng.uniform(0.05, 0.12), (900, 3)), which


def draw_spirals(rng: np.random.Generator) -> tuple[Points, Labels]:
    """Draw two arms around each other."""
    which, turn = np.arange(900) % 2, np.sqrt(rng.uniform(0.05, 1, 900)) * 3 * np.pi
    arm = np.column_stack([np.cos(turn + np.pi * which), np.sin(turn + np.pi * which)]) * turn[:, None] / 6
    return arm + rng.normal(0, 0.05, arm.shape), which


def draw_stripes(rng: np.random.Generator) -> tuple[Points, Labels]:
    """Draw two to four long groups side by side, in 2 to 5 dimensions."""
    d = int(rng.choice([2, 3, 5]))
    which = np.arange(900) % rng.integers(2, 5)
    points = rng.normal(size=(900, d)) * np.where(np.arange(d) == 0, 8, 1)
    points[:, 1] += 7 * which
    return points @ np.linalg.qr(rng.normal(size=(d, d)))[0].T, which


def draw_densities(rng: np.random.Generator) -> tuple[Points, Labels]:
    """Draw a narrow group beside a wide one."""
    which = (np.arange(900) % 3 == 0).astype(np.int64)
    points = rng.normal(size=(900, int(rng.choice([2, 3])))) * np.where(which, 0.12, 1.5)[:, None]
    points[:, 0] += which * rng.uniform(3, 4)
    return points, which


def draw_faces(rng: np.random.Generator) -> tuple[Points, Labels]:
    """Draw rings, and two groups that suit K-Means."""
    points, which = draw_rings(rng)
    side = np.arange(600) % 2
    eyes = rng.normal(0, 0.15, (600, 2)) + np.array([[5.0, 0.0], [0.0, 5.0]])[side]
    return np.vstack([points, eyes]), np.concatenate([which, which.max() + 1 + side])


def draw_noisy_moons(rng: np.random.Generator) -> tuple[Points, Labels]:
    """Draw moons and one to three features that say nothing."""
    points, which = draw_moons(rng)
    return np.column_stack([points, rng.normal(0, 0.25, (len(points), int(rng.integers(1, 4))))]), which


def draw_mixture(rng: np.random.Generator) -> tuple[Points, Labels]:
    """Draw K 2 to 12 groups in 2 to 20 dimensions, 4 to 7 deviations apart, of like or unlike size, some correlated."""
    k, d = int(rng.integers(2, 13)), int(rng.choice([2, 3, 5, 8, 12, 20]))
    apart, box, centers = rng.uniform(4, 7), 2.0, [np.zeros(d)]
    while len(centers) < k:
        box *= 1.01
        new = rng.uniform(-box, box, d)
        if min(np.linalg.norm(new - center) for center in centers) >= apart:
            centers.append(new)
    shares = rng.dirichlet(np.full(k, 5.0)) if rng.random() < 0.5 else np.full(k, 1 / k)
    which = np.repeat(np.arange(k), np.maximum((shares * 1500).astype(int), 20))
    stretch = np.exp(rng.uniform(-0.3, 0.3, (k, d)))
    return np.array(centers)[which] + rng.normal(size=(len(which), d)) * stretch[which], which


def draw_unlike_sizes(rng: np.random.Generator) -> tuple[Points, Labels]:
    """Draw two large groups, and three of a tenth of their size."""
    which = np.repeat(np.arange(5), [600, 600, 60, 60, 60])
    centers = np.array([[0, 0], [6, 0], [20, 20], [28, 20], [20, 28]], dtype=float)
    return centers[which] + rng.normal(size=(len(which), 2)), which


def draw_uniform(rng: np.random.Generator) -> tuple[Points, Labels]:
    """Draw a cube, evenly filled."""
    n = int(rng.choice([400, 800, 1500]))
    return rng.uniform(size=(n, int(rng.choice([2, 3, 5, 10])))), np.arange(n) % rng.integers(2, 6)


def draw_normal(rng: np.random.Generator) -> tuple[Points, Labels]:
    """Draw one normal cloud, stretched."""
    n, d = int(rng.choice([400, 800, 1500])), int(rng.choice([2, 3, 5, 10]))
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)), np.arange(n) % rng.integers(2, 6)


def draw_skewed(rng: np.random.Generator) -> tuple[Points, Labels]:
    """Draw one cloud with long tails."""
    n, d = int(rng.choice([400, 800, 1500])), int(rng.choice([2, 3, 5, 10]))
    return np.exp(rng.normal(size=(n, d))), np.arange(n) % rng.integers(2, 6)


def draw_orders(rng: np.random.Generator) -> tuple[Points, Labels]:
    """Draw recency, number of orders and spend per order, on logarithmic scales, without groups."""
    n = 1200
    count = rng.poisson(np.exp(rng.normal(0.8, 0.9, n))) + 1
    days = rng.exponential(90 / np.sqrt(count))
    return np.column_stack([np.log1p(days), np.log1p(count), rng.normal(3, 0.6, n)]), np.arange(n) % 4


Maker = Callable[[np.random.Generator], tuple[Points, Labels]]
MAKERS: dict[Kind, list[Maker]] = {
    "shape": [
        draw_moons,
        draw_noisy_moons,
        draw_rings,
        draw_chains,
        draw_spirals,
        draw_stripes,
        draw_densities,
        draw_faces,
    ],
    "groups": [draw_mixture, draw_mixture, draw_mixture, draw_unlike_sizes],
    "no structure": [draw_uniform, draw_normal, draw_skewed, draw_orders],
}


def generate_cases(seeds: int) -> Iterator[Case]:
    """Yield the sets of every maker at every seed."""
    for kind, makers in MAKERS.items():
        for number, make in enumerate(makers):
            for seed in range(seeds):
                points, which = make(np.random.default_rng([seed, number]))
                yield Case(make.__name__.removeprefix("draw_"), kind, points, np.asarray(which, dtype=np.int64) + 1)


def read_cases(folder: Path) -> Iterator[Case]:
    """Yield each NAME.data.gz with its NAME.labels0.gz."""
    for path in sorted(folder.glob("*.data.gz")):
        name = path.name.removesuffix(".data.gz")
        with gzip.open(path, "rt") as data, gzip.open(folder / f"{name}.labels0.gz", "rt") as labels:
            yield Case(name, "labelled", np.loadtxt(data, ndmin=2), np.loadtxt(labels).astype(np.int64))


def run_algorithm(algorithm: str, points: Points, k: int) -> Labels:
    """Return the labels of the named algorithm, with the settings that the pipeline should use."""
    if algorithm == "hdbscan":
        size = choose_min_cluster_size(len(points))
        return np.asarray(HDBSCAN(min_cluster_size=size, min_samples=5, copy=True).fit(points).labels_)
    if algorithm == "spectral":
        model = SpectralClustering(
            k, affinity="nearest_neighbors", n_neighbors=10, assign_labels="cluster_qr", random_state=0
        )
        return np.asarray(model.fit(points).labels_)
    return np.asarray(GaussianMixture(k, n_init=5, reg_covar=1e-4, random_state=0).fit(points).predict(points))


def judge_case(case: Case, k: int) -> tuple[Shapes, float, float | None, float]:
    """Return the evidence, the adjusted Rand indices of K-Means and of the named algorithm, and the evidence's seconds."""
    points, labels = (case.points - case.points.mean(axis=0)) / case.points.std(axis=0), case.labels
    if len(points) > MAX_ROWS:
        rows = np.random.default_rng(0).choice(len(points), MAX_ROWS, replace=False)
        points, labels = points[rows], labels[rows]
    fit = KMeans(k, n_init=10, random_state=0).fit(points)
    began = time.perf_counter()
    shapes = judge_shapes(points, fit.labels_, fit.cluster_centers_, rng=np.random.default_rng(0))
    took = time.perf_counter() - began
    better = (
        None if shapes.better is None else float(adjusted_rand_score(labels, run_algorithm(shapes.better, points, k)))
    )
    return shapes, float(adjusted_rand_score(labels, fit.labels_)), better, took


def main() -> None:
    """Print one line a labelled set and one a generated kind, then the rates."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--labelled", type=Path)
    options = parser.parse_args()
    if options.labelled:
        print(f"{'set':14}{'K':>3} {'score':>6} {'named':17}{'K-Means':>8}{'named':>7}{'s':>6}")
        for case in read_cases(options.labelled):
            shapes, own, better, took = judge_case(case, case.k)
            shown = "" if better is None else f"{better:.2f}"
            print(
                f"{case.name:14}{case.k:3} {shapes.score:6.2f} {shapes.better or '-':17}{own:8.2f}{shown:>7}{took:6.2f}"
            )
    flags: dict[tuple[Kind, str], list[tuple[bool, bool, float, float]]] = {}
    for case in generate_cases(options.seeds):
        shapes, own, better, took = judge_case(case, case.k)
        wrong = case.kind == "shape" and own < 0.8
        right = case.kind == "groups" and own >= 0.8
        if not (wrong or right or case.kind == "no structure"):
            continue  # neither plainly a shape nor plainly a set that suits K-Means
        won = better is not None and better > own
        flags.setdefault((case.kind, case.name), []).append((shapes.better is not None, won, shapes.score, took))
    if not flags:
        return
    print(f"\n{'kind':14}{'made by':14}{'sets':>5}{'flagged':>9}{'named is better':>17}{'score > 0.5':>13}{'s':>6}")
    for (kind, name), rows in flags.items():
        flagged = [row for row in rows if row[0]]
        won = f"{sum(row[1] for row in flagged)} of {len(flagged)}" if kind == "shape" else ""
        above, took = np.mean([row[2] > 0.5 for row in rows]), np.mean([row[3] for row in rows])
        print(f"{kind:14}{name:14}{len(rows):5}{len(flagged) / len(rows):9.0%}{won:>17}{above:13.0%}{took:6.2f}")
    for kind in MAKERS:
        rows = [row for (case_kind, _), found in flags.items() if case_kind == kind for row in found]
        print(f"{kind}: {np.mean([row[0] for row in rows]):.0%} of {len(rows)} flagged; by the score alone "
              f"{np.mean([row[2] > 0.5 for row in rows]):.0%}")  # fmt: skip


if __name__ == "__main__":
    main()
