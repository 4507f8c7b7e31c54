"""What `algorithm: auto` means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

# Below it K-Means fits into any memory that held the matrix.
LARGE: Final = 100_000
# The matrix, scikit-learn's centred copy of it, the copy it is handed, and room for labels and blocks.
COPIES: Final = 3.5
VALUE_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class Resolved:
    """The algorithm that is run, and why in one sentence."""

    algorithm: str
    reason: str


def resolve_algorithm(algorithm: str, *, n_rows: int, n_columns: int, available_bytes: int | None = None) -> Resolved:
    """Turn `auto` into an algorithm for a matrix of `n_rows` x `n_columns`; others stay as they are.

    K-Means on all rows from the sweep's centroids is both faster and better than mini-batches as long as it fits into
    memory, so `auto` takes it unless there are more than LARGE rows and `available_bytes` is known to be too little.
    """
    if algorithm != "auto":
        return Resolved(algorithm, f"fit.algorithm is {algorithm}")
    needed = int(n_rows * n_columns * VALUE_BYTES * COPIES)
    if n_rows > LARGE and available_bytes is not None and needed > available_bytes:
        return Resolved(
            "minibatch_kmeans",
            f"auto: K-Means on {n_rows:,} rows needs {needed / 2**20:,.0f} MB, "
            f"{available_bytes / 2**20:,.0f} MB are free; mini-batches need no copy",
        )
    return Resolved("kmeans", "auto: K-Means on all rows")
