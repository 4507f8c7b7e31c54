"""All algorithms by name. A test compares the names with `AlgorithmName` in spec/fit.py."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from segmentation_pipeline.analysis.clustering.algorithms.gaussian_mixture import GAUSSIAN_MIXTURE
from segmentation_pipeline.analysis.clustering.algorithms.hdbscan import HDBSCAN
from segmentation_pipeline.analysis.clustering.algorithms.kmeans import KMEANS
from segmentation_pipeline.analysis.clustering.algorithms.kmedoids import KMEDOIDS
from segmentation_pipeline.analysis.clustering.algorithms.kprototypes import KPROTOTYPES
from segmentation_pipeline.analysis.clustering.algorithms.minibatch_kmeans import MINIBATCH_KMEANS
from segmentation_pipeline.analysis.clustering.algorithms.quantile import QUANTILE
from segmentation_pipeline.analysis.clustering.algorithms.spectral import SPECTRAL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from segmentation_pipeline.analysis.clustering.algorithms.algorithm import Algorithm

_RECORDS: Final = (
    KMEANS,
    MINIBATCH_KMEANS,
    KMEDOIDS,
    KPROTOTYPES,
    GAUSSIAN_MIXTURE,
    QUANTILE,
    HDBSCAN,
    SPECTRAL,
)
ALGORITHMS: Final[Mapping[str, Algorithm]] = MappingProxyType({record.name: record for record in _RECORDS})
