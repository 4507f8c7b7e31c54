"""The figures that are kept with a snapshot, as JSON and back."""

from __future__ import annotations

import json

from segmentation_pipeline.model import CentroidShift, Drift, SegmentMatch, SnapshotMetrics, Transition

METRICS = SnapshotMetrics(
    silhouette=0.5, simplified_silhouette=0.6, davies_bouldin=0.7, calinski_harabasz=80.0, inertia=9.0,
    reason="K = 3", won_by="k-means++ 4", notes=("one",), features=({"column": "spend", "kind": "numeric"},),
    distributions={"spend": {"edges": [1.0], "counts": [2, 3]}}, n_shared=10, n_moved=2, evidence="all three",
    matches=(SegmentMatch(1, 0.9, 0.8, "parent"), SegmentMatch(2, 0.0, 1.0, "new")),
    transitions=(Transition(1, None, 4, None),),
    drift=Drift({"spend": 0.1}, 0.2, (CentroidShift(1, "spend", 1.0, 2.0, 0.5),)), reasons_to_wait=("segment 2 is born",),
)  # fmt: skip


def test_figures_come_back_from_their_json() -> None:
    """What is written is what is read, by way of text."""
    assert SnapshotMetrics.from_json(json.loads(json.dumps(METRICS.to_json()))) == METRICS


def test_the_keys_of_the_json_are_a_contract() -> None:
    """People query these keys, and databases that earlier versions wrote have them."""
    assert set(METRICS.to_json()) == {
        "silhouette", "simplified_silhouette", "davies_bouldin", "calinski_harabasz", "inertia", "reason", "won_by",
        "notes", "features", "distributions", "n_shared", "n_moved", "evidence", "matches", "transitions", "drift",
        "approval",
    }  # fmt: skip
    assert METRICS.to_json()["approval"] == ["segment 2 is born"]
    assert METRICS.to_json()["matches"][0] == {"segment_id": 1, "score": 0.9, "confidence": 0.8, "through": "parent"}
    assert METRICS.to_json()["transitions"] == [
        {"from_segment_id": 1, "to_segment_id": None, "n_customers": 4, "n_moved": None}
    ]
    assert list(METRICS.to_json()["drift"]["shifts"]) == [
        {"segment_id": 1, "column": "spend", "before": 1.0, "now": 2.0, "z": 0.5}
    ]


def test_what_an_algorithm_does_not_measure_is_not_written() -> None:
    """Three of the figures belong to K-Means alone; a snapshot without a parent has no drift, and says so."""
    data = SnapshotMetrics(silhouette=0.5).to_json()
    assert not {"simplified_silhouette", "davies_bouldin", "calinski_harabasz"} & set(data)
    assert (data["silhouette"], data["drift"], data["approval"]) == (0.5, None, [])


def test_what_the_first_version_wrote_is_read() -> None:
    """It had fewer figures, and no reasons to wait."""
    data = {
        "inertia": 9.0, "silhouette": 0.5, "simplified_silhouette": 0.6, "davies_bouldin": 0.7,
        "calinski_harabasz": 80.0, "reason": "K = 3", "won_by": "k-means++ 4", "n_shared": 10, "n_moved": 2,
        "evidence": "labels",
    }  # fmt: skip
    found = SnapshotMetrics.from_json(data)
    assert (found.silhouette, found.inertia, found.n_shared, found.n_moved) == (0.5, 9.0, 10, 2)
    assert (found.features, found.distributions, found.transitions, found.drift) == ((), {}, (), None)
    assert found.reasons_to_wait == ()


def test_a_figure_of_another_version_is_ignored() -> None:
    """A database that a newer version wrote can still be read."""
    assert SnapshotMetrics.from_json({"silhouette": 0.5, "another": 1}) == SnapshotMetrics(silhouette=0.5)
