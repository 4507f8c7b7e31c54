"""The rows of each group side by side: one sort instead of a look at all rows for each group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# numpy sorts 16 bits by counting
MOST_COUNTED: Final = 2**15


@dataclass(frozen=True, slots=True)
class Groups:
    """Rows in the `order` of their groups 0 to g - 1, shape (m,); those of group i lie from edge i to edge i + 1."""

    order: NDArray[np.intp]
    edges: NDArray[np.intp]

    @classmethod
    def of(cls, labels: NDArray[np.integer[Any]], n_groups: int) -> Self:
        """Sort rows by their labels, shape (n,), below `n_groups`; in a group they stay in order, negative ones go."""
        small = labels.astype(np.int16) if n_groups <= MOST_COUNTED else labels
        sizes = np.bincount(labels[labels >= 0], minlength=n_groups)
        order = np.argsort(small, kind="stable")[len(labels) - int(sizes.sum()) :]
        return cls(order, np.concatenate([[0], np.cumsum(sizes)]).astype(np.intp))

    @property
    def sizes(self) -> NDArray[np.intp]:
        """How many rows each group has, shape (g,)."""
        return np.diff(self.edges)

    @property
    def rows(self) -> list[NDArray[np.intp]]:
        """Which rows each group has."""
        return np.split(self.order, self.edges[1:-1]) if len(self.edges) > 1 else []

    def split(self, values: NDArray[Any]) -> list[NDArray[Any]]:
        """The values of each group's rows, from `values` of all of them, shape (n, ...)."""
        return [values[rows] for rows in self.rows]
