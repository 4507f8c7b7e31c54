"""Clusters become segments: ids are kept, born, retired, returned, split and merged, and never reused."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from segmentation_pipeline.analysis.identity.evidence import OVERLAP_FLOOR, Reference
from segmentation_pipeline.analysis.identity.matching import align, apply_alignment
from segmentation_pipeline.analysis.identity.overlap import count_clusters, count_overlap
from segmentation_pipeline.model import UNASSIGNED, Alignment

Pairs = Mapping[tuple[int, int], int]


def _customers(pairs: Pairs) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Today's cluster and the reference's segment of each customer, from counts by (cluster, segment)."""
    clusters = [cluster for (cluster, _), count in pairs.items() for _ in range(count)]
    labels = [segment for (_, segment), count in pairs.items() for _ in range(count)]
    return np.array(clusters, dtype=np.int64), np.array(labels, dtype=np.int64)


@dataclass(frozen=True)
class Witness:
    """A reference before its customers are counted: the segment of each of today's rows by its model."""

    labels: NDArray[np.int64]
    through: Any
    ids: tuple[int, ...]
    sizes: Mapping[int, int] = field(default_factory=dict)
    likeness: NDArray[np.float64] | None = None

    def count(self, clusters: NDArray[np.int64], k: int) -> Reference:
        """The reference, with the overlap of clusters and labels."""
        everyone = tuple({*self.ids, *self.sizes})
        overlap = count_overlap(clusters, self.labels, everyone, k=k)
        return Reference(self.through, self.ids, self.sizes, by_model=overlap, likeness=self.likeness)


def _reference(labels: NDArray[np.int64], through: Any = "parent", ids: Sequence[int] = (), **given: Any) -> Witness:
    known = ids or tuple(int(segment) for segment in np.unique(labels[labels != UNASSIGNED]))
    return Witness(labels, through, tuple(known), **given)


def _align(
    clusters: NDArray[np.int64],
    witnesses: Iterable[Witness],
    *,
    next_segment_id: int = 100,
    k: int | None = None,
    seen_before: Sequence[int] = (),
) -> Alignment:
    n_clusters = int(clusters.max()) + 1 if k is None else k
    return align(
        count_clusters(clusters, k=n_clusters),
        references=(witness.count(clusters, n_clusters) for witness in witnesses),
        next_segment_id=next_segment_id,
        evidence="a test",
        seen_before=seen_before,
    )


def _with_parent(pairs: Pairs, **reference: Any) -> Alignment:
    clusters, labels = _customers(pairs)
    return _align(clusters, [_reference(labels, **reference)])


def _events(alignment: Alignment) -> set[tuple[int, str, int | None]]:
    return {(event.segment_id, event.event, event.other_segment_id) for event in alignment.events}


def test_the_first_snapshot_bears_all_its_segments() -> None:
    """Without a reference every cluster is new, numbered from the largest."""
    clusters = np.repeat([0, 1, 2], [5, 20, 10])

    alignment = _align(clusters, [], next_segment_id=1)

    assert alignment.segment_of == {1: 1, 2: 2, 0: 3}
    assert alignment.next_segment_id == 4
    assert _events(alignment) == {(1, "born", None), (2, "born", None), (3, "born", None)}
    assert {match.through for match in alignment.matches} == {"new"}
    assert alignment.evidence == "a test"


def test_renumbered_clusters_keep_their_segments() -> None:
    """The same customers under other cluster numbers are the same segments, with full overlap."""
    alignment = _with_parent({(2, 4): 30, (0, 9): 20, (1, 7): 10})

    assert alignment.segment_of == {2: 4, 0: 9, 1: 7}
    assert [match.score for match in alignment.matches] == [1.0, 1.0, 1.0]
    assert _events(alignment) == {(4, "kept", None), (9, "kept", None), (7, "kept", None)}
    assert alignment.next_segment_id == 100


def test_customers_who_move_do_not_move_the_names() -> None:
    """Some customers in another segment change the scores, not the ids, and leave no doubt."""
    alignment = _with_parent({(0, 1): 80, (0, 2): 10, (1, 2): 90, (1, 1): 20})

    assert alignment.segment_of == {0: 1, 1: 2}
    assert [match.score for match in alignment.matches] == pytest.approx([80 / 110, 90 / 120])
    assert [match.confidence for match in alignment.matches] == [1.0, 1.0]


def test_two_equal_heirs_are_an_ambiguous_match() -> None:
    """Either half of a segment cut in two could be the heir: the match has no confidence and names its rival."""
    alignment = _with_parent({(0, 1): 50, (1, 1): 50, (2, 2): 80})

    heir = next(match for match in alignment.matches if match.segment_id == 1)
    assert heir.confidence == 0.0
    assert heir.rival_cluster == 1 - heir.cluster
    assert heir.rival_segment_id is None
    assert alignment.matches[2].confidence == 1.0


def test_a_merger_of_equals_is_an_ambiguous_match() -> None:
    """A cluster that could be either of two segments names the one that it was not given."""
    alignment = _with_parent({(0, 1): 50, (0, 2): 48, (1, 3): 80})

    merged = alignment.matches[0]
    assert (merged.segment_id, merged.rival_segment_id) == (1, 2)
    assert merged.confidence == pytest.approx(1 - 48 / 50)


def test_a_cluster_of_strangers_is_born() -> None:
    """A cluster whose overlap is below the floor gets the next fresh id."""
    clusters, labels = _customers({(0, 1): 50, (1, 2): 50, (2, UNASSIGNED): 40})

    alignment = _align(clusters, [_reference(labels)], next_segment_id=8)

    assert alignment.segment_of == {0: 1, 1: 2, 2: 8}
    assert (8, "born", None) in _events(alignment)
    assert alignment.next_segment_id == 9


@pytest.mark.parametrize(("shared", "kept"), [(25, True), (24, False)])
def test_the_floor_keeps_strangers_apart(shared: int, kept: bool) -> None:
    """An overlap at the floor is the same segment, one below it is not."""
    # cluster 0 holds `shared` of the 100 customers of segment 1 and nobody else; the others are with segment 2
    alignment = _with_parent({(0, 1): shared, (1, 1): 100 - shared, (1, 2): 500})

    assert OVERLAP_FLOOR == 0.25
    assert (alignment.segment_of[0] == 1) is kept
    assert alignment.segment_of[1] == 2


def test_a_segment_without_a_cluster_retires() -> None:
    """A segment whose customers are gone is retired, and not merged."""
    clusters, labels = _customers({(0, 1): 50, (1, 2): 50})

    alignment = _align(clusters, [_reference(labels, ids=(1, 2, 3), sizes={1: 50, 2: 50, 3: 30})])

    assert _events(alignment) == {(1, "kept", None), (2, "kept", None), (3, "retired", None)}


def test_a_retired_segment_returns_under_its_id() -> None:
    """A seasonal segment that the parent does not know comes back through the snapshot it was last seen in."""
    clusters, labels = _customers({(0, 1): 50, (1, 2): 50, (2, 2): 5, (2, UNASSIGNED): 40})
    last_year = np.where(clusters == 2, 6, np.where(clusters == 0, 1, 2))

    alignment = _align(clusters, [_reference(labels), _reference(last_year, "retired", ids=(6,))], next_segment_id=9)

    assert alignment.segment_of == {0: 1, 1: 2, 2: 6}
    assert alignment.matches[2].through == "retired"
    assert (6, "returned", None) in _events(alignment)
    assert alignment.next_segment_id == 9


def test_a_retired_reference_passes_on_only_the_retired() -> None:
    """An old snapshot has no say on segments that are alive: these are matched through the parent alone."""
    clusters, labels = _customers({(0, UNASSIGNED): 50, (1, 2): 50})
    old = np.where(clusters == 0, 2, 6)

    alignment = _align(clusters, [_reference(labels), _reference(old, "retired", ids=(6,))], next_segment_id=9)

    assert alignment.segment_of == {0: 9, 1: 2}


def test_the_largest_part_of_a_split_keeps_the_id() -> None:
    """Of a segment cut in two, the larger part is the segment and the other is born from it."""
    alignment = _with_parent({(0, 1): 40, (1, 1): 60, (2, 2): 50})

    assert alignment.segment_of == {0: 100, 1: 1, 2: 2}
    assert _events(alignment) == {
        (1, "kept", None), (2, "kept", None), (100, "born", None), (100, "split_from", 1),
    }  # fmt: skip
    split = next(event for event in alignment.events if event.event == "split_from")
    assert split.evidence == 0.4


def test_a_faint_trace_of_another_segment_does_not_cost_the_heir_its_id() -> None:
    """Overlaps below the floor match nothing, so they must not tip the choice between two heirs either."""
    # segment 1 is cut into clusters 0 (the larger) and 1; segment 2 dissolves, a few of it into cluster 0
    alignment = _with_parent({(0, 1): 45, (0, 2): 8, (1, 1): 40, (2, 2): 12, (2, 3): 200})

    assert alignment.segment_of == {0: 1, 1: 100, 2: 3}


def test_newcomers_near_a_segment_are_no_split() -> None:
    """A cluster of new people that an old model puts into a segment is born, not split from it."""
    clusters, labels = _customers({(0, 1): 100, (1, 1): 60, (2, 2): 50})

    alignment = _align(clusters, [_reference(labels, sizes={1: 100, 2: 50})])

    assert alignment.segment_of == {0: 1, 1: 100, 2: 2}
    assert (100, "born", None) in _events(alignment)
    assert not [event for event in alignment.events if event.event == "split_from"]


def test_a_merger_keeps_the_larger_id() -> None:
    """Of two segments in one cluster, the larger lives on and the other is merged into it."""
    alignment = _with_parent({(0, 1): 60, (0, 2): 40, (1, 3): 50})

    assert alignment.segment_of == {0: 1, 1: 3}
    assert _events(alignment) == {
        (1, "kept", None), (3, "kept", None), (2, "retired", None), (2, "merged_into", 1),
    }  # fmt: skip
    assert next(event for event in alignment.events if event.event == "merged_into").evidence == 1.0


def test_a_segment_that_scatters_is_merged_into_nothing() -> None:
    """A retired segment whose customers went everywhere, never more than half to one place, has not merged."""
    alignment = _with_parent({(0, 1): 100, (0, 4): 10, (1, 2): 100, (1, 4): 10, (2, 3): 100, (2, 4): 10})

    assert (4, "retired", None) in _events(alignment)
    assert not [event for event in alignment.events if event.event == "merged_into"]


def test_customers_who_stay_away_have_not_merged() -> None:
    """A few customers of a season who are left in another segment are not a merger: most of the segment is gone."""
    clusters, labels = _customers({(0, 1): 100, (0, 2): 10, (1, 3): 50})

    alignment = _align(clusters, [_reference(labels, sizes={1: 100, 2: 80, 3: 50})])

    assert (2, "retired", None) in _events(alignment)
    assert not [event for event in alignment.events if event.event == "merged_into"]


def test_a_rerun_reuses_the_ids_of_the_version_it_replaces() -> None:
    """What the replaced version bore keeps its id, and the lineage still calls it born."""
    clusters, labels = _customers({(0, 1): 50, (1, UNASSIGNED): 40})
    earlier = np.where(clusters == 1, 7, 1)

    alignment = _align(
        clusters, [_reference(labels), _reference(earlier, "earlier_version", ids=(1, 7))], next_segment_id=8
    )

    assert alignment.segment_of == {0: 1, 1: 7}
    assert alignment.matches[1].through == "earlier_version"
    assert (7, "born", None) in _events(alignment)
    assert alignment.next_segment_id == 8


def test_a_late_month_takes_the_ids_of_the_next_one() -> None:
    """What the parent does not know is matched with the next later snapshot before an id is minted."""
    clusters, labels = _customers({(0, 1): 50, (1, UNASSIGNED): 40})
    later = np.where(clusters == 1, 5, 1)

    alignment = _align(
        clusters, [_reference(labels), _reference(later, "later_snapshot", ids=(1, 5))], next_segment_id=8
    )

    assert alignment.segment_of == {0: 1, 1: 5}
    assert alignment.matches[1].through == "later_snapshot"


def test_the_parent_goes_before_all_others() -> None:
    """Where two references know a cluster, the first one decides."""
    clusters, labels = _customers({(0, 1): 50, (1, 2): 50})

    alignment = _align(clusters, [_reference(labels), _reference(3 - labels, "earlier_version")])

    assert alignment.segment_of == {0: 1, 1: 2}


def test_unassigned_customers_have_no_say() -> None:
    """Outliers of today and customers unknown to the reference do not count in the overlap."""
    clusters, labels = _customers({(0, 1): 30, (-1, 1): 90, (0, UNASSIGNED): 90, (1, 2): 30})

    alignment = _align(clusters, [_reference(labels)], k=2)

    assert alignment.segment_of == {0: 1, 1: 2}
    assert alignment.matches[0].score == 1.0


def test_one_cluster_is_one_segment() -> None:
    """A fit with a single cluster is aligned like any other."""
    alignment = _with_parent({(0, 3): 10, (0, 4): 2})

    assert alignment.segment_of == {0: 3}


def test_the_clusters_of_rows_become_segments() -> None:
    """Each row gets its cluster's segment; the unassigned stay so."""
    alignment = _with_parent({(0, 7): 10, (1, 4): 5})

    assert apply_alignment(np.array([1, -1, 0]), alignment).tolist() == [4, UNASSIGNED, 7]


def test_what_the_parent_does_not_know_but_an_older_month_did_has_returned() -> None:
    """A segment found again through a replaced version has returned if an earlier month had published it."""
    clusters, labels = _customers({(0, 1): 50, (1, UNASSIGNED): 40})
    replaced = np.where(clusters == 1, 6, 1)

    alignment = _align(
        clusters,
        [_reference(labels), _reference(replaced, "earlier_version", ids=(1, 6))],
        k=2,
        next_segment_id=9,
        seen_before=(1, 6),
    )

    assert _events(alignment) == {(1, "kept", None), (6, "returned", None)}


def test_a_replaced_version_may_go_before_the_parent() -> None:
    """The first reference decides first, and the lineage still compares with the parent."""
    clusters, labels = _customers({(0, 1): 50, (1, 1): 45, (2, 2): 50})
    replaced = np.array([3, 1, 2])[clusters]

    alignment = _align(
        clusters, [_reference(replaced, "earlier_version", ids=(1, 2, 3)), _reference(labels)], next_segment_id=9
    )

    assert alignment.segment_of == {0: 3, 1: 1, 2: 2}
    assert {(1, "kept", None), (3, "split_from", 1)} <= _events(alignment)


def test_the_place_speaks_of_the_clusters_by_their_own_numbers() -> None:
    """The likeness of cluster 2 is that of cluster 2, whatever the order of sizes in which clusters are matched."""
    clusters, labels = _customers({(0, 4): 10, (1, 7): 20, (2, 9): 30})
    likeness = np.array([[0.9, 0.0, 0.0], [0.0, 0.8, 0.0], [0.0, 0.0, 0.01]])

    alignment = _align(clusters, [replace(_reference(labels), likeness=likeness)])

    # the third lies elsewhere, and no history confirms it
    assert alignment.segment_of == {0: 4, 1: 7, 2: 100}


def test_references_are_not_drawn_once_all_is_known() -> None:
    """Reading old snapshots costs time: behind the parent they are drawn only while a cluster has no segment."""
    clusters, labels = _customers({(0, 1): 50, (1, 2): 50})
    asked = []

    def references() -> Iterator[Witness]:
        for reference in (_reference(labels), _reference(labels, "later_snapshot"), _reference(labels, "retired")):
            asked.append(reference.through)
            yield reference

    _align(clusters, references())

    assert asked == ["parent", "later_snapshot"]


def test_an_alignment_can_be_written_down() -> None:
    """An alignment as plain values names each match and each event."""
    data = _with_parent({(0, 1): 40, (1, 1): 60}).to_json()

    assert [(match["cluster"], match["segment_id"]) for match in data["matches"]] == [(0, 100), (1, 1)]
    assert {event["event"] for event in data["events"]} == {"kept", "born", "split_from"}
    assert data["next_segment_id"] == 101


# few customers and many clusters, so that equal sizes and equal overlaps come up all the time
TODAY = st.integers(1, 6).flatmap(
    lambda k: st.tuples(
        st.just(k),
        st.lists(st.tuples(st.integers(0, k - 1), st.integers(-1, 5), st.integers(-1, 8)), min_size=k, max_size=40),
        st.permutations(range(k)),
    )
)


def _any_alignment(
    k: int, clusters: NDArray[np.int64], parent: NDArray[np.int64], other: NDArray[np.int64], through: Any
) -> Alignment:
    """Segments 1..6 in the parent, 1..9 in the other reference (a retired one knows 7..9 alone), 10 is fresh."""
    ids = (7, 8, 9) if through == "retired" else tuple(range(1, 10))
    references = [_reference(parent, ids=tuple(range(1, 7))), _reference(other, through, ids=ids)]
    return _align(clusters, references, next_segment_id=10, k=k)


@given(today=TODAY, through=st.sampled_from(["earlier_version", "later_snapshot", "retired"]))
@settings(deadline=None, max_examples=50)
def test_the_numbers_of_the_clusters_never_matter(
    today: tuple[int, list[tuple[int, int, int]], list[int]], through: str
) -> None:
    """However scikit-learn numbers the clusters, every customer gets the same segment and the lineage is the same."""
    k, rows, permutation = today
    clusters, parent, other = np.array(rows, dtype=np.int64).T
    clusters[:k] = range(k)
    parent, other = (np.where(labels < 0, UNASSIGNED, labels + 1) for labels in (parent, other))
    renumbered = np.array(permutation)[clusters]

    one = _any_alignment(k, clusters, parent, other, through)
    two = _any_alignment(k, renumbered, parent, other, through)

    assert [one.segment_of[cluster] for cluster in clusters.tolist()] == [
        two.segment_of[cluster] for cluster in renumbered.tolist()
    ]
    assert _events(one) == _events(two)
    assert one.next_segment_id == two.next_segment_id


@given(today=TODAY, through=st.sampled_from(["earlier_version", "later_snapshot", "retired"]))
@settings(deadline=None, max_examples=50)
def test_an_id_is_one_segments_for_ever(today: tuple[int, list[tuple[int, int, int]], list[int]], through: str) -> None:
    """Each cluster has one id, no two have the same, and a fresh id was never used before."""
    k, rows, _ = today
    clusters, parent, other = np.array(rows, dtype=np.int64).T
    clusters[:k] = range(k)
    parent, other = (np.where(labels < 0, UNASSIGNED, labels + 1) for labels in (parent, other))

    alignment = _any_alignment(k, clusters, parent, other, through)

    segments = [match.segment_id for match in alignment.matches]
    fresh = [match.segment_id for match in alignment.matches if match.through == "new"]
    assert [match.cluster for match in alignment.matches] == list(range(k))
    assert len(set(segments)) == k
    assert sorted(fresh) == list(range(10, 10 + len(fresh)))
    assert alignment.next_segment_id == 10 + len(fresh)
    assert all(match.score >= OVERLAP_FLOOR for match in alignment.matches if match.through != "new")
    beginnings = [event.segment_id for event in alignment.events if event.event in {"kept", "born", "returned"}]
    assert sorted(beginnings) == sorted(segments)
    retired = {event.segment_id for event in alignment.events if event.event == "retired"}
    assert retired == set(range(1, 7)) - set(segments)
    assert all(event.other_segment_id in segments for event in alignment.events if event.event == "merged_into")
