"""Rows sorted by their group: one sort replaces a pass over all rows for every group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Up to this many groups the labels fit into 16 bits, which numpy sorts by counting.
MOST_COUNTED: Final = 2**15


@dataclass(frozen=True, slots=True)
class Groups:
    """Rows in the `order` of their groups 0 to g - 1, shape (m,).

    The rows of group i stand in `order` from `edges[i]` to `edges[i + 1]`; `edges` has shape (g + 1,).
    """

    order: NDArray[np.intp]
    edges: NDArray[np.intp]

    @classmethod
    def of(cls, labels: NDArray[np.integer[Any]], n_groups: int) -> Self:
        """Sort rows by their labels, shape (n,), all below `n_groups`.

        Within a group the rows stay in their order. Rows with a negative label are left out.
        """
        small = labels.astype(np.int16) if n_groups <= MOST_COUNTED else labels
        sizes = np.bincount(labels[labels >= 0], minlength=n_groups)
        order = np.argsort(small, kind="stable")[len(labels) - int(sizes.sum()) :]
        return cls(order, np.concatenate([[0], np.cumsum(sizes)]).astype(np.intp))

    @property
    def sizes(self) -> NDArray[np.intp]:
        """The number of rows of each group, shape (g,)."""
        return np.diff(self.edges)

    @property
    def rows(self) -> list[NDArray[np.intp]]:
        """The positions of each group's rows."""
        return np.split(self.order, self.edges[1:-1]) if len(self.edges) > 1 else []

    def split(self, values: NDArray[Any]) -> list[NDArray[Any]]:
        """Return the values of each group's rows; `values` are those of all rows, shape (n, ...)."""
        return [values[rows] for rows in self.rows]
