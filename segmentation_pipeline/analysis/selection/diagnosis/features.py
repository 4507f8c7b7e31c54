"""Findings about the features alone: one that drowns the others, copies, constants, too many, a single one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from segmentation_pipeline.analysis.clustering.algorithms.quantile import QUANTILE
from segmentation_pipeline.model import Finding
from segmentation_pipeline.spec import is_amount

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from segmentation_pipeline.model import Encoding

    Points = NDArray[np.float64]

# As a share of what equal features would leave over; 85 % of all distance for two features, 73 % for ten.
DOMINATES: Final = 0.7
# Nine tenths of the variance of one feature are in the other.
NEAR_DUPLICATE: Final = 0.95
# The nearest customer half as far as any customer: for independent normal features this begins at about fifteen.
CONCENTRATED: Final = 0.5
_PAIRWISE_ROWS: Final = 1_000


def judge_columns(points: Points, encoding: Encoding) -> list[Finding]:
    """Judge the columns of `points`, shape (n, D), by the features they come from."""
    features = _map_columns(encoding)
    findings = [
        _find_constants(points, features),
        _find_dominant(points, features, encoding),
        _find_duplicates(points, encoding),
        _find_concentration(points),
        _find_single(points, encoding),
    ]
    return [finding for finding in findings if finding is not None]


def _map_columns(encoding: Encoding) -> NDArray[np.intp]:
    """Return the position of the feature that each column comes from, shape (D,)."""
    return np.repeat(np.arange(len(encoding.features)), [len(feature.names) for feature in encoding.features])


def _find_constants(points: Points, features: NDArray[np.intp]) -> Finding | None:
    still = np.ptp(points, axis=0) == 0
    columns = np.flatnonzero(still)
    # of a categorical feature one category may be missing in a sample; all of them together cannot be
    whole = [feature for feature in np.unique(features) if still[features == feature].all()]
    if not whole:
        return None
    return Finding(
        name="constant_feature",
        seen=f"{len(whole)} of {features.max() + 1} features have the same value for every customer",
        means="They do not distinguish any customers",
        action="Take them out of `features`, or check that the query fills them",
        value=float(len(columns)),
        severity="warn",
    )


def _find_dominant(points: Points, features: NDArray[np.intp], encoding: Encoding) -> Finding | None:
    n_features = len(encoding.features)
    variance = np.bincount(features, weights=points.var(axis=0), minlength=n_features)
    if n_features < 2 or variance.sum() == 0:
        return None
    share = variance / variance.sum()
    top = int(share.argmax())
    excess = float((share[top] - 1 / n_features) / (1 - 1 / n_features))
    if excess < DOMINATES:
        return None
    feature = encoding.features[top]
    if is_amount(feature.kind) and feature.center == 0 and feature.scale == 1:
        action = f"Give {feature.column} `scale: standard`, and `transform: log1p` if it is an amount"
    else:
        action = f"Lower the `weight` of {feature.column}, or raise that of the others"
    return Finding(
        name="dominant_feature",
        seen=f"{feature.column} makes {share[top]:.0%} of the squared distances between customers",
        means=f"The clusters are those of {feature.column} alone; the other {n_features - 1} features hardly count",
        action=action,
        value=float(share[top]),
        severity="warn",
    )


def _find_duplicates(points: Points, encoding: Encoding) -> Finding | None:
    numeric = [
        (position, name) for position, name in _list_numeric_columns(encoding) if np.ptp(points[:, position]) > 0
    ]
    if len(numeric) < 2:
        return None
    columns = [position for position, _ in numeric]
    likeness = np.abs(np.triu(np.corrcoef(points[:, columns], rowvar=False), k=1))
    first, second = np.unravel_index(int(likeness.argmax()), likeness.shape)
    value = float(likeness[first, second])
    if value < NEAR_DUPLICATE:
        return None
    n_pairs = int((likeness >= NEAR_DUPLICATE).sum())
    more = f" (and {n_pairs - 1} more pairs)" if n_pairs > 1 else ""
    one, other = numeric[int(first)][1], numeric[int(second)][1]
    return Finding(
        name="near_duplicate_features",
        seen=f"{one} and {other} have a correlation of {value:.2f}{more}",
        means="What both say counts twice in every distance",
        action=f"Take {other} out of `features`, or give each `weight: 0.7`",
        value=value,
        severity="warn",
    )


def _list_numeric_columns(encoding: Encoding) -> list[tuple[int, str]]:
    columns, position = [], 0
    for feature in encoding.features:
        if is_amount(feature.kind):
            columns.append((position, feature.column))
        position += len(feature.names)
    return columns


def _find_concentration(points: Points) -> Finding | None:
    """Report distances that are all alike.

    Beyer, Goldstein, Ramakrishnan and Shaft 1999, doi:10.1007/3-540-49257-7_15.
    """
    from scipy.spatial.distance import pdist, squareform

    if points.shape[1] < 3 or len(points) < 10:
        return None
    distances = pdist(points[:_PAIRWISE_ROWS])
    middle = float(np.median(distances))
    square = squareform(distances)
    np.fill_diagonal(square, np.inf)
    contrast = float(np.median(square.min(axis=1))) / middle if middle > 0 else 0.0
    if contrast < CONCENTRATED:
        return None
    return Finding(
        name="distances_concentrate",
        seen=(
            f"in {points.shape[1]} columns a customer's nearest neighbour is {contrast:.0%} as far away as any customer"
        ),
        means="Everybody is about equally far from everybody, and clusters follow chance",
        action="Add `pca: 0.9` to keep the directions that hold 90 % of the variance, or list fewer features",
        value=contrast,
        severity="info",
    )


def _find_single(points: Points, encoding: Encoding) -> Finding | None:
    if len(encoding.features) != 1 or not is_amount(encoding.features[0].kind) or points.shape[1] != 1:
        return None
    column = encoding.features[0].column
    return Finding(
        name="single_numeric_feature",
        seen=f"1 numeric feature: {column}",
        means="Clusters of one number are ranges of it; quantiles give ranges of equal size that people can read",
        action=f"Set `fit: {{algorithm: {QUANTILE.name}}}`, or add features",
        value=1.0,
        severity="info",
        algorithm=QUANTILE.name,
    )
