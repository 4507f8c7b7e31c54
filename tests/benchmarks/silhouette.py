"""Silhouettes of K = 2..10 on 20,000 x 20: one pass over the distances against scikit-learn, in one run.

    python tests/benchmarks/silhouette.py

Then the peak memory of the same on 100,000 rows, each in a process of its own.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import MiniBatchKMeans
from sklearn.metrics import silhouette_samples as reference

from segmentation_pipeline.analysis.selection.silhouette import silhouette_samples


def draw_customers(n_rows: int, n_features: int, seed: int) -> NDArray[np.float32]:
    """Draw eight overlapping groups, standardised."""
    rng = np.random.default_rng(seed)
    centers = rng.normal(scale=2.0, size=(8, n_features))
    points = centers[rng.integers(8, size=n_rows)] + rng.normal(size=(n_rows, n_features))
    standardised: NDArray[np.float64] = (points - points.mean(axis=0)) / points.std(axis=0)
    return standardised.astype(np.float32)


def make_labelings(matrix: NDArray[np.float32], k_max: int) -> list[NDArray[np.int32]]:
    """Return the labels of a quick clustering for each K."""
    return [MiniBatchKMeans(k, n_init=1, random_state=k).fit(matrix).labels_ for k in range(2, k_max + 1)]


def read_peak_megabytes() -> float:
    """Return the most memory that this process ever held; getrusage would include what its parent held."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) / 1024


def compare(matrix: NDArray[np.float32], labels: list[NDArray[np.int32]], repeats: int) -> bool:
    """Time both, print the difference and return whether the promise holds: a tenth of the time, means to 1e-6."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        ours = silhouette_samples(matrix, labels)
        times.append(time.perf_counter() - started)
    started = time.perf_counter()
    theirs = [reference(matrix, assigned) for assigned in labels]
    slow, fast = time.perf_counter() - started, float(np.median(times))
    means = max(abs(float(a.mean()) - float(b.mean())) for a, b in zip(ours, theirs, strict=True))
    rows = max(float(np.abs(a - b).max()) for a, b in zip(ours, theirs, strict=True))
    print(f"ours {fast:.2f} s, scikit-learn {slow:.2f} s, ratio {slow / fast:.1f}")
    print(f"largest difference: of a mean {means:.1e}, of a row {rows:.1e}")
    return slow / fast >= 10 and means <= 1e-6


def main() -> None:
    """Run the comparison, or with --memory one measurement of memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--features", type=int, default=20)
    parser.add_argument("--k-max", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory", type=int, metavar="ROWS", help="only the peak memory with this many rows")
    options = parser.parse_args()
    if options.memory:
        matrix = draw_customers(options.memory, options.features, seed=0)
        labels = make_labelings(matrix, options.k_max)
        before, started = read_peak_megabytes(), time.perf_counter()
        silhouette_samples(matrix, labels)
        took = time.perf_counter() - started
        print(f"{options.memory:,} rows: peak {read_peak_megabytes():.0f} MB ({before:.0f} MB before), {took:.0f} s")
        return
    matrix = draw_customers(options.rows, options.features, seed=0)
    kept = compare(matrix, make_labelings(matrix, options.k_max), options.repeats)
    print(f"{options.rows:,} rows: peak {read_peak_megabytes():.0f} MB with scikit-learn's", flush=True)
    again = [sys.executable, __file__, "--memory", "100000", "--features", str(options.features)]
    subprocess.run(again, check=True)
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
