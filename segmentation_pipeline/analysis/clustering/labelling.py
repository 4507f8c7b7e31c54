"""Labelling rows by a saved model: by the nearest prototype, the likeliest component or the interval.

The numbers of a row must not depend on the rows around it. So nothing here adds up over rows or leaves the order of a
sum to a library.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from segmentation_pipeline.analysis.arrays.distances import squared_distances, squared_mahalanobis_distances
from segmentation_pipeline.model import UNASSIGNED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from segmentation_pipeline.model import FittedModel

BLOCK_ROWS: Final = 65_536
# Rows times prototypes in one block: 64 MB of distances.
BLOCK_VALUES: Final = 2**23


@dataclass(frozen=True, slots=True)
class Assignment:
    """Of each row, shape (n,): the label, the distance to its prototype, the second-best label, and the margin.

    The margin is 0 on the border and near 1 deep inside: `1 - distance / second distance`, for a mixture `1 - odds of
    the second component`. The second label is the best one of another segment; where there is no other segment it is
    -1 and the margin 1. A row beyond the radius has the label -1, the nearest segment as its second label, and the
    margin 0. The distance within a mixture is the Mahalanobis distance.
    """

    labels: NDArray[np.int64]
    distance: NDArray[np.float64]
    second_labels: NDArray[np.int64]
    margin: NDArray[np.float64]


def label_rows(block: NDArray[np.float32], model: FittedModel) -> Assignment:
    """Label the rows of `block`, shape (b, D), by what is saved of a model (ties: the first prototype)."""
    names = np.asarray(model.labels, dtype=np.int64)
    if model.edges is not None:
        return _label_by_interval(block, model.centers, model.edges, names)
    if model.weights is not None and model.precisions is not None:
        return _label_by_component(block, model.centers, model.weights, model.precisions, names)
    return _label_by_prototype(block, model.centers, model.radii, names)


def _label_by_prototype(
    block: NDArray[np.float32],
    centers: NDArray[np.float64],
    radii: NDArray[np.float64] | None,
    names: NDArray[np.int64],
) -> Assignment:
    squared = squared_distances(block, centers)
    best, second = _find_best_two(squared, names)
    rows = np.arange(len(block))
    distance = np.sqrt(squared[rows, best])
    labels, second_labels = names[best], np.where(second >= 0, names[second], UNASSIGNED)
    other = np.sqrt(squared[rows, second])
    margin = 1 - np.divide(distance, other, out=np.ones_like(other), where=other > 0)
    margin[second < 0] = 1.0
    if radii is not None:
        outside = distance > radii[best]
        second_labels[outside], margin[outside] = labels[outside], 0.0
        labels = np.where(outside, UNASSIGNED, labels)
    return Assignment(labels, distance, second_labels, margin)


def _label_by_component(
    block: NDArray[np.float32],
    centers: NDArray[np.float64],
    weights: NDArray[np.float64],
    precisions: NDArray[np.float64],
    names: NDArray[np.int64],
) -> Assignment:
    squared = squared_mahalanobis_distances(block, centers, precisions)
    constant = np.log(weights) + np.linalg.slogdet(precisions).logabsdet / 2
    cost = squared / 2 - constant  # minus the log of weight times density, up to what all components share
    best, second = _find_best_two(cost, names)
    rows = np.arange(len(block))
    margin = 1 - np.exp(np.minimum(cost[rows, best] - cost[rows, second], 0.0))
    margin[second < 0] = 1.0
    return Assignment(
        labels=names[best],
        distance=np.sqrt(squared[rows, best]),
        second_labels=np.where(second >= 0, names[second], UNASSIGNED),
        margin=margin,
    )


def _label_by_interval(
    block: NDArray[np.float32], centers: NDArray[np.float64], edges: NDArray[np.float64], names: NDArray[np.int64]
) -> Assignment:
    """Label by the interval; an edge belongs to the interval above it, and the margin is 0 at the nearest edge."""
    values = block[:, 0].astype(np.float64)
    place = np.searchsorted(edges, values, side="right")
    borders = np.concatenate([[-np.inf], edges, [np.inf]])
    below, above = values - borders[place], borders[place + 1] - values
    distance = np.abs(values - centers[place, 0])
    gap = np.minimum(below, above)
    margin = np.divide(gap, gap + distance, out=np.zeros_like(gap), where=gap > 0)
    return Assignment(names[place], distance, names[np.where(below < above, place - 1, place + 1)], margin)


def _find_best_two(cost: NDArray[np.float64], names: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return of each row the column of the lowest cost, and of the lowest with another name, -1 where none has one."""
    best = cost.argmin(axis=1)
    if len(set(names.tolist())) == 1:
        return best, np.full(len(cost), -1, dtype=np.intp)
    second = np.where(names[None, :] == names[best][:, None], np.inf, cost).argmin(axis=1)
    return best, second


def choose_block_rows(model: FittedModel) -> int:
    """Return how many rows are labelled at once: their distances to all prototypes take 64 MB at most."""
    return max(1, min(BLOCK_ROWS, BLOCK_VALUES // max(len(model.centers), 1)))


def _split_into_places(n_rows: int, model: FittedModel) -> Iterator[slice]:
    rows = choose_block_rows(model)
    return (slice(start, min(start + rows, n_rows)) for start in range(0, n_rows, rows))


def assign(matrix: NDArray[np.float32], model: FittedModel) -> Assignment:
    """Label every row of `matrix`, shape (n, D), by what is saved of a model (ties: the first prototype).

    Each row is labelled on its own in float64, so a customer gets the same answer alone, in another order and in any
    batch.
    """
    n_rows = len(matrix)
    labels, second_labels = np.empty(n_rows, dtype=np.int64), np.empty(n_rows, dtype=np.int64)
    distance, margin = np.empty(n_rows), np.empty(n_rows)
    for here in _split_into_places(n_rows, model):
        block = label_rows(matrix[here], model)
        labels[here], second_labels[here] = block.labels, block.second_labels
        distance[here], margin[here] = block.distance, block.margin
    return Assignment(labels, distance, second_labels, margin)
