"""What `algorithm: auto` means, and whether there is the memory for it, asked before the work: a kill says nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from segmentation_pipeline.errors import NotEnoughMemoryError

if TYPE_CHECKING:
    from segmentation_pipeline.model import Memory

# Measured at 1,000,000 and 10,000,000 rows (tests/benchmarks/end_to_end.py): what labels, distances, keys and one
# column at a time take for each row beside the matrix, which is mapped and makes room when it has to.
ROW_BYTES: Final = 85
# Keys of text, uuids of 36 characters: Python holds each while a parent's customers are looked up (3,000,000 rows).
TEXT_KEY_BYTES: Final = 350
# The samples of the sweep, its figures, the blocks, the pictures.
FIXED_BYTES: Final = 200 * 2**20
# scikit-learn's K-Means centres a copy of the matrix; the other algorithms need a sample or no copy.
COPYING: Final = frozenset({"kmeans"})
VALUE_BYTES: Final = 4
WIDE_BYTES: Final = 8
GIB: Final = 2**30


@dataclass(frozen=True, slots=True)
class Resolved:
    """The algorithm that is run, why in one sentence, and the bytes it needs beyond what the process holds already."""

    algorithm: str
    reason: str
    needed_bytes: int = 0


def estimate_bytes(algorithm: str, *, n_rows: int, n_columns: int, pca: bool = False, text_keys: bool = False) -> int:
    """What the stages need at their peak for a matrix of `n_rows` x `n_columns`, beyond what the process holds now.

    `text_keys`: the customers' keys are text or uuids, not integers. A PCA holds the encoded rows once in float64, and
    so does its covariance.
    """
    copies = VALUE_BYTES * (algorithm in COPYING) + 2 * WIDE_BYTES * pca
    return FIXED_BYTES + n_rows * (ROW_BYTES + TEXT_KEY_BYTES * text_keys + n_columns * copies)


def resolve_algorithm(
    algorithm: str,
    *,
    n_rows: int,
    n_columns: int,
    memory: Memory | None = None,
    pca: bool = False,
    text_keys: bool = False,
) -> Resolved:
    """Turn `auto` into an algorithm for a matrix of `n_rows` x `n_columns`; others stay as they are.

    K-Means on all rows from the sweep's centroids is both faster and better than mini-batches as long as it fits into
    memory, so `auto` takes it unless `memory` is known to be too little.

    Raises:
        NotEnoughMemoryError: what is wanted does not fit; nothing was begun.
    """
    wanted = "kmeans" if algorithm == "auto" else algorithm
    needed, least = (
        estimate_bytes(each, n_rows=n_rows, n_columns=n_columns, pca=pca, text_keys=text_keys)
        for each in (wanted, "minibatch_kmeans")
    )
    if memory is None or needed <= memory.available:
        reason = "auto: K-Means on all rows" if algorithm == "auto" else f"fit.algorithm is {algorithm}"
        return Resolved(wanted, reason, needed)
    fits_in_batches = least <= memory.available
    if algorithm == "auto" and not fits_in_batches:
        wanted, needed = "minibatch_kmeans", least
    short = (
        f"{n_rows:,} customers x {n_columns} columns need about {_gib(needed)} for {wanted}, {memory.where} has "
        f"{_gib(memory.limit)}, of which {_gib(memory.available)} are free"
    )
    if algorithm == "auto" and fits_in_batches:
        return Resolved("minibatch_kmeans", f"auto: {short}; mini-batches need no copy of the matrix", least)
    advice = [f"raise the limit to {_gib(memory.limit - memory.available + needed, up=True)}"]
    if wanted in COPYING and fits_in_batches:
        advice.append("set fit.algorithm: minibatch_kmeans")
    else:
        advice.append("leave out `pca`" if pca else "take fewer customers in the source query")
    message = f"{short}: {' or '.join(advice)}. Nothing was fitted."
    raise NotEnoughMemoryError(message)


def _gib(size: int, *, up: bool = False) -> str:
    """Gibibytes, to be read or, as a limit to set, rounded up to half of one."""
    return f"{-(-size * 2 // GIB) / 2:g} GiB" if up else f"{size / GIB:.1f} GiB"
