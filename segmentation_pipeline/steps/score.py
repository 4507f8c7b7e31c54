"""Today's customers by a published snapshot: encoded and labelled exactly as saved, or told what no longer fits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pandas as pd

from segmentation_pipeline.analysis.clustering.labelling import assign
from segmentation_pipeline.analysis.features.encoding import find_measurable, transform
from segmentation_pipeline.analysis.features.validation import count_reasons, count_unreadable, validate
from segmentation_pipeline.errors import SourceError
from segmentation_pipeline.spec import FeatureSpec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from segmentation_pipeline.analysis.clustering.labelling import Assignment
    from segmentation_pipeline.model import Snapshot

NOT_ENCODED: Final = "beyond what the encoding of the fit can take"
# so many strangers among the categories are no coincidence, and so few values say nothing
ENOUGH_TO_TELL: Final = 30


@dataclass(frozen=True, slots=True)
class Scored:
    """The usable customers with their labels, the rejected ones with reasons, and what is to be known of both.

    `keys` and the arrays of `assignment` have shape (n,), row by row the same customers; labels are segment ids, -1
    for nobody's. `unknown` and `missing` count values per column, `no_longer` says which columns do not fit the
    snapshot; where there are any, nobody may be scored.
    """

    keys: pd.Series
    assignment: Assignment
    rejected: pd.DataFrame
    reasons: tuple[tuple[str, ...], ...]
    unknown: dict[str, int]
    missing: dict[str, int]
    no_longer: tuple[str, ...]

    @property
    def reason_counts(self) -> dict[str, int]:
        """How many rows each reason rejects."""
        return count_reasons(self.reasons)


def fitted_features(snapshot: Snapshot, listed: Sequence[FeatureSpec] | Literal["auto"]) -> tuple[FeatureSpec, ...]:
    """How the fit of a snapshot read and checked its columns; none if it was not recorded and nobody `listed` them.

    Where the fit decided the transform, the transform it took is what values must have: a negative number has no log1p.
    """
    recorded = [FeatureSpec(**feature) for feature in snapshot.metrics.features]
    if not recorded and not isinstance(listed, str):
        recorded = list(listed)
    taken = {each.column: each.transform for each in snapshot.encoding.features}
    return tuple(
        feature.model_copy(update={"transform": taken.get(feature.column, "none")})
        # what is winsorized is pulled in before the transform, and so has one
        if feature.transform == "auto" and feature.outliers != "winsorize"
        else feature
        for feature in recorded
    )


def redefined(snapshot: Snapshot, listed: Sequence[FeatureSpec] | Literal["auto"]) -> list[str]:
    """How the features `listed` in a defs.yaml differ from the fit's: columns added, removed, of another kind."""
    if isinstance(listed, str):
        return []
    then = {each.column: each.kind for each in snapshot.encoding.features}
    now = {each.column: each.kind for each in listed}
    return [
        *(f"{column} is no feature any more" for column in then if column not in now),
        *(f"{column} is a new feature" for column in now if column not in then),
        *(
            f"{column} was {kind}, and is {now[column]} now"
            for column, kind in then.items()
            if column in now and now[column] != kind
        ),
    ]


def no_longer_readable(frame: pd.DataFrame, features: Sequence[FeatureSpec], *, as_of: datetime) -> list[str]:
    """The columns of `frame`, shape (n, c), that are gone, empty, or of another kind than the fit read, in words.

    A column is of another kind where more than half of its values cannot be read; fewer are rows to reject.
    """
    found = []
    for feature in features:
        column = feature.column
        if column not in frame.columns:
            found.append(f"{column} is not in the source")
            continue
        n_present = int(frame[column].notna().sum())
        if not n_present:
            if feature.missing != "category":
                found.append(f"{column} is null in all {len(frame):,} rows")
            continue
        try:
            n_bad = count_unreadable(frame[column], feature, as_of=as_of)
        except SourceError:
            n_bad = n_present
        if 2 * n_bad > n_present:
            many = f"{n_bad:,} of {n_present:,} values are not"
            found.append(f"{column} was {feature.kind}, and {many}, such as {_example(frame[column])}")
    return found


def score(
    frame: pd.DataFrame, snapshot: Snapshot, features: Sequence[FeatureSpec], *, key: str, as_of: datetime
) -> Scored:
    """Check `frame`, shape (n, c), as the fit did, and label its rows with the snapshot's encoding and prototypes.

    The columns must be readable (`no_longer_readable`).
    """
    encoding, model = snapshot.encoding, snapshot.model
    valid = validate(frame, features, key=key, as_of=as_of)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # such rows are rejected
        encoded = transform(valid.rows, encoding)
    fits = find_measurable(encoded.matrix)
    inside, beyond = np.flatnonzero(fits), valid.rows.iloc[np.flatnonzero(~fits)]
    strangers = [
        f"{column} has {count:,} values, none of which was there at the fit, such as {_example(valid.rows[column])}"
        for column, count in encoded.unknown.items()
        if count >= ENOUGH_TO_TELL and count == int(valid.rows[column].notna().sum())
    ]
    return Scored(
        keys=valid.rows[key].iloc[inside].reset_index(drop=True),
        assignment=assign(encoded.matrix[inside], model),
        rejected=pd.concat([valid.rejected, beyond]) if len(beyond) else valid.rejected,
        reasons=(*valid.reasons, *((NOT_ENCODED,) for _ in range(len(beyond)))),
        unknown=encoded.unknown,
        missing=encoded.missing,
        no_longer=tuple(strangers),
    )


def _example(values: pd.Series) -> str:
    """A value that is there, short enough for a message."""
    return str(values.dropna().iloc[0])[:40]
