"""Is there the memory for it? Asked when the rows are counted, when the matrix is known, and before the fit."""

import pyarrow as pa

from segmentation_pipeline.analysis.clustering.algorithms.resolve import Resolved, resolve_algorithm
from segmentation_pipeline.model import Memory
from segmentation_pipeline.spec import SegmentationSpec


def require_memory(
    spec: SegmentationSpec, *, n_rows: int, n_columns: int, key: pa.DataType, room: Memory | None
) -> Resolved:
    """Return the algorithm that fits into memory, for a matrix of `n_rows` x `n_columns` and keys of a type.

    `room` is the memory there was before the step held anything that it frees again; None: not known.

    Raises:
        NotEnoughMemoryError: none does, or not the one that the spec names.
    """
    return resolve_algorithm(
        spec.fit.algorithm,
        n_rows=n_rows,
        n_columns=n_columns,
        memory=room,
        pca=spec.pca is not None,
        text_keys=not pa.types.is_integer(key),
    )
