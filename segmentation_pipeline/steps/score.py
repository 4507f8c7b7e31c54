"""Today's customers by a published snapshot: encoded and labelled as saved, or refused where anything changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import pandas as pd
import pyarrow as pa

from segmentation_pipeline.analysis.clustering.labelling import assign
from segmentation_pipeline.analysis.features.encoding import find_measurable, transform
from segmentation_pipeline.analysis.features.validation import count_reasons, count_unreadable, validate
from segmentation_pipeline.errors import FeaturesChangedError, SourceError, UnusableDataError
from segmentation_pipeline.model.commands import run_command
from segmentation_pipeline.spec import FeatureSpec, SegmentationSpec
from segmentation_pipeline.steps.align import to_ids

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from segmentation_pipeline.analysis.clustering.labelling import Assignment
    from segmentation_pipeline.model import Snapshot

NOT_ENCODED: Final = "beyond what the encoding of the fit can take"
# this many unknown categories are not a coincidence, and fewer values say nothing
ENOUGH_TO_TELL: Final = 30


@dataclass(frozen=True, slots=True)
class Scored:
    """The usable customers with their labels, the rejected ones with reasons, and what is to be known of both.

    `keys` and the arrays of `assignment` have shape (n,), row by row the same customers; labels are segment ids, -1
    for none. `unknown` and `missing` count values per column, `no_longer` says which columns do not fit the
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
        """The number of rows that each reason rejects."""
        return count_reasons(self.reasons)

    @property
    def n_rows(self) -> int:
        """The number of all rows."""
        return len(self.keys) + len(self.rejected)

    @property
    def warnings(self) -> list[str]:
        """What a person who reads the run should know."""
        warnings = []
        if len(self.rejected):
            warnings.append(f"{len(self.rejected):,} rows rejected: {self.reason_counts}")
        if self.unknown:
            warnings.append(f"values that no category of the fit knows: {self.unknown}")
        return warnings

    def require_usable(self) -> None:
        """Refuse where no row can be used.

        Raises:
            UnusableDataError: all rows were rejected; the message counts the reasons.
        """
        if self.keys.empty:
            message = f"all {self.n_rows:,} rows were rejected: {self.reason_counts}. Nobody was scored."
            raise UnusableDataError(message)


def read_fitted_features(
    snapshot: Snapshot, listed: Sequence[FeatureSpec] | Literal["auto"]
) -> tuple[FeatureSpec, ...]:
    """Return how the fit of a snapshot read and checked its columns; empty if neither it nor a list says so.

    Where the fit decided the transform, the transform it took is what values must have: a negative number has no log1p.
    """
    recorded = [FeatureSpec(**feature) for feature in snapshot.metrics.features]
    if not recorded and not isinstance(listed, str):
        recorded = list(listed)
    taken = {feature.column: feature.transform for feature in snapshot.encoding.features}
    return tuple(
        feature.model_copy(update={"transform": taken.get(feature.column, "none")})
        # what is winsorized is pulled in before the transform, and so has one
        if feature.transform == "auto" and feature.outliers != "winsorize"
        else feature
        for feature in recorded
    )


def find_redefined(snapshot: Snapshot, listed: Sequence[FeatureSpec] | Literal["auto"]) -> list[str]:
    """Return how the features `listed` in a defs.yaml differ from the fit's: added, removed, of another kind."""
    if isinstance(listed, str):
        return []
    then = {feature.column: feature.kind for feature in snapshot.encoding.features}
    now = {feature.column: feature.kind for feature in listed}
    return [
        *(f"{column} is no longer a feature" for column in then if column not in now),
        *(f"{column} is a new feature" for column in now if column not in then),
        *(
            f"{column} was {kind}, and is {now[column]} now"
            for column, kind in then.items()
            if column in now and now[column] != kind
        ),
    ]


def find_unreadable(frame: pd.DataFrame, features: Sequence[FeatureSpec], *, as_of: datetime) -> list[str]:
    """Describe the columns of `frame`, shape (n, c), that are gone, empty, or of another kind than the fit read.

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


def require_as_fitted(name: str, snapshot: Snapshot, changes: Sequence[str]) -> None:
    """Refuse to score where anything is no longer as the snapshot of segmentation `name` was fitted on it.

    Raises:
        FeaturesChangedError: there are `changes`; the message lists them.
    """
    if not changes:
        return
    message = (
        f"the features no longer match snapshot {snapshot.snapshot_id} ({snapshot.partition}), which customers of "
        f"{name} are scored by: {'; '.join(changes)}. Nobody was scored. Run a fit: {run_command(name)}; or give "
        "the source and the defs.yaml their features back."
    )
    raise FeaturesChangedError(message)


def score_as_fitted(frame: pd.DataFrame, snapshot: Snapshot, spec: SegmentationSpec, *, as_of: datetime) -> Scored:
    """Score `frame`, shape (n, c), where its columns are what the snapshot was fitted on.

    Raises:
        FeaturesChangedError: they are not; the message says how.
    """
    features = read_fitted_features(snapshot, spec.features)
    if not features:
        require_as_fitted(spec.name, snapshot, ["it does not say how it read its columns"])
    require_as_fitted(spec.name, snapshot, find_unreadable(frame, features, as_of=as_of))
    scored = score(frame, snapshot, features, key=spec.source.key, as_of=as_of)
    require_as_fitted(spec.name, snapshot, scored.no_longer)
    return scored


def to_assignments(key: str, scored: Scored) -> pa.Table:
    """Return the scored customers as rows of the history: the key, the segment, the second one, distance and margin."""
    labels = scored.assignment
    return pa.table(
        {
            key: pa.Array.from_pandas(scored.keys),
            "segment_id": to_ids(labels.labels),
            "distance": labels.distance,
            "second_segment_id": to_ids(labels.second_labels),
            "margin": labels.margin,
        }
    )


def score(
    frame: pd.DataFrame, snapshot: Snapshot, features: Sequence[FeatureSpec], *, key: str, as_of: datetime
) -> Scored:
    """Check `frame`, shape (n, c), as the fit did, and label its rows with the snapshot's encoding and prototypes.

    The columns must be readable (`find_unreadable`).
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
    """Return a value of the column, short enough for a message."""
    return str(values.dropna().iloc[0])[:40]
