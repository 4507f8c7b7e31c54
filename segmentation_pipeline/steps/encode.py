"""Usable rows into the float32 matrix that is clustered."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from segmentation_pipeline.analysis.features.encoding import encode_block
from segmentation_pipeline.engines.base import Mapped

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from segmentation_pipeline.engines.base import Blocks, Engine, Sink
    from segmentation_pipeline.model import Encoding


@dataclass(frozen=True, slots=True)
class EncodedCounts:
    """How many values of a column no category knows or are missing, and the places of the rows that are outliers."""

    unknown: Counter[str] = field(default_factory=Counter)
    missing: Counter[str] = field(default_factory=Counter)
    outliers: tuple[NDArray[np.intp], ...] = ()

    def __add__(self, other: EncodedCounts) -> EncodedCounts:
        """Return the counts of both."""
        return EncodedCounts(
            self.unknown + other.unknown, self.missing + other.missing, (*self.outliers, *other.outliers)
        )

    @property
    def outlier_rows(self) -> NDArray[np.intp]:
        """The places of all outliers, in order."""
        return np.concatenate([np.empty(0, dtype=np.intp), *self.outliers])


def encode_rows(engine: Engine, blocks: Blocks[pd.DataFrame], encoding: Encoding, *, matrix: Sink) -> EncodedCounts:
    """Write the rows' encoding into `matrix`, and return what is to be known of them.

    Raises:
        UnusableDataError: a row is so far out that squared distances from it are not float32 numbers.
    """
    kernel = partial(encode_with_counts, encoding=encoding)
    return engine.map(blocks, kernel, into=(matrix,), merge=EncodedCounts.__add__, empty=EncodedCounts())


def encode_with_counts(place: slice, block: pd.DataFrame, *, encoding: Encoding) -> Mapped[EncodedCounts]:
    """Return the matrix of a block, shape (b, D), and its counts."""
    encoded = encode_block(block, encoding)
    outliers = np.flatnonzero(encoded.outliers) + place.start
    return Mapped((encoded.matrix,), EncodedCounts(Counter(encoded.unknown), Counter(encoded.missing), (outliers,)))
