"""Which features there are, and which rows can be used: usable rows into one dataset, rejected ones into another."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from operator import add
from typing import TYPE_CHECKING, Final

import pandas as pd
import pyarrow as pa

from segmentation_pipeline.analysis.features.inference import InferredFeatures, infer_features
from segmentation_pipeline.analysis.features.validation import find_repeated_keys, require_columns, validate
from segmentation_pipeline.engines.base import Mapped
from segmentation_pipeline.errors import UnusableDataError
from segmentation_pipeline.storage.artifacts.datasets import ValidatedRows
from segmentation_pipeline.storage.artifacts.rows import with_types
from segmentation_pipeline.storage.artifacts.versions import RowsVersion

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray

    from segmentation_pipeline.engines.base import Blocks, Engine, Sink
    from segmentation_pipeline.spec import FeatureSpec, SegmentationSpec
    from segmentation_pipeline.storage.artifacts.artifact import Artifact
    from segmentation_pipeline.storage.artifacts.rows import ParquetRows

# beside the columns of the source in the dataset of rejected rows
REASONS: Final = "segmentation: reasons"


def choose_features(spec: SegmentationSpec, rows: ParquetRows, *, as_of: datetime) -> InferredFeatures:
    """Return the features that the spec lists, or those that the columns of `rows` suggest.

    Raises:
        SourceError: a column that the spec names is not there.
    """
    require_columns(rows, spec.outcomes)
    if spec.features != "auto":
        require_columns(rows, [feature.column for feature in spec.features])
        return InferredFeatures(tuple(spec.features), {})
    ignore = [*spec.outcomes, *spec.exclude, *([spec.source.fresh.column] if spec.source.fresh else [])]
    return infer_features(rows, key=spec.source.key, ignore=ignore, as_of=as_of)


def usable_schema(schema: pa.Schema, features: Sequence[FeatureSpec]) -> pa.Schema:
    """Return the columns of the usable rows: those of the source, the features in the types they are validated to."""
    return with_types(schema, {feature.column: pa.type_for_alias(feature.stored_as) for feature in features})


def rejected_schema(schema: pa.Schema) -> pa.Schema:
    """Return the columns of the rejected rows: those of the source, and the reasons."""
    return schema.append(pa.field(REASONS, pa.list_(pa.string())))


@dataclass(frozen=True, slots=True)
class SplitRows:
    """How many rows can be used and how many cannot, how many each reason rejects, and the usable rows' columns."""

    n_usable: int
    n_rejected: int
    reasons: Counter[str]
    schema: pa.Schema
    data_version: str

    def require_usable(self, name: str) -> None:
        """Refuse where no row can be used; `name` is the segmentation's.

        Raises:
            UnusableDataError: all rows were rejected; the message counts the reasons.
        """
        if self.n_usable:
            return
        counts = ", ".join(f"{reason} ({count:,})" for reason, count in self.reasons.most_common())
        message = f"all {self.n_rejected:,} rows were rejected: {counts}. Look at segmentation.{name}_rejected."
        raise UnusableDataError(message)


def split_rows(
    engine: Engine,
    blocks: Blocks[pd.DataFrame],
    rows: ParquetRows,
    *,
    features: Sequence[FeatureSpec],
    key: str,
    as_of: datetime,
    into: Artifact,
) -> SplitRows:
    """Write the usable and the rejected rows of `blocks`, which are those of `rows`, into the two tables of `into`."""
    schema = usable_schema(rows.schema, features)
    version = RowsVersion(schema)
    with (
        ValidatedRows.writing_rows(into, schema, version) as usable,
        ValidatedRows.writing_rejected(into, rejected_schema(rows.schema)) as rejected,
    ):
        reasons = validate_rows(
            engine, blocks, keys=rows[key], features=features, as_of=as_of, usable=usable, rejected=rejected
        )
    return SplitRows(usable.n_rows, rejected.n_rows, reasons, schema, version.hexdigest)


def validate_rows(
    engine: Engine,
    blocks: Blocks[pd.DataFrame],
    *,
    keys: pd.Series,
    features: Sequence[FeatureSpec],
    as_of: datetime,
    usable: Sink,
    rejected: Sink,
) -> Counter[str]:
    """Split the rows into `usable` and `rejected` ones, and return how many rows each reason rejects.

    `keys`, shape (n,), is the key column of all blocks: a repeated key is seen across them.
    """
    kernel = partial(
        split_block, features=tuple(features), key=str(keys.name), as_of=as_of, repeated=find_repeated_keys(keys)
    )
    return engine.map(blocks, kernel, into=(usable, rejected), merge=add, empty=Counter())


def split_block(
    place: slice,
    block: pd.DataFrame,
    *,
    features: Sequence[FeatureSpec],
    key: str,
    as_of: datetime,
    repeated: NDArray[np.bool_],
) -> Mapped[Counter[str]]:
    """Return the usable and the rejected rows of a block, shape (b, c), and how many rows each reason rejects."""
    valid = validate(block, features, key=key, as_of=as_of, repeated=repeated[place])
    rejected = valid.rejected.copy(deep=False)
    rejected[REASONS] = pd.Series([list(reasons) for reasons in valid.reasons], rejected.index, dtype=object)
    return Mapped((valid.rows, rejected), Counter(valid.reason_counts))
