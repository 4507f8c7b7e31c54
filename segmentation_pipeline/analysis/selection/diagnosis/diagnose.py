"""What is wrong with a clustering, and what to change in its YAML: findings, most of them from a sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from segmentation_pipeline.analysis.arrays.threads import limit_threads
from segmentation_pipeline.analysis.clustering.algorithms.kmeans import KMEANS
from segmentation_pipeline.analysis.clustering.distinct_rows import count_distinct_rows
from segmentation_pipeline.analysis.selection.diagnosis import clusters
from segmentation_pipeline.analysis.selection.diagnosis.features import judge_columns
from segmentation_pipeline.analysis.selection.diagnosis.shapes import SCORE_LIMIT, judge_shapes
from segmentation_pipeline.analysis.selection.dip import find_steps
from segmentation_pipeline.model import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from segmentation_pipeline.model import Encoding

MAX_ROWS: Final = 2_000
# Fewer rows than this have no shape.
_SHAPE_ROWS: Final = 50


def diagnose(
    matrix: NDArray[np.floating[Any]],
    *,
    encoding: Encoding,
    labels: NDArray[np.integer[Any]],
    centers: NDArray[np.floating[Any]],
    inertias: Mapping[int, float],
    n_iter: int,
    converged: bool,
    rng: np.random.Generator,
    parent_centers: NDArray[np.floating[Any]] | None = None,
    k_wanted: int | None = None,
    max_rows: int = MAX_ROWS,
) -> tuple[Finding, ...]:
    """Return what is noteworthy about a K-Means fit of `matrix`, shape (n, D), warnings first.

    `labels` (n,) are cluster indices 0..K-1, `centers` is (K, D), `inertias` maps K to inertia (K = 1 where known),
    `parent_centers` are the parent's centroids in the same space, `k_wanted` is the largest K that was asked for (K
    itself unless given). Sizes and distinct rows are those of all rows; the rest looks at `max_rows` of them.

    Raises:
        ValueError: lengths that do not fit together.
    """
    if len(labels) != len(matrix) or matrix.shape[1] != len(encoding.names) or centers.shape[1] != matrix.shape[1]:
        raise ValueError(
            f"matrix {matrix.shape}, {len(labels)} labels, centers {centers.shape}, {len(encoding.names)} encoded "
            "columns: expected one label a row and one column each."
        )
    k = max(len(centers), k_wanted or 0)
    findings = clusters.judge_distinct(count_distinct_rows(np.asarray(matrix, dtype=np.float32), enough=k), k)
    rows = np.arange(len(matrix))
    if len(rows) > max_rows:
        rows = np.sort(rng.choice(rows, size=max_rows, replace=False))
    points = np.asarray(matrix[rows], dtype=np.float64)
    anchors = np.asarray(centers, dtype=np.float64)
    sample = clusters.Clusters(points, labels[rows], anchors, encoding.names)
    shares = np.bincount(labels, minlength=len(centers)) / max(len(labels), 1)
    with limit_threads(len(points)):
        if encoding.pca is None:  # a principal component is not a feature that anybody could change
            findings += judge_columns(points, encoding)
        findings += clusters.judge_outliers(sample, shares)
        findings += clusters.judge_overlap(sample)
        findings += clusters.judge_sizes(shares)
        findings += _judge_shape(points, labels[rows], anchors, rng)
    findings += clusters.judge_inertias(inertias)
    findings += clusters.judge_parent(anchors, None if parent_centers is None else np.asarray(parent_centers))
    findings += clusters.judge_fit(n_iter, converged=converged)
    return tuple(sorted(findings, key=lambda finding: finding.severity != "warn"))


def _judge_shape(
    points: NDArray[np.float64],
    labels: NDArray[np.integer[Any]],
    centers: NDArray[np.float64],
    rng: np.random.Generator,
) -> list[Finding]:
    """Report groups of a shape that K-Means cuts through, with the algorithm that does not.

    Where 0/1 columns hold most of the variance, dense groups are categories and no shapes are looked for.
    """
    steps = find_steps(points)
    variance, measured = points.var(axis=0), list(steps)
    enough = len(points) >= _SHAPE_ROWS and len(points) > 2 * len(centers)
    if not enough or len(centers) < 2 or points.shape[1] < 2 or variance[measured].sum() <= variance.sum() / 2:
        return []
    shapes = judge_shapes(points, labels, centers, rng=rng, steps=steps)
    if shapes.better is None:
        return []
    seen = f"shape score {shapes.score:.2f} (above {SCORE_LIMIT:g} K-Means is doubtful)"
    if shapes.n_dense > 1:
        seen += (
            f"; there are {shapes.n_dense} dense groups, and of what distinguishes them K-Means makes up "
            f"{shapes.cut:.0%} and loses {shapes.mixed:.0%}"
        )
    kmeans, other = shapes.cut_links[KMEANS.name], shapes.cut_links[shapes.better]
    seen += f"; K-Means parts {kmeans:.1%} of the neighbours that chance would part, {shapes.better} {other:.1%}"
    return [
        Finding(
            name="shape",
            seen=seen,
            means="The groups are chains, rings, moons or of unlike density, and straight borders cut through them",
            action=f"Set `fit: {{algorithm: {shapes.better}}}`",
            value=shapes.score,
            severity="warn",
            algorithm=shapes.better,
        )
    ]
