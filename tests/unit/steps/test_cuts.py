"""The steps over an engine: every result is the same for any cut of the rows, and every kernel can be sent elsewhere."""

from __future__ import annotations

import pickle
from collections import Counter
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from segmentation_pipeline.analysis.clustering.labelling import assign
from segmentation_pipeline.analysis.features.encoding import fit_encoding, transform
from segmentation_pipeline.analysis.features.validation import validate
from segmentation_pipeline.engines.local.blocks import MatrixBlocks, MatrixSink, RowBlocks
from segmentation_pipeline.engines.local.engine import LocalEngine
from segmentation_pipeline.model import Alignment, FittedModel, Match
from segmentation_pipeline.spec import FeatureSpec
from segmentation_pipeline.steps.align import name_block
from segmentation_pipeline.steps.encode import encode_rows, encode_with_counts
from segmentation_pipeline.steps.fit import label_block, label_matrix
from segmentation_pipeline.steps.validate import REASONS, split_block, validate_rows
from segmentation_pipeline.storage.artifacts.datasets import FinalFit

if TYPE_CHECKING:
    from collections.abc import Iterator

AS_OF = datetime(2024, 2, 1, tzinfo=UTC)
FEATURES = (
    FeatureSpec(column="spend", kind="numeric", transform="log1p", outliers="remove"),
    FeatureSpec(column="visits", kind="numeric", missing="median"),
    FeatureSpec(column="channel", kind="categorical"),
)
N_ROWS = 60
SIZES = st.integers(1, N_ROWS + 5)


class Kept:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        """Keep nothing yet."""
        self.parts: list[Any] = []

    def add(self, rows: Any, /) -> None:
        """Keep a part."""
        self.parts.append(rows)

    def frame(self) -> pd.DataFrame:
        """Put the parts together."""
        return pd.concat(self.parts, ignore_index=True)


def _customers(seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "id": rng.integers(0, 50, N_ROWS),  # some keys repeat
            "spend": rng.lognormal(3, 1, N_ROWS),
            "visits": rng.integers(0, 9, N_ROWS).astype(float),
            "channel": rng.choice(["web", "shop", "app"], N_ROWS),
        }
    )
    frame.loc[::7, "visits"] = np.nan
    frame.loc[::11, "spend"] = -5.0  # log1p cannot take it
    frame.loc[3, "spend"] = 1e9
    return frame


@settings(max_examples=25, deadline=None)
@given(size=SIZES, seed=st.integers(0, 9))
def test_validation_does_not_depend_on_the_cut(size: int, seed: int) -> None:
    """Usable rows, rejected rows, their reasons and the counts are those of the whole table."""
    frame, usable, rejected = _customers(seed), Kept(), Kept()
    counts = validate_rows(
        LocalEngine(in_threads=False),
        RowBlocks(frame, size=size),
        keys=frame["id"],
        features=FEATURES,
        as_of=AS_OF,
        usable=usable,
        rejected=rejected,
    )
    whole = validate(frame, FEATURES, key="id", as_of=AS_OF)
    pd.testing.assert_frame_equal(usable.frame(), whole.rows)
    assert rejected.frame()["id"].tolist() == whole.rejected["id"].tolist()
    assert [tuple(reasons) for reasons in rejected.frame()[REASONS]] == list(whole.reasons)
    assert counts == Counter(whole.reason_counts)
    assert len(usable.frame()) + len(rejected.frame()) == N_ROWS


def _usable() -> pd.DataFrame:
    return validate(_customers().drop_duplicates("id"), FEATURES, key="id", as_of=AS_OF).rows


@settings(max_examples=25, deadline=None)
@given(size=SIZES)
def test_the_matrix_does_not_depend_on_the_cut(size: int) -> None:
    """The matrix has the same bits, and unknown categories, nulls and outliers are counted the same."""
    fitted, rows = fit_encoding(_usable(), FEATURES), _usable()
    rows.loc[2, "channel"] = "phone"  # not there at the fit
    matrix = np.empty((len(rows), len(fitted.names)), dtype=np.float32)
    counts = encode_rows(LocalEngine(), RowBlocks(rows, size=size), fitted, matrix=MatrixSink(matrix))
    whole = transform(rows, fitted)
    np.testing.assert_array_equal(matrix, whole.matrix)
    assert (counts.unknown, counts.missing) == (whole.unknown, whole.missing)
    assert counts.unknown == {"channel": 1}
    np.testing.assert_array_equal(counts.outlier_rows, np.flatnonzero(whole.outliers))
    assert len(counts.outlier_rows) == 1


def _model() -> FittedModel:
    centers = np.random.default_rng(1).normal(size=(4, 3))
    return FittedModel("hdbscan", centers, labels=(0, 1, 2, 2), radii=np.array([1.0, 2.0, 0.5, 3.0]))


@settings(max_examples=25, deadline=None)
@given(size=SIZES)
def test_labels_do_not_depend_on_the_cut(size: int) -> None:
    """Clusters, distances and margins have the same bits, and those in no cluster are counted the same."""
    matrix = np.random.default_rng(2).normal(size=(N_ROWS, 3)).astype(np.float32)
    keys, model, table = pa.array(range(N_ROWS), pa.int64()), _model(), Kept()
    schema = FinalFit.schema("id", pa.int64())
    n_unassigned = label_matrix(
        LocalEngine(), MatrixBlocks(matrix, size), model, keys=keys, schema=schema, labels=table
    )
    whole, labels = assign(matrix, model), pa.concat_tables(table.parts)
    assert labels.column("id").to_pylist() == list(range(N_ROWS))
    for name, expected in (
        ("cluster", whole.labels),
        ("distance", whole.distance),
        ("second_cluster", whole.second_labels),
        ("margin", whole.margin),
    ):
        np.testing.assert_array_equal(labels.column(name).to_numpy(), expected)
    assert n_unassigned == int((whole.labels < 0).sum()) > 0


def test_segments_are_the_clusters_under_their_ids() -> None:
    """Each label becomes its segment's id, and no cluster becomes null."""
    matches = (Match(0, 7, 1.0, "parent"), Match(1, 3, 1.0, "new"))
    alignment = Alignment(matches, (), 8, "")
    batch = pa.record_batch(
        {
            "id": pa.array([10, 11, 12]),
            "cluster": pa.array([1, -1, 0]),
            "distance": pa.array([0.5, 9.0, 0.25]),
            "second_cluster": pa.array([0, 1, -1]),
            "margin": pa.array([0.5, 0.0, 1.0]),
        }
    )
    columns = ("id", "segment_id", "distance", "second_segment_id", "margin")
    types = (pa.int64(), pa.int32(), pa.float64(), pa.int32(), pa.float64())
    named = name_block(
        slice(0, 3), batch, alignment=alignment, schema=pa.schema(list(zip(columns, types, strict=True)))
    )
    assert named.rows[0].column("segment_id").to_pylist() == [3, None, 7]
    assert named.rows[0].column("second_segment_id").to_pylist() == [7, 3, None]
    assert named.value == 1


def _kernels() -> Iterator[partial[Any]]:
    features = {"features": FEATURES, "key": "id", "as_of": AS_OF, "repeated": np.zeros(N_ROWS, dtype=bool)}
    yield partial(split_block, **features)
    yield partial(encode_with_counts, encoding=fit_encoding(_usable(), FEATURES))
    schema = FinalFit.schema("id", pa.int64())
    yield partial(label_block, model=_model(), keys=pa.array(range(N_ROWS), pa.int64()), schema=schema)
    yield partial(name_block, alignment=Alignment((), (), 1, ""), schema=schema)


def test_every_kernel_can_be_sent_to_another_process() -> None:
    """A kernel is a function of its module with plain arguments: it survives the way through bytes."""
    for kernel in _kernels():
        restored = pickle.loads(pickle.dumps(kernel))
        assert restored.func is kernel.func
        assert restored.keywords.keys() == kernel.keywords.keys()
