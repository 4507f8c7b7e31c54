"""Rows are labelled the same way whatever rows come with them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segmentation_pipeline.analysis.clustering import labelling
from segmentation_pipeline.analysis.clustering.algorithms.kmeans import fit_kmeans
from segmentation_pipeline.analysis.clustering.labelling import Assignment, assign
from segmentation_pipeline.model import FittedModel

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _matrix(n: int = 300, width: int = 5, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(n, width)).astype(np.float32)


def _model(k: int = 4, width: int = 5, seed: int = 1) -> FittedModel:
    centers = np.random.default_rng(seed).normal(size=(k, width))
    return FittedModel("kmeans", centers, tuple(range(k)))


def _rows(assignment: Assignment, rows: Any) -> tuple[NDArray[Any], ...]:
    return tuple(
        values[rows] for values in (assignment.labels, assignment.distance, assignment.second_labels, assignment.margin)
    )


@given(n=st.integers(1, 60), k=st.integers(2, 9), width=st.integers(1, 20), seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=50)
def test_assignment_is_brute_force(n: int, k: int, width: int, seed: int) -> None:
    """Label, distance, second label and margin are those of all distances computed one by one."""
    matrix, model = _matrix(n, width, seed), _model(k, width, seed + 1)
    distances = np.array([[np.linalg.norm(row - center) for center in model.centers] for row in matrix.astype(float)])
    order = np.argsort(distances, axis=1, kind="stable")
    nearest, second = (np.take_along_axis(distances, order[:, [rank]], axis=1)[:, 0] for rank in (0, 1))

    assignment = assign(matrix, model)

    np.testing.assert_array_equal(assignment.labels, order[:, 0])
    np.testing.assert_array_equal(assignment.second_labels, order[:, 1])
    np.testing.assert_allclose(assignment.distance, nearest, rtol=1e-12)
    np.testing.assert_allclose(assignment.margin, 1 - nearest / second, rtol=1e-9, atol=1e-12)


@given(
    rows=st.lists(st.integers(0, 299), min_size=1, max_size=40),
    width=st.sampled_from([1, 2, 3, 7, 8, 9, 16, 33, 64, 130]),
    block=st.sampled_from([1, 2, 3, 7, 64]),
)
@settings(deadline=None, max_examples=50)
def test_a_row_gets_the_same_answer_in_any_batch(rows: list[int], width: int, block: int) -> None:
    """Alone, repeated, in another order and in blocks of any size, a row has bit for bit the same assignment."""
    matrix, model = _matrix(width=width), _model(width=width)
    together = assign(matrix, model)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(labelling, "BLOCK_ROWS", block)
        some = assign(matrix[rows], model)

    for ours, theirs in zip(_rows(some, slice(None)), _rows(together, rows), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("width", [3, 8, 37, 130])
def test_the_layout_of_the_matrix_does_not_matter(width: int) -> None:
    """A matrix in Fortran order or with strides gets bit for bit the answer of a C-ordered one."""
    matrix, model = _matrix(width=width), _model(width=width)
    expected = assign(matrix, model)
    strided = np.repeat(np.repeat(matrix, 2, axis=0), 2, axis=1)[::2, ::2]

    for other in (np.asfortranarray(matrix), strided):
        np.testing.assert_array_equal(other, matrix)
        for ours, theirs in zip(_rows(assign(other, model), slice(None)), _rows(expected, slice(None)), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_a_model_labels_the_same_after_json() -> None:
    """Saved as JSON text and read again, a model returns bit for bit the same assignment."""
    matrix = _matrix()
    model = fit_kmeans(matrix, 4, n_init=10, seed=3).model

    again = FittedModel.from_json(json.loads(json.dumps(model.to_json())))

    np.testing.assert_array_equal(again.centers, model.centers)
    for ours, theirs in zip(
        _rows(assign(matrix, again), slice(None)), _rows(assign(matrix, model), slice(None)), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_labels_are_the_models_own() -> None:
    """Rows get the model's own labels, such as segment ids, not the positions of its prototypes."""
    model = FittedModel("kmeans", np.array([[0.0], [10.0], [20.0]]), (7, 3, 12))

    assignment = assign(np.array([[1], [12], [19]], dtype=np.float32), model)

    assert assignment.labels.tolist() == [7, 3, 12]
    assert assignment.second_labels.tolist() == [3, 12, 3]


def test_several_prototypes_can_share_a_label() -> None:
    """A segment of two prototypes takes the rows near either of them."""
    model = FittedModel("kmeans", np.array([[0.0], [10.0], [20.0]]), (1, 2, 1))

    assert assign(np.array([[1], [9], [19]], dtype=np.float32), model).labels.tolist() == [1, 2, 1]


def test_a_tie_goes_to_the_first() -> None:
    """A row as far from two prototypes belongs to the first, with margin 0."""
    model = FittedModel("kmeans", np.array([[1.0], [-1.0], [1.0]]), (5, 6, 7))

    assignment = assign(np.array([[0], [1]], dtype=np.float32), model)

    assert assignment.labels.tolist() == [5, 5]
    assert assignment.second_labels.tolist() == [6, 7]
    assert assignment.distance.tolist() == [1.0, 0.0]
    assert assignment.margin.tolist() == [0.0, 0.0]


def test_a_row_on_its_prototype_is_deep_inside() -> None:
    """A row at its prototype, away from the others, has distance 0 and margin 1."""
    assignment = assign(np.array([[0]], dtype=np.float32), FittedModel("kmeans", np.array([[0.0], [2.0]]), (0, 1)))

    assert (assignment.distance.tolist(), assignment.margin.tolist()) == ([0.0], [1.0])


def test_one_prototype_has_no_second() -> None:
    """With a single prototype the second label is -1 and the margin 1."""
    assignment = assign(_matrix(n=3), _model(k=1))

    assert assignment.labels.tolist() == [0, 0, 0]
    assert assignment.second_labels.tolist() == [-1, -1, -1]
    assert assignment.margin.tolist() == [1.0, 1.0, 1.0]


def test_no_rows_have_no_labels() -> None:
    """Zero rows have zero labels."""
    assert assign(_matrix(n=0), _model()).labels.shape == (0,)
