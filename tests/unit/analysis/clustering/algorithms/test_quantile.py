"""Quantiles cut one number into equal parts."""

from __future__ import annotations

import numpy as np
import pytest
from support.algorithms import fit_rows, mixed_rows, numeric_encoding, rows_for

from segmentation_pipeline.analysis.clustering.labelling import assign
from segmentation_pipeline.errors import SpecError, UnusableDataError
from segmentation_pipeline.model import Encoding


def test_quantiles_are_equal_parts() -> None:
    """Each part holds its share, in order; a value on an edge belongs above it, and the margin is 0 there."""
    matrix, encoding = rows_for("quantile")

    fit = fit_rows("quantile", matrix, encoding, k=4)

    labels = assign(matrix, fit.model).labels
    assert [int(size) for size in np.bincount(labels)] == pytest.approx([75] * 4, abs=1)
    assert (np.diff(labels[np.argsort(matrix[:, 0])]) >= 0).all()
    assert fit.model.edges is not None
    on_edge = assign(np.array([[fit.model.edges[1]]], dtype=np.float32), fit.model)
    assert (on_edge.labels.tolist(), on_edge.second_labels.tolist(), on_edge.margin.tolist()) == ([2], [1], [0.0])


def test_quantiles_keep_equal_values_together() -> None:
    """Many customers with one value leave fewer parts than asked for, and the fit says so."""
    matrix = np.concatenate([np.zeros(50), np.arange(1, 51)]).astype(np.float32)[:, None]

    fit = fit_rows("quantile", matrix, numeric_encoding(1), k=4)

    assert fit.k == 3
    assert fit.notes == ("3 parts instead of 4: customers with the same value stay together",)
    assert len(set(assign(matrix[:50], fit.model).labels.tolist())) == 1


def test_quantiles_of_hardly_anything_are_refused() -> None:
    """Where almost all customers have the smallest value there is nothing to cut."""
    matrix = np.concatenate([np.zeros(95), np.arange(1, 6)]).astype(np.float32)[:, None]

    with pytest.raises(UnusableDataError, match="n0: 95% of the customers have its smallest value"):
        fit_rows("quantile", matrix, numeric_encoding(1), k=3)


def test_quantile_needs_exactly_one_number() -> None:
    """Two features, or one category, are refused by name."""
    matrix, encoding = mixed_rows()

    with pytest.raises(SpecError, match=r"features has 4: n0 \(numeric\), .*plan \(categorical\)"):
        fit_rows("quantile", matrix, encoding)
    with pytest.raises(SpecError, match=r"features has 1: plan \(categorical\)"):
        fit_rows("quantile", matrix[:, 2:5].copy(), Encoding(encoding.features[2:3]))
