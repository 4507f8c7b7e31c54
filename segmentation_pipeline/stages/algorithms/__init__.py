"""The clustering algorithms of `fit.algorithm`: each is fitted here and saved as a model that labels new rows."""

from segmentation_pipeline.stages.algorithms.fitting import fit_model
from segmentation_pipeline.stages.algorithms.judging import SHAPES, silhouette_score
from segmentation_pipeline.stages.algorithms.resolving import Resolved, resolve_algorithm
from segmentation_pipeline.stages.algorithms.result import ModelFit

__all__ = ["SHAPES", "ModelFit", "Resolved", "fit_model", "resolve_algorithm", "silhouette_score"]
