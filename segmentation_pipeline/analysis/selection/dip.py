"""Is there a valley between neighbouring clusters? Hartigan's dip test on the line between their centroids.

The idea is that of dip-means (Kalogeratos and Likas 2012, NIPS 25), used to judge a K and not to split: where
neighbours show no valley, that K cuts through one group of customers. The test is Hartigan and Hartigan 1985,
doi:10.1214/aos/1176346577.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from segmentation_pipeline.analysis.arrays.distances import squared_distances_between
from segmentation_pipeline.analysis.arrays.grouping import Groups

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Matrix = NDArray[np.floating[Any]]
    Labels = NDArray[np.integer[Any]]
    Steps = dict[int, "ColumnSteps"]

# The p-value's null is flat, the unimodal shape that is hardest to distinguish from two humps: one bell cut in two has
# a p near 1, small or touching groups often stay between 0.5 and 0.9. Only a high value is evidence of one group.
UNIMODAL_P: Final = 0.9
# A valley counts as proven well below the usual 0.05, since the worst of many pairs is looked at.
PROVEN_VALLEY_P: Final = 0.01
# Beyond some thousands of rows the test finds smaller and smaller bumps; its table ends at 72,000.
MAX_PAIR_ROWS: Final = 5_000
# Below this many distinct values a column is a category in numbers, not a measurement that was rounded.
_MEASURED: Final = 10
# Enough rows to see what the values are rounded to.
_STEP_ROWS: Final = 20_000
# The table of p-values begins at four rows; a handful says nothing.
_MIN_ROWS: Final = 8
# The p-value of fewer rows than that: evidence neither of one group nor of two.
_NO_EVIDENCE: Final = 0.5


@dataclass(frozen=True, slots=True)
class ColumnSteps:
    """The distinct `values` of a column, ascending, and the local `widths` of the steps between them, both (v,)."""

    values: NDArray[np.float64]
    widths: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class DipEvidence:
    """The dip test of each cluster with its nearest neighbour: two arrays of shape (K,).

    A p-value is high where there is no valley.
    """

    neighbours: NDArray[np.intp]
    p_values: NDArray[np.float64]

    @property
    def p_value(self) -> float:
        """The p-value of the worst pair: the highest one."""
        return float(self.p_values.max())


def measure_neighbour_dips(
    matrix: Matrix,
    centers: Matrix,
    labels: Labels,
    *,
    rng: np.random.Generator,
    max_rows: int = MAX_PAIR_ROWS,
    steps: Steps | None = None,
) -> DipEvidence:
    """Test each cluster and its nearest neighbour for a valley along the line between their centroids.

    `matrix` is (n, D), `centers` (K, D), `labels` (n,) in 0..K-1. The larger cluster of a pair counts with as many rows
    as the smaller one has, those nearest to it: a unimodal density that is cut off stays unimodal, and a large cluster
    no longer drowns a small one. `rng` spreads ties within the data's resolution (`steps`, those of `find_steps` unless
    given) and draws at most `max_rows` rows of a pair. A pair with fewer than 8 rows has p = 0.5, which is evidence of
    nothing.

    Raises:
        ValueError: fewer than two centroids.
    """
    if len(centers) < 2:
        raise ValueError(f"{len(centers)} centroids: neighbours need at least two. Raise sweep.k_min to 2.")
    anchors = np.asarray(centers, dtype=np.float64)
    apart = squared_distances_between(anchors, anchors)
    np.fill_diagonal(apart, np.inf)
    neighbours = apart.argmin(axis=1)
    rows_of = Groups.of(labels, len(anchors)).rows
    if steps is None:
        few = len(matrix) <= _STEP_ROWS
        steps = find_steps(matrix if few else matrix[rng.choice(len(matrix), _STEP_ROWS, replace=False)])
    known: dict[tuple[int, int], float] = {}
    p_values = np.empty(len(anchors))
    for cluster, other in enumerate(neighbours.tolist()):
        pair = (min(cluster, other), max(cluster, other))
        if pair not in known:
            line = anchors[pair[1]] - anchors[pair[0]]
            rows = _select_facing(matrix, rows_of[pair[0]], rows_of[pair[1]], line)
            if len(rows) > max_rows:
                rows = rng.choice(rows, size=max_rows, replace=False)
            known[pair] = dip_p_value(_jitter(np.asarray(matrix[rows], dtype=np.float64), steps, rng) @ line)
        p_values[cluster] = known[pair]
    return DipEvidence(neighbours.astype(np.intp), p_values)


def dip_p_value(values: NDArray[np.float64]) -> float:
    """Return the p-value of Hartigan's dip test for `values` (n,): high for one mode, 0.5 below 8 values."""
    import diptest

    if len(values) < _MIN_ROWS:
        return _NO_EVIDENCE
    if values.min() == values.max():
        return 1.0
    return float(diptest.diptest(values)[1])


def find_steps(matrix: Matrix) -> Steps:
    """Return the steps between the values of each column that was measured, by the column's position.

    `matrix` is (n, D); a column with fewer than ten distinct values is not a measurement and is left out.
    """
    steps = {}
    for position, column in enumerate(matrix.T):
        values = np.unique(column).astype(np.float64)
        if len(values) >= _MEASURED:
            # The smallest of two gaps on either side: a value beside an empty stretch is not smeared over it.
            gaps = np.pad(np.diff(values), 2, constant_values=np.inf)
            widths = np.min([gaps[shift : shift + len(values)] for shift in range(4)], axis=0)
            steps[position] = ColumnSteps(values, widths)
    return steps


def _select_facing(
    matrix: Matrix, low: NDArray[np.intp], high: NDArray[np.intp], line: NDArray[np.float64]
) -> NDArray[np.intp]:
    """Return the smaller cluster's rows and as many of the larger one's, those that lie nearest to it."""
    if not len(low) or not len(high):
        return np.concatenate([low, high])[:0]
    if len(low) > len(high):
        low, high, line = high, low, -line
    along_low, along_high = matrix[low] @ line, matrix[high] @ line
    reach = np.partition(along_high, (size := min(max(len(low), _MIN_ROWS), len(high))) - 1)[size - 1]
    return np.concatenate([low[along_low <= reach], high[along_high <= reach]])


def _jitter(rows: NDArray[np.float64], steps: Steps, rng: np.random.Generator) -> NDArray[np.float64]:
    """Spread values evenly within the step to which they were rounded: ties break the dip test."""
    spread = rows.copy()
    for position, column in steps.items():
        here = column.widths[np.searchsorted(column.values, rows[:, position]).clip(max=len(column.values) - 1)]
        spread[:, position] += rng.uniform(-0.5, 0.5, size=len(rows)) * here
    return spread
