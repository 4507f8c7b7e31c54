"""Tables that are read one column or one block at a time have the same results as rows in memory."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

from segmentation_pipeline.analysis.arrays.rows import iter_blocks
from segmentation_pipeline.analysis.features.encoding import (
    compute_variance_shares,
    fit_encoding,
    transform,
)
from segmentation_pipeline.analysis.features.validation import find_repeated_keys, validate
from segmentation_pipeline.analysis.profiles.rules import imitate
from segmentation_pipeline.engines.local.blocks import MatrixSink, RowBlocks
from segmentation_pipeline.engines.local.engine import LocalEngine
from segmentation_pipeline.spec import FeatureSpec
from segmentation_pipeline.steps.encode import encode_rows

N_ROWS = 1_000
FEATURES = [
    FeatureSpec(column="spend", kind="numeric", transform="log1p", outliers="remove"),
    FeatureSpec(column="visits", kind="numeric", missing="median", scale="none"),
    FeatureSpec(column="plan", kind="categorical", missing="category"),
]


class InBlocks:
    """A frame that is read only as a stored table may be read: never as a whole."""

    def __init__(self, frame: pd.DataFrame) -> None:
        self._frame = frame
        self.columns = [str(column) for column in frame.columns]

    def __len__(self) -> int:
        return len(self._frame)

    def __getitem__(self, column: str, /) -> pd.Series:
        return self._frame[column]

    def iter_blocks(self, _size: int, /) -> Iterator[pd.DataFrame]:
        for start in range(0, len(self._frame), 77):
            yield self._frame.iloc[start : start + 77].reset_index(drop=True)


@pytest.fixture
def frame() -> pd.DataFrame:
    """Customers with nulls, an outlier and a category that only the last rows have."""
    rng = np.random.default_rng(5)
    visits = rng.poisson(3, N_ROWS).astype(float)
    visits[::9] = np.nan
    spend = rng.gamma(2.0, 30.0, N_ROWS)
    spend[17] = 1e7
    plan = rng.choice(["free", "pro", None], N_ROWS).astype(object)
    plan[-5:] = "rare"
    return pd.DataFrame({"spend": spend, "visits": visits, "plan": plan})


@pytest.mark.parametrize("size", [1, 7, N_ROWS, 5_000])
def test_blocks_are_all_rows_in_order(frame: pd.DataFrame, size: int) -> None:
    """The blocks of a frame put together are the frame, none larger than asked for."""
    found = list(iter_blocks(frame.head(20), size=size))

    assert max(len(block) for block in found) <= size
    pd.testing.assert_frame_equal(pd.concat(found), frame.head(20))


def test_an_encoding_does_not_depend_on_the_blocks(frame: pd.DataFrame) -> None:
    """An encoding fitted and applied block by block has the floats, outliers and counts of the whole frame."""
    whole, parts = fit_encoding(frame, FEATURES), fit_encoding(InBlocks(frame), FEATURES)
    into = np.empty((N_ROWS, len(parts.names)), dtype=np.float32)
    counts = encode_rows(LocalEngine(), RowBlocks(InBlocks(frame)), parts, matrix=MatrixSink(into))
    expected = transform(frame, whole)

    assert parts == whole
    np.testing.assert_array_equal(into, expected.matrix)
    np.testing.assert_array_equal(counts.outlier_rows, np.flatnonzero(expected.outliers))
    assert (counts.missing, counts.unknown) == (expected.missing, expected.unknown)
    assert counts.outlier_rows.tolist()[0] == 17
    assert counts.missing["visits"] == int(frame["visits"].isna().sum())


def test_a_matrix_is_written_where_it_is_wanted(frame: pd.DataFrame) -> None:
    """The rows are encoded into the matrix that is given, such as a memory map."""
    fitted = fit_encoding(frame, FEATURES)
    into = np.full((N_ROWS, len(fitted.names)), np.nan, dtype=np.float32)
    sink = MatrixSink(into)

    encode_rows(LocalEngine(), RowBlocks(InBlocks(frame)), fitted, matrix=sink)

    assert sink.matrix is into
    assert sink.n_rows == N_ROWS
    np.testing.assert_array_equal(into, transform(frame, fitted).matrix)


def test_principal_axes_do_not_depend_on_the_blocks(frame: pd.DataFrame) -> None:
    """An encoding with a PCA is the same from blocks as from the whole frame."""
    assert fit_encoding(InBlocks(frame), FEATURES, pca=0.9) == fit_encoding(frame, FEATURES, pca=0.9)


def test_shares_of_the_variance_do_not_depend_on_the_blocks(frame: pd.DataFrame) -> None:
    """The share of each column in the distances is that of the variances of the whole matrix, outliers left out."""
    fitted = fit_encoding(frame, FEATURES)
    encoded = transform(frame, fitted)
    variances = encoded.matrix[~encoded.outliers].var(axis=0, dtype=np.float64)

    shares = compute_variance_shares(InBlocks(frame), fitted)

    assert shares["visits"] == pytest.approx(variances[1] / variances.sum(), rel=1e-9)
    assert sum(shares.values()) == pytest.approx(1.0)


def test_the_rules_of_a_tree_are_counted_on_every_block(frame: pd.DataFrame) -> None:
    """Rules, fidelity and counts are the same whether the customers come in blocks or at once."""
    segments = np.where(frame["spend"] > 60, 1, 2) + 2 * (frame["plan"] == "pro").to_numpy()
    segments[:50] = -1
    whole = imitate(frame, segments, features=FEATURES, seed=3, fit_rows=400)
    assert imitate(InBlocks(frame), segments, features=FEATURES, seed=3, fit_rows=400) == whole
    assert sum(rule.n_customers for rule in whole.rules) == N_ROWS - 50
    assert whole.fidelity > 0.9


def test_a_key_that_two_blocks_share_is_rejected_in_both() -> None:
    """Duplicates are those of the whole table: each block learns which of its keys are repeated elsewhere."""
    frame = pd.DataFrame({"id": [1, 2, 3, 2, 4, None], "x": [1.0] * 6})
    repeated = find_repeated_keys(frame["id"])

    assert repeated.tolist() == [False, True, False, True, False, False]
    feature = FeatureSpec(column="x", kind="numeric")
    parts = [
        validate(frame.iloc[part], [feature], key="id", repeated=repeated[part])
        for part in (slice(0, 3), slice(3, 6))
    ]  # fmt: skip
    assert [part.rows["id"].tolist() for part in parts] == [[1.0, 3.0], [4.0]]
    assert [part.reason_counts for part in parts] == [
        {"key is duplicated": 1},
        {"key is duplicated": 1, "key is null": 1},
    ]
