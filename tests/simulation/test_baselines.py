"""Plain nearest-centroid matching, with what it can do and what it cannot."""

import numpy as np
import pandas as pd
from support.simulation.baselines import nearest_centroid_ids


def _months(*centers: list[float]) -> tuple[list[pd.DataFrame], list[np.ndarray]]:
    """A month for each list of centers: three customers in a cluster at each."""
    frames = [
        pd.DataFrame({"spend": np.repeat(places, 3), "visits": 1.0 + np.arange(3 * len(places))}) for places in centers
    ]
    return frames, [np.repeat(np.arange(len(places)), 3) for places in centers]


def _ids(*centers: list[float], new_beyond: float = 1.5) -> list[list[int]]:
    """The id of each cluster in each month."""
    frames, labels = _months(*centers)
    found = nearest_centroid_ids(frames, labels, columns=["spend"], new_beyond=new_beyond)
    return [ids[::3].tolist() for ids in found]


def test_renumbered_clusters_keep_their_ids() -> None:
    """Clusters that change places and move a little are recognised."""
    assert _ids([10, 500, 900], [905, 12, 490]) == [[1, 2, 3], [3, 1, 2]]


def test_after_a_split_two_clusters_have_one_id() -> None:
    """The known fault of the method: both children are nearest to their parent."""
    assert _ids([10, 900], [10, 850, 950]) == [[1, 2], [1, 2, 2]]


def test_what_is_far_from_everything_is_new_and_old_ids_stay_away() -> None:
    """Beyond the limit there is a fresh id; only the month before counts, so a cluster that returns is new too."""
    assert _ids([10, 100, 900], [10, 100], [10, 100, 900], new_beyond=0.5) == [[1, 2, 3], [1, 2], [1, 2, 4]]


def test_distances_are_in_deviations_of_the_first_month() -> None:
    """A column in other units does not outweigh the others."""
    frames, labels = _months([10, 900], [900, 10])
    frames = [frame.assign(visits=frame["spend"] * 1e6) for frame in frames]

    found = nearest_centroid_ids(frames, labels, columns=["spend", "visits"])

    assert [ids[::3].tolist() for ids in found] == [[1, 2], [2, 1]]
