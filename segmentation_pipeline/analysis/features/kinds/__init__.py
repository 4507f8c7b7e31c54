"""The kinds of columns, one record each; the rest of the package asks the record and never compares the name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from segmentation_pipeline.analysis.features.kinds.boolean import BOOLEAN
from segmentation_pipeline.analysis.features.kinds.categorical import CATEGORICAL
from segmentation_pipeline.analysis.features.kinds.date import DATE
from segmentation_pipeline.analysis.features.kinds.numeric import NUMERIC

if TYPE_CHECKING:
    from segmentation_pipeline.analysis.features.kinds.kind import Kind
    from segmentation_pipeline.model import FeatureEncoding
    from segmentation_pipeline.spec import FeatureSpec

# an unknown column belongs to the first kind that recognises it
KINDS: Final[tuple[Kind, ...]] = (BOOLEAN, NUMERIC, DATE, CATEGORICAL)
_BY_NAME: Final[dict[str, Kind]] = {kind.name: kind for kind in KINDS}


def kind_named(name: str) -> Kind:
    """Return the record of a kind."""
    return _BY_NAME[name]


def kind_of(feature: FeatureSpec | FeatureEncoding) -> Kind:
    """Return the record of a feature's kind."""
    return _BY_NAME[feature.kind]
