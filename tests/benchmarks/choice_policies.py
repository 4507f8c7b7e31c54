"""Which policy finds the K that made the data: generated mixtures with K from 2 to 12, and labelled sets if given.

    python tests/benchmarks/choice_policies.py --n 40
    python tests/benchmarks/choice_policies.py --n 0 --labelled ../shared/data/labelled --names hepta,s1,wine

Only sets on which K-Means at the true K recovers the groups count (adjusted Rand >= 0.8, or all that are named): on
the others no K is right. Most collections are full of K = 2, where "always 2" looks good, hence the columns for K > 2.
"""

import argparse
import gzip
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, calinski_harabasz_score, davies_bouldin_score

from segmentation_pipeline.analysis.selection.choice import choose_k, explain_veto, find_elbow
from segmentation_pipeline.analysis.selection.dip import measure_neighbour_dips
from segmentation_pipeline.analysis.selection.silhouette import silhouette_samples
from segmentation_pipeline.analysis.selection.simplified_silhouette import simplified_silhouette
from segmentation_pipeline.analysis.selection.structure import gap_statistics
from segmentation_pipeline.model import SweepCandidate

Points = NDArray[np.float64]
Policy = Callable[[list[SweepCandidate], float], int]
RECOVERED = 0.8

POLICIES: dict[str, Policy] = {
    "default": lambda found, one: choose_k(found, inertia_of_one=one).k,
    "simplified silhouette": lambda found, _: max(found, key=lambda candidate: candidate.simplified_silhouette).k,
    "... with the veto only": lambda found, _: choose_with_veto(found),
    "silhouette": lambda found, _: choose_k(found, policy="silhouette").k,
    "davies_bouldin": lambda found, _: choose_k(found, policy="davies_bouldin").k,
    "calinski-harabasz": lambda found, _: max(found, key=lambda candidate: candidate.calinski_harabasz).k,
    "elbow": lambda found, one: (
        find_elbow({candidate.k: candidate.inertia for candidate in found}, inertia_of_one=one) or 1
    ),
    "always 2": lambda _, __: 2,
}


@dataclass(frozen=True, slots=True)
class Labelled:
    """A set whose groups are known: label 0 is noise, which belongs to none."""

    name: str
    points: Points
    labels: NDArray[np.int64]

    @property
    def k(self) -> int:
        """The number of groups."""
        return len(np.unique(self.labels[self.labels > 0]))


def choose_with_veto(found: list[SweepCandidate]) -> int:
    """Take the best simplified silhouette of the K without a veto, whichever way that leads."""
    eligible = [candidate for candidate in found if not explain_veto(candidate)]
    return max(eligible or found, key=lambda candidate: candidate.simplified_silhouette).k


def place_centers(rng: np.random.Generator, k: int, d: int, apart: Callable[[int, int], float]) -> Points:
    """Put k centres at random into a box that grows until all of them are far enough from each other."""
    centers: list[Points] = []
    box = 0.6 * apart(0, 0)
    while len(centers) < k:
        for _ in range(200):
            new = rng.uniform(-box, box, d)
            if all(np.linalg.norm(new - old) >= apart(len(centers), i) for i, old in enumerate(centers)):
                centers.append(new)
                break
        else:
            box *= 1.15
    return np.array(centers)


def draw_mixture(rng: np.random.Generator) -> tuple[Points, NDArray[np.int64]]:
    """Draw K 2..12 groups in 2 to 20 dimensions, 3 to 7 deviations apart, of like or unlike size, width and tails."""
    k, d = int(rng.integers(2, 13)), int(rng.choice([2, 2, 3, 4, 6, 8, 12, 16, 20]))
    separation = rng.uniform(3.0, 7.0)
    width = np.exp(rng.uniform(-0.4, 0.4, k)) if rng.random() < 0.5 else np.ones(k)
    centers = place_centers(rng, k, d, lambda i, j: separation * (width[i % k] + width[j % k]) / 2)
    shares = rng.dirichlet(np.full(k, 3.0)) if rng.random() < 0.5 else np.full(k, 1 / k)
    sizes = np.maximum((shares * rng.integers(60, 160) * k).astype(int), 15)
    heavy = rng.random() < 0.2
    parts = []
    for center, wide, size in zip(centers, width, sizes, strict=True):
        turn = np.linalg.qr(rng.normal(size=(d, d)))[0] * np.exp(rng.uniform(-0.3, 0.3, d))
        noise = rng.standard_t(6, size=(size, d)) if heavy else rng.normal(size=(size, d))
        parts.append(center + wide * noise @ turn.T)
    return np.vstack(parts), np.repeat(np.arange(k), sizes)


def draw_unbalanced(rng: np.random.Generator) -> tuple[Points, NDArray[np.int64]]:
    """Draw two or three dense groups and far from them up to six small, wide ones."""
    big, small, d = int(rng.integers(2, 4)), int(rng.integers(2, 7)), int(rng.choice([2, 3, 5]))
    separation = rng.uniform(5.0, 8.0)
    near, far = place_centers(rng, big, d, lambda *_: separation), place_centers(rng, small, d, lambda *_: separation)
    offset = 1.2 * separation + np.abs(near).max() + np.abs(far).max()
    sizes = np.concatenate([rng.integers(400, 1000, big), rng.integers(30, 80, small)])
    width = np.repeat([0.6, 1.0], [big, small])
    labels = np.repeat(np.arange(big + small), sizes)
    centers = np.vstack([near, far + offset / np.sqrt(d)])
    return centers[labels] + width[labels, None] * rng.normal(size=(len(labels), d)), labels


def draw_touching(rng: np.random.Generator) -> tuple[Points, NDArray[np.int64]]:
    """Draw balls of uniform density that touch or nearly do."""
    k, d = int(rng.integers(2, 8)), int(rng.integers(2, 5))
    centers = place_centers(rng, k, d, lambda *_: float(rng.uniform(2.0, 3.0)))
    sizes = rng.integers(60, 200, k)
    labels = np.repeat(np.arange(k), sizes)
    ball = rng.normal(size=(len(labels), d))
    ball *= rng.random((len(labels), 1)) ** (1 / d) / np.linalg.norm(ball, axis=1, keepdims=True)
    return centers[labels] + ball, labels


def draw_pair(rng: np.random.Generator) -> tuple[Points, NDArray[np.int64]]:
    """Draw two overlapping groups in 1 to 64 dimensions."""
    d = int(rng.choice([1, 2, 4, 8, 16, 32, 64]))
    direction = rng.normal(size=d)
    labels = (rng.random(1024) < rng.choice([0.5, 0.35, 0.25])).astype(np.int64)
    apart = rng.uniform(3.0, 4.5) * direction / np.linalg.norm(direction)
    return rng.normal(size=(1024, d)) + np.outer(labels, apart), labels


def generate_sets(n: int, seed: int) -> Iterator[Labelled]:
    """Yield four mixtures, then one of each of the harder kinds, and again."""
    kinds = [*4 * [draw_mixture], draw_unbalanced, draw_touching, draw_pair]
    for number in range(n):
        kind = kinds[number % len(kinds)]
        points, labels = kind(np.random.default_rng([seed, number]))
        yield Labelled(f"{kind.__name__.removeprefix('draw_')} {number}", points, labels + 1)


def read_sets(folder: Path, names: list[str]) -> Iterator[Labelled]:
    """Yield each NAME.data.gz with its NAME.labels0.gz."""
    for path in sorted(folder.glob("*.data.gz")):
        name = path.name.removesuffix(".data.gz")
        if names and name not in names:
            continue
        with gzip.open(path, "rt") as data, gzip.open(folder / f"{name}.labels0.gz", "rt") as labels:
            points = np.loadtxt(data, ndmin=2)
            yield Labelled(name, points, np.loadtxt(labels).astype(np.int64))


def evaluate_set(data: Labelled, *, k_max: int, n_init: int, gap: bool) -> tuple[list[SweepCandidate], float, float]:
    """Return the candidates, K = 1's inertia and the adjusted Rand index at the true K."""
    deviation = data.points.std(axis=0)
    matrix = (data.points - data.points.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)
    ks = range(2, min(k_max, len(matrix) - 1) + 1)
    fits = {k: KMeans(k, n_init=n_init, random_state=k).fit(matrix) for k in ks}
    exact = silhouette_samples(matrix, [fits[k].labels_ for k in ks])
    rng = np.random.default_rng(0)
    inertias = {1: float((matrix**2).sum()), **{k: float(fits[k].inertia_) for k in ks}}
    gaps = gap_statistics(matrix, inertias, rng=rng) if gap else {}
    found = []
    for k, silhouettes in zip(ks, exact, strict=True):
        centers, labels = fits[k].cluster_centers_, fits[k].labels_
        shares = np.bincount(labels, minlength=k) / len(labels)
        found.append(
            SweepCandidate(
                k=k,
                inertia=inertias[k],
                silhouette=float(silhouettes.mean()),
                simplified_silhouette=float(simplified_silhouette(matrix, centers, labels).mean()),
                davies_bouldin=float(davies_bouldin_score(matrix, labels)),
                calinski_harabasz=float(calinski_harabasz_score(matrix, labels)),
                smallest_share=float(shares.min()),
                largest_share=float(shares.max()),
                dip_p_value=measure_neighbour_dips(matrix, centers, labels, rng=rng).p_value,
                gap=gaps[k].gap if gap else None,
                gap_error=gaps[k].error if gap else None,
            )
        )
    known = data.labels > 0
    at_true = adjusted_rand_score(data.labels[known], fits[data.k].labels_[known]) if data.k in fits else 0.0
    return found, inertias[1], float(at_true)


def format_table(rows: list[tuple[int, dict[str, int]]], policies: list[str]) -> Iterator[str]:
    """Yield one line a policy: how often it is right, K > 2 apart, how often it is far off."""
    yield f"{'policy':24s} {'right':>9s} {'K > 2':>9s} {'off by > 2':>11s} {'mean |error|':>13s}"
    many = sum(true > 2 for true, _ in rows)
    for policy in policies:
        off = np.array([abs(picked[policy] - true) for true, picked in rows])
        right_many = sum(picked[policy] == true for true, picked in rows if true > 2)
        right = f"{(off == 0).sum()}/{len(rows)}"
        yield f"{policy:24s} {right:>9s} {f'{right_many}/{many}':>9s} {(off > 2).sum():11d} {off.mean():13.2f}"


def main() -> None:
    """Run the comparison and print it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=40, help="generated sets")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--k-max", type=int, default=20)
    parser.add_argument("--n-init", type=int, default=10, help="starts of K-Means for each K")
    parser.add_argument("--gap", action="store_true", help="the gap statistic too: ten times slower")
    parser.add_argument("--labelled", type=Path, help="a folder of NAME.data.gz and NAME.labels0.gz")
    parser.add_argument("--names", default="", help="only these labelled sets, comma-separated; all of them count")
    options = parser.parse_args()
    policies = dict(POLICIES)
    if options.gap:
        policies["gap"] = lambda found, _: choose_k(found, policy="gap").k
    names = [name for name in options.names.split(",") if name]
    sources = {"generated": generate_sets(options.n, options.seed)}
    if options.labelled:
        sources["labelled"] = read_sets(options.labelled, names)
    for title, source in sources.items():
        started, rows, left_out = time.perf_counter(), [], []
        for data in source:
            found, one, recovered = evaluate_set(data, k_max=options.k_max, n_init=options.n_init, gap=options.gap)
            if recovered < RECOVERED and not (title == "labelled" and names):
                left_out.append(data.name)
                continue
            picked = {name: policy(found, one) for name, policy in policies.items()}
            rows.append((data.k, picked))
            if title == "labelled":
                print(f"{data.name:14s} K = {data.k:2d}  {choose_k(found, inertia_of_one=one).reason}")
        if rows:
            print(f"\n{title}: {len(rows)} sets, {len(left_out)} left out, {time.perf_counter() - started:.0f} s")
            print(*format_table(rows, list(policies)), sep="\n")


if __name__ == "__main__":
    main()
