"""Which algorithm `auto` is, and whether the memory suffices: a run that is killed for memory cannot report it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from segmentation_pipeline.analysis.clustering.algorithms.kmeans import KMEANS
from segmentation_pipeline.analysis.clustering.algorithms.minibatch_kmeans import MINIBATCH_KMEANS
from segmentation_pipeline.analysis.clustering.algorithms.registry import ALGORITHMS
from segmentation_pipeline.errors import NotEnoughMemoryError

if TYPE_CHECKING:
    from segmentation_pipeline.model import Memory

AUTO: Final = "auto"
# Measured at 1,000,000 and 10,000,000 rows (tests/benchmarks/end_to_end.py): what labels, distances, keys and one
# column at a time take for each row beside the matrix, which is mapped and makes room when it has to.
ROW_BYTES: Final = 85
# Keys of text, uuids of 36 characters: Python holds each while a parent's customers are looked up (3,000,000 rows).
TEXT_KEY_BYTES: Final = 350
# The samples of the sweep, its figures, the blocks, the pictures.
FIXED_BYTES: Final = 200 * 2**20
WIDE_BYTES: Final = 8
GIB: Final = 2**30


@dataclass(frozen=True, slots=True)
class Resolved:
    """The algorithm that is run, the reason in one sentence, and the bytes it needs beyond what the process holds."""

    algorithm: str
    reason: str
    needed_bytes: int = 0


def estimate_bytes(algorithm: str, *, n_rows: int, n_columns: int, pca: bool = False, text_keys: bool = False) -> int:
    """Estimate what a run needs at its peak for a matrix of `n_rows` x `n_columns`, beyond what the process holds now.

    `text_keys`: the customers' keys are text or uuids, not integers. A PCA holds the encoded rows once in float64, and
    so does its covariance.
    """
    copies = ALGORITHMS[algorithm].copy_bytes + 2 * WIDE_BYTES * pca
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
    """Turn `auto` into an algorithm for a matrix of `n_rows` x `n_columns`; any other name stays as it is.

    K-Means on all rows from the sweep's centroids is both faster and better than mini-batches as long as it fits into
    memory, so `auto` takes it unless `memory` is known to be too little.

    Raises:
        NotEnoughMemoryError: what is wanted does not fit; nothing was begun.
    """
    wanted = KMEANS.name if algorithm == AUTO else algorithm
    needed, least = (
        estimate_bytes(name, n_rows=n_rows, n_columns=n_columns, pca=pca, text_keys=text_keys)
        for name in (wanted, MINIBATCH_KMEANS.name)
    )
    if memory is None or needed <= memory.available:
        reason = "auto: K-Means on all rows" if algorithm == AUTO else f"fit.algorithm is {algorithm}"
        return Resolved(wanted, reason, needed)
    fits_in_batches = least <= memory.available
    if algorithm == AUTO and not fits_in_batches:
        wanted, needed = MINIBATCH_KMEANS.name, least
    short = (
        f"{n_rows:,} customers x {n_columns} columns need about {_format_gib(needed)} for {wanted}, {memory.where} has "
        f"{_format_gib(memory.limit)}, of which {_format_gib(memory.available)} are free"
    )
    if algorithm == AUTO and fits_in_batches:
        return Resolved(MINIBATCH_KMEANS.name, f"auto: {short}; mini-batches need no copy of the matrix", least)
    advice = [f"raise the limit to {_format_gib(memory.limit - memory.available + needed, up=True)}"]
    if ALGORITHMS[wanted].copy_bytes and fits_in_batches:
        advice.append(f"set fit.algorithm: {MINIBATCH_KMEANS.name}")
    else:
        advice.append("leave out `pca`" if pca else "take fewer customers in the source query")
    message = f"{short}: {' or '.join(advice)}. Nothing was fitted."
    raise NotEnoughMemoryError(message)


def _format_gib(size: int, *, up: bool = False) -> str:
    """Format a size in gibibytes; `up` rounds a limit that is to be set up to half of one."""
    return f"{-(-size * 2 // GIB) / 2:g} GiB" if up else f"{size / GIB:.1f} GiB"
