"""A plain method to compare segment ids with: nearest-centroid matching; the raw cluster index needs no code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

# In deviations of the first month's customers. Of 1, 1.5 and 2 this one keeps most ids in the simulated world; with the
# others two personas get the same id less often.
NEW_BEYOND: Final = 2.0


def nearest_centroid_ids(
    frames: Sequence[pd.DataFrame],
    labels: Sequence[NDArray[np.int64]],
    *,
    columns: Sequence[str],
    new_beyond: float = NEW_BEYOND,
) -> list[NDArray[np.int64]]:
    """Match clusters with those of the month before by their nearest centroid; return each customer's id.

    Centroids are means of `columns` in original units over the first month's deviations. Two clusters may get one id,
    as the plain method does. A cluster farther than `new_beyond` from all the month before gets a fresh one.
    """
    scale = frames[0][list(columns)].std().to_numpy(dtype=np.float64)
    known_ids, known = np.empty(0, dtype=np.int64), np.empty((0, len(columns)))
    fresh = 1
    result = []
    for frame, clusters in zip(frames, labels, strict=True):
        values = frame[list(columns)].to_numpy(dtype=np.float64) / scale
        centroids = np.array([values[clusters == cluster].mean(axis=0) for cluster in range(clusters.max() + 1)])
        ids = np.empty(len(centroids), dtype=np.int64)
        for cluster, centroid in enumerate(centroids):
            distance = np.linalg.norm(known - centroid, axis=1)
            if len(known) and distance.min() <= new_beyond:
                ids[cluster] = known_ids[distance.argmin()]
            else:
                ids[cluster], fresh = fresh, fresh + 1
        known_ids, known = ids, centroids
        result.append(ids[clusters])
    return result
