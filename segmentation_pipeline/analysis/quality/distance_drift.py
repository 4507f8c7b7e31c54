"""Whether today's customers are still near the segments: their distances, compared with the distances at the fit.

A customer is far if the distance is beyond the 99th percentile of the segment's distances at the fit, or if the
customer is in no segment. One in a hundred is expected to be far, and as many unassigned as there were at the fit. A
warning needs two things:

- *It matters*: the share is four percentage points above the expected share, 5 % of the customers where 1 % is
  expected. Customers drift between two fits; a smaller share than that is the outliers of any period.
- *It is not an accident*: three standard errors. The percentile itself was measured on n customers, so the share beyond
  it is not exactly 1 % but Beta distributed with k = 1 + 0.99 (n - 1) and n + 1 - k (David and Nagaraja, 2003, Order
  Statistics, section 2.5); in a segment of 20 it is about 5 %. Its variance adds to the binomial variance of today's
  count.

Three standard errors and not two, because scoring runs daily, and a false warning every other month would be of no use.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Final, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from segmentation_pipeline.model import Reach

FAR_QUANTILE: Final = 0.99
TOLERATED_EXCESS: Final = 0.04
CLEAR: Final = 3.0


@dataclass(frozen=True, slots=True)
class DistanceDrift:
    """The number of today's customers who are far from every segment, and the expected share.

    `z` is the excess in standard errors; `by_segment` is the share of far customers in each segment.
    """

    n_customers: int
    n_far: int
    expected_share: float
    z: float
    by_segment: dict[int, float]

    @property
    def share(self) -> float:
        """The share of far customers today."""
        return self.n_far / max(self.n_customers, 1)

    @property
    def threshold(self) -> float:
        """The share above which it matters."""
        return self.expected_share + TOLERATED_EXCESS

    @property
    def drifted(self) -> bool:
        """Whether a fit is due."""
        return self.share > self.threshold and self.z > CLEAR

    @property
    def message(self) -> str:
        """The finding in one sentence."""
        return (
            f"{self.n_far:,} of {self.n_customers:,} customers ({self.share:.1%}) are far from every segment, farther "
            f"than {FAR_QUANTILE:.0%} of its customers at the fit; {self.expected_share:.1%} are expected, "
            f"{self.threshold:.1%} tolerated"
        )


@dataclass(frozen=True, slots=True)
class FarCounts:
    """How many customers there are, in no segment, in each segment, and far from it: whole numbers that add up."""

    n_customers: int
    n_unassigned: int
    sizes: Mapping[int, int]
    far: Mapping[int, int]

    def merge(self, other: Self) -> Self:
        """Add the counts of other rows, by the same segments."""
        return type(self)(
            self.n_customers + other.n_customers,
            self.n_unassigned + other.n_unassigned,
            {segment: size + other.sizes[segment] for segment, size in self.sizes.items()},
            {segment: far + other.far[segment] for segment, far in self.far.items()},
        )


def count_far(labels: NDArray[np.int64], distance: NDArray[np.float64], reaches: Mapping[int, Reach]) -> FarCounts:
    """Count a block of customers by `labels` (segment ids, -1 for none) and by `distance`, both shape (b,)."""
    sizes, far = {}, {}
    for segment, reach in sorted(reaches.items()):
        own = distance[labels == segment]
        sizes[segment] = len(own)
        far[segment] = int(np.count_nonzero(own > reach.limit))
    return FarCounts(len(labels), int(np.count_nonzero(labels < 0)), sizes, far)


def measure_distance_drift(
    labels: NDArray[np.int64],
    distance: NDArray[np.float64],
    reaches: Mapping[int, Reach],
    *,
    n_unassigned_at_fit: int = 0,
) -> DistanceDrift:
    """Compare today's `labels` (segment ids, -1 for none) and `distance`, both (n,), with the reach of each segment.

    `reaches` holds, for each segment, the 99th percentile of the distances at the fit and the number of customers it
    was measured on. A segment without a reach has nothing to compare with, and its customers are not far.
    """
    return judge_far(count_far(labels, distance, reaches), reaches, n_unassigned_at_fit=n_unassigned_at_fit)


def judge_far(counts: FarCounts, reaches: Mapping[int, Reach], *, n_unassigned_at_fit: int) -> DistanceDrift:
    """Compare the number of far customers with the number that is expected by the `reaches` of the fit."""
    n_far, expected, variance = 0, 0.0, 0.0
    by_segment = {}
    for segment, reach in sorted(reaches.items()):
        size, far = counts.sizes[segment], counts.far[segment]
        beyond, uncertainty = _share_beyond(reach.n_customers)
        n_far += far
        expected += size * beyond
        variance += _variance(size, beyond, uncertainty)
        by_segment[segment] = far / max(size, 1)
    if counts.n_unassigned or n_unassigned_at_fit:
        # Laplace's rule: a fit without unassigned customers does not prove that there cannot be any
        n_fit = sum(reach.n_customers for reach in reaches.values()) + n_unassigned_at_fit
        outside = (n_unassigned_at_fit + 1) / (n_fit + 2)
        n_far += counts.n_unassigned
        expected += counts.n_customers * outside
        variance += _variance(counts.n_customers, outside, outside * (1 - outside) / (n_fit + 3))
    return DistanceDrift(
        n_customers=counts.n_customers,
        n_far=n_far,
        expected_share=expected / max(counts.n_customers, 1),
        z=(n_far - expected) / sqrt(variance) if variance > 0 else 0.0,
        by_segment=by_segment,
    )


def _share_beyond(n: int) -> tuple[float, float]:
    """Return mean and variance of the share of a population beyond the 99th percentile of `n` of its members."""
    rank = 1 + FAR_QUANTILE * (n - 1)
    return (n + 1 - rank) / (n + 1), rank * (n + 1 - rank) / ((n + 1) ** 2 * (n + 2))


def _variance(n: int, share: float, uncertainty: float) -> float:
    """Return the variance of a count among `n` with the probability `share`, itself known with `uncertainty`."""
    return n * share * (1 - share) + n * max(n - 1, 0) * uncertainty
