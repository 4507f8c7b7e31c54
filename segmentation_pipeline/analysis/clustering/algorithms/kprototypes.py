"""K-Prototypes: means of the numbers and modes of the categories.

It needs no encoding of its own. A category is a group of 0/1 columns times w in the encoded matrix, so two different
categories are a squared distance of w^2 + w^2 = 2 w^2 apart, and equal ones 0: a mismatch costs gamma = 2 w^2 (Huang
1998), which is 1/2 for a feature of weight 1. A prototype is therefore a point of the encoded space, numeric means
beside one-hot modes, and labelling a row by its nearest prototype is exactly the rule of K-Prototypes. A category that
was not seen when fitting (all zeros) is as far from every mode, as it is for the package.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from segmentation_pipeline.analysis.clustering.algorithms.algorithm import Algorithm
from segmentation_pipeline.analysis.clustering.algorithms.kmeans import KMEANS
from segmentation_pipeline.analysis.clustering.algorithms.kmedoids import KMEDOIDS
from segmentation_pipeline.analysis.clustering.algorithms.result import RawFit, sample_rows
from segmentation_pipeline.errors import SpecError
from segmentation_pipeline.model import FittedModel
from segmentation_pipeline.spec import is_amount

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from segmentation_pipeline.analysis.clustering.algorithms.algorithm import FitRequest
    from segmentation_pipeline.model import Encoding

# The package compares row by row in Python.
PROTOTYPE_ROWS: Final = 5_000
PROTOTYPE_MAX_ITER: Final = 100
PROTOTYPE_STARTS: Final = 3


@dataclass(frozen=True, slots=True)
class MixedColumns:
    """The columns of an encoded matrix as numbers and categories.

    `columns` are the names of the categorical features, `numeric` the positions of the numeric columns, `groups` the
    0/1 columns of each categorical feature and `weights` its weight.
    """

    columns: tuple[str, ...]
    numeric: NDArray[np.int64]
    groups: tuple[slice, ...]
    weights: NDArray[np.float64]

    @property
    def gamma(self) -> dict[str, float]:
        """What a mismatch costs in each categorical feature."""
        return {name: float(2 * weight**2) for name, weight in zip(self.columns, self.weights, strict=True)}

    @property
    def categorical(self) -> list[int]:
        """The positions of the categories in the table."""
        first = max(self.numeric.size, 1)
        return list(range(first, first + len(self.groups)))

    def to_table(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the numbers, then a code per category, shape (n, numeric + categorical); -1 where no column is set."""
        codes = []
        for group in self.groups:
            block = np.asarray(matrix[:, group])
            codes.append(np.where(block.any(axis=1), block.argmax(axis=1), -1).astype(np.float64))
        numbers = np.asarray(matrix[:, self.numeric], dtype=np.float64)
        if self.numeric.size == 0:  # the package wants a number; a constant one has no effect
            numbers = np.zeros((len(matrix), 1))
        return np.column_stack([numbers, *codes])

    def to_centers(self, prototypes: NDArray[Any], width: int) -> NDArray[np.float64]:
        """Return points of the encoded space, shape (k, width), for the package's centroids, which are table rows."""
        rows = np.asarray(prototypes, dtype=np.float64)
        centers = np.zeros((len(rows), width))
        centers[:, self.numeric] = rows[:, : self.numeric.size]
        modes = rows[:, max(self.numeric.size, 1) :].astype(np.int64)
        for position, (group, weight) in enumerate(zip(self.groups, self.weights, strict=True)):
            inside = np.flatnonzero(modes[:, position] >= 0)
            centers[inside, group.start + modes[inside, position]] = weight
        return centers


def split_columns(matrix: NDArray[np.float32], encoding: Encoding) -> MixedColumns:
    """Find the numbers and the categories in an encoded matrix, shape (n, D).

    Raises:
        SpecError: there are no categories, or the columns are not the encoding's own.
    """
    if len(encoding.names) != matrix.shape[1]:
        message = (
            f"algorithm: {KPROTOTYPES.name} needs the features as they are; the matrix has {matrix.shape[1]} columns, "
            f"the features {len(encoding.names)}. Remove features.pca, or use another algorithm."
        )
        raise SpecError(message)
    columns, numeric, groups, weights = [], [], [], []
    start = 0
    for feature in encoding.features:
        stop = start + len(feature.names)
        one_hot = np.asarray(matrix[:, start:stop])
        if not is_amount(feature.kind) and bool(((one_hot == 0) | (one_hot == np.float32(feature.weight))).all()):
            columns.append(feature.column)
            groups.append(slice(start, stop))
            weights.append(feature.weight)
        else:
            numeric += list(range(start, stop))
        start = stop
    if not groups:
        message = (
            f"algorithm: {KPROTOTYPES.name} is for features with one-hot categories; none of "
            f"{', '.join(encoding.columns)} has any. Use {KMEANS.name} or {KMEDOIDS.name}."
        )
        raise SpecError(message)
    return MixedColumns(tuple(columns), np.asarray(numeric, dtype=np.int64), tuple(groups), np.asarray(weights))


def fit_prototypes(matrix: NDArray[np.float32], request: FitRequest) -> RawFit:
    """Fit K-Prototypes (Huang 1998; package `kmodes`) on at most PROTOTYPE_ROWS rows of the encoded matrix.

    Raises:
        SpecError: there is no categorical feature.
    """
    mixed = split_columns(matrix, request.encoding)
    table = mixed.to_table(sample_rows(matrix, PROTOTYPE_ROWS, seed=request.seed))
    estimator = build_estimator(mixed, request.k, n_init=min(request.n_init, PROTOTYPE_STARTS), seed=request.seed)
    estimator.fit(table, categorical=mixed.categorical)
    centers = mixed.to_centers(estimator.cluster_centroids_, matrix.shape[1])
    model = FittedModel(KPROTOTYPES.name, centers, tuple(range(len(centers))), gamma=mixed.gamma)
    n_iter = int(estimator.n_iter_)
    return RawFit(model, n_iter, n_iter < PROTOTYPE_MAX_ITER, "Cao", n_fitted=len(table))


def build_estimator(mixed: MixedColumns, k: int, *, n_init: int, seed: int) -> Any:  # kmodes has no types
    """Build the package's estimator; each feature enters its sum of mismatches with its own gamma."""
    from kmodes.kprototypes import KPrototypes

    costs = 2 * mixed.weights**2

    def mismatch(modes: NDArray[Any], row: NDArray[Any], **_: object) -> NDArray[np.float64]:
        different: NDArray[np.bool_] = modes != row
        cost: NDArray[np.float64] = different @ costs
        return cost

    return KPrototypes(
        k, max_iter=PROTOTYPE_MAX_ITER, init="Cao", n_init=n_init, gamma=1.0, cat_dissim=mismatch, random_state=seed
    )


KPROTOTYPES: Final = Algorithm(name="kprototypes", fit=fit_prototypes)
