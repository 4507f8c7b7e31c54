"""Run as a program: takes a column of the kind that docs/extending.md adds from the rows to the profile."""

from __future__ import annotations

import json
from typing import get_args

import numpy as np
import pandas as pd

from segmentation_pipeline.analysis.features.encoding import fit_encoding, transform
from segmentation_pipeline.analysis.features.kinds import KINDS
from segmentation_pipeline.analysis.features.validation import validate
from segmentation_pipeline.analysis.profiles.profile import profile_segments
from segmentation_pipeline.analysis.profiles.rules import imitate
from segmentation_pipeline.model import Encoding
from segmentation_pipeline.spec import KIND_OPTIONS, ColumnKind, FeatureSpec


def main() -> None:
    """Print what became of the column as JSON."""
    feature = FeatureSpec.model_validate({"column": "note", "kind": "text_length", "max": 20, "missing": "median"})
    notes = ["a" * 2, "b" * 4, None, "c" * 14, "d" * 16, "e" * 30]
    frame = pd.DataFrame({"id": range(6), "note": pd.Series(notes, dtype=object)})
    valid = validate(frame, [feature], key="id")
    encoding = Encoding.from_json(json.loads(json.dumps(fit_encoding(valid.rows, [feature]).to_json())))
    matrix = transform(valid.rows, encoding).matrix
    segments = np.array([1, 1, 1, 2, 2], dtype=np.int32)
    profiles = profile_segments(valid.rows, segments, np.zeros(5), features=[feature])
    print(
        json.dumps(
            {
                "names": [sorted(get_args(ColumnKind)), sorted(KIND_OPTIONS), sorted(kind.name for kind in KINDS)],
                "stored_as": feature.stored_as,
                "lengths": valid.rows["note"].fillna(-1).tolist(),
                "reasons": valid.reasons,
                "columns": encoding.names,
                "encoded": matrix[:, 0].tolist(),
                "means": {segment: profile.figures["note"]["mean"] for segment, profile in profiles.items()},
                "segment_names": {segment: profile.name for segment, profile in profiles.items()},
                "rules": [rule.condition for rule in imitate(valid.rows, segments, features=[feature], seed=1).rules],
            }
        )
    )


if __name__ == "__main__":
    main()
