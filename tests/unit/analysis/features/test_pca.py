"""Principal components: scikit-learn's PCA on held-out rows, the same for a row alone, the same after JSON."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from segmentation_pipeline.analysis.features.encoding import decode_names, fit_encoding, transform
from segmentation_pipeline.errors import UnusableDataError
from segmentation_pipeline.model import Encoding
from segmentation_pipeline.spec import FeatureSpec

COLUMNS = [f"x{index}" for index in range(12)]
FEATURES = [FeatureSpec(column=column, kind="numeric") for column in COLUMNS]


def _make_frame(n: int, seed: int) -> pd.DataFrame:
    """Draw twelve columns that are mixtures of three, with some noise."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(0).normal(size=(3, 12))
    return pd.DataFrame(rng.normal(size=(n, 3)) @ mixing + rng.normal(scale=0.2, size=(n, 12)), columns=COLUMNS)


def _fit_and_save(frame: pd.DataFrame, share: float) -> Encoding:
    encoding = fit_encoding(frame, FEATURES, pca=share)
    again = Encoding.from_json(json.loads(json.dumps(encoding.to_json())))
    assert again == encoding
    return again


@pytest.mark.parametrize("share", [0.3, 0.9, 0.999])
def test_components_are_scikit_learns(share: float) -> None:
    """As many components as the share of variance asks for, with scikit-learn's numbers on held-out rows."""
    frame, held_out = _make_frame(500, 1), _make_frame(200, 2)
    theirs = make_pipeline(StandardScaler(), PCA(n_components=share, svd_solver="full")).fit(frame)

    encoding = _fit_and_save(frame, share)
    ours = transform(held_out, encoding).matrix

    np.testing.assert_allclose(ours, theirs.transform(held_out), rtol=1e-6, atol=1e-6)
    assert encoding.names == tuple(f"component {index + 1}" for index in range(ours.shape[1]))
    assert encoding.pca is not None
    assert sum(encoding.pca.explained) > share
    assert (ours.dtype, ours.flags.c_contiguous) == (np.float32, True)


@given(rows=st.lists(st.integers(0, 499), min_size=1, max_size=40))
@settings(deadline=None, max_examples=30)
def test_a_row_has_the_same_components_in_any_company(rows: list[int]) -> None:
    """A customer alone, repeated or in another order has the same floats bit for bit."""
    frame = _make_frame(500, 1)
    encoding = _fit_and_save(frame, 0.9)

    np.testing.assert_array_equal(transform(frame.iloc[rows], encoding).matrix, transform(frame, encoding).matrix[rows])


def test_the_rows_of_a_large_batch_are_those_of_a_small_one() -> None:
    """Rows that are projected in blocks have the floats that they have alone."""
    frame = _make_frame(40_000, 3)
    encoding = _fit_and_save(frame.iloc[:500], 0.9)
    everybody = transform(frame, encoding).matrix

    for row in (0, 16_383, 16_384, 39_999):
        np.testing.assert_array_equal(transform(frame.iloc[[row]], encoding).matrix[0], everybody[row])


def test_outliers_take_no_part_in_the_axes() -> None:
    """Rows that `outliers: remove` finds do not turn the axes."""
    frame = _make_frame(500, 1)
    spoilt = pd.concat([frame, pd.DataFrame([[1e6, *[0.0] * 11]], columns=COLUMNS)], ignore_index=True)
    features = [FeatureSpec(column=column, kind="numeric", outliers="remove") for column in COLUMNS]

    encoding, clean = fit_encoding(spoilt, features, pca=0.9), fit_encoding(frame, features, pca=0.9)

    assert encoding.pca == clean.pca
    assert transform(spoilt, encoding).outliers.tolist() == [False] * 500 + [True]


def test_encoded_names_lead_back_to_their_features_behind_the_axes() -> None:
    """The encoded columns keep their names; the matrix has the components."""
    encoding = _fit_and_save(_make_frame(100, 1), 0.5)

    assert encoding.encoded_names == tuple(COLUMNS) == tuple(decode_names(encoding))
    assert encoding.columns == tuple(COLUMNS)


def test_rows_that_are_all_the_same_have_no_axes() -> None:
    """Rows without any variance are refused, with the reason."""
    with pytest.raises(UnusableDataError, match="pca: all 3 rows are the same"):
        fit_encoding(_make_frame(1, 1).iloc[[0, 0, 0]], FEATURES, pca=0.9)


def test_no_rows_have_no_components() -> None:
    """Zero rows become a matrix of zero rows with a column for each component."""
    frame = _make_frame(100, 1)
    encoding = _fit_and_save(frame, 0.9)

    assert transform(frame.iloc[:0], encoding).matrix.shape == (0, len(encoding.names))
