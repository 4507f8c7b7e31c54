"""Clusters become segments: an id stays with its segment, and is never used again for another one."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from support.alignments import Witness, align_rows, align_with_parent, collect_events, make_customers, make_witness

from segmentation_pipeline.analysis.identity.evidence import OVERLAP_FLOOR
from segmentation_pipeline.analysis.identity.matching import apply_alignment
from segmentation_pipeline.model import UNASSIGNED, Alignment


def test_the_first_snapshot_bears_all_its_segments() -> None:
    """Without a reference every cluster is new, numbered from the largest."""
    clusters = np.repeat([0, 1, 2], [5, 20, 10])

    alignment = align_rows(clusters, [], next_segment_id=1)

    assert alignment.segment_of == {1: 1, 2: 2, 0: 3}
    assert alignment.next_segment_id == 4
    assert collect_events(alignment) == {(1, "born", None), (2, "born", None), (3, "born", None)}
    assert {match.through for match in alignment.matches} == {"new"}
    assert alignment.evidence == "a test"


def test_renumbered_clusters_keep_their_segments() -> None:
    """The same customers under other cluster numbers are the same segments, with full overlap."""
    alignment = align_with_parent({(2, 4): 30, (0, 9): 20, (1, 7): 10})

    assert alignment.segment_of == {2: 4, 0: 9, 1: 7}
    assert [match.score for match in alignment.matches] == [1.0, 1.0, 1.0]
    assert collect_events(alignment) == {(4, "kept", None), (9, "kept", None), (7, "kept", None)}
    assert alignment.next_segment_id == 100


def test_customers_who_move_do_not_move_the_names() -> None:
    """Some customers in another segment change the scores, not the ids, and leave no doubt."""
    alignment = align_with_parent({(0, 1): 80, (0, 2): 10, (1, 2): 90, (1, 1): 20})

    assert alignment.segment_of == {0: 1, 1: 2}
    assert [match.score for match in alignment.matches] == pytest.approx([80 / 110, 90 / 120])
    assert [match.confidence for match in alignment.matches] == [1.0, 1.0]


def test_two_equal_heirs_are_an_ambiguous_match() -> None:
    """Either half of a segment cut in two could be the heir: the match has no confidence and names its rival."""
    alignment = align_with_parent({(0, 1): 50, (1, 1): 50, (2, 2): 80})

    heir = next(match for match in alignment.matches if match.segment_id == 1)
    assert heir.confidence == 0.0
    assert heir.rival_cluster == 1 - heir.cluster
    assert heir.rival_segment_id is None
    assert alignment.matches[2].confidence == 1.0


def test_a_merger_of_equals_is_an_ambiguous_match() -> None:
    """A cluster that could be either of two segments names the one that it was not given."""
    alignment = align_with_parent({(0, 1): 50, (0, 2): 48, (1, 3): 80})

    merged = alignment.matches[0]
    assert (merged.segment_id, merged.rival_segment_id) == (1, 2)
    assert merged.confidence == pytest.approx(1 - 48 / 50)


def test_a_cluster_of_strangers_is_born() -> None:
    """A cluster whose overlap is below the floor gets the next fresh id."""
    clusters, labels = make_customers({(0, 1): 50, (1, 2): 50, (2, UNASSIGNED): 40})

    alignment = align_rows(clusters, [make_witness(labels)], next_segment_id=8)

    assert alignment.segment_of == {0: 1, 1: 2, 2: 8}
    assert (8, "born", None) in collect_events(alignment)
    assert alignment.next_segment_id == 9


@pytest.mark.parametrize(("shared", "kept"), [(25, True), (24, False)])
def test_the_floor_keeps_strangers_apart(shared: int, kept: bool) -> None:
    """An overlap at the floor is the same segment, one below it is not."""
    # cluster 0 holds `shared` of the 100 customers of segment 1 and nobody else; the others are with segment 2
    alignment = align_with_parent({(0, 1): shared, (1, 1): 100 - shared, (1, 2): 500})

    assert OVERLAP_FLOOR == 0.25
    assert (alignment.segment_of[0] == 1) is kept
    assert alignment.segment_of[1] == 2


def test_a_retired_reference_passes_on_only_the_retired() -> None:
    """An old snapshot has no say on segments that are alive: these are matched through the parent alone."""
    clusters, labels = make_customers({(0, UNASSIGNED): 50, (1, 2): 50})
    old = np.where(clusters == 0, 2, 6)

    alignment = align_rows(clusters, [make_witness(labels), make_witness(old, "retired", ids=(6,))], next_segment_id=9)

    assert alignment.segment_of == {0: 9, 1: 2}


def test_a_faint_trace_of_another_segment_does_not_cost_the_heir_its_id() -> None:
    """Overlaps below the floor match nothing, so they must not tip the choice between two heirs either."""
    # segment 1 is cut into clusters 0 (the larger) and 1; segment 2 dissolves, a few of it into cluster 0
    alignment = align_with_parent({(0, 1): 45, (0, 2): 8, (1, 1): 40, (2, 2): 12, (2, 3): 200})

    assert alignment.segment_of == {0: 1, 1: 100, 2: 3}


def test_a_rerun_reuses_the_ids_of_the_version_it_replaces() -> None:
    """What the replaced version bore keeps its id, and the lineage still calls it born."""
    clusters, labels = make_customers({(0, 1): 50, (1, UNASSIGNED): 40})
    earlier = np.where(clusters == 1, 7, 1)

    alignment = align_rows(
        clusters, [make_witness(labels), make_witness(earlier, "earlier_version", ids=(1, 7))], next_segment_id=8
    )

    assert alignment.segment_of == {0: 1, 1: 7}
    assert alignment.matches[1].through == "earlier_version"
    assert (7, "born", None) in collect_events(alignment)
    assert alignment.next_segment_id == 8


def test_a_late_month_takes_the_ids_of_the_next_one() -> None:
    """What the parent does not know is matched with the next later snapshot before an id is minted."""
    clusters, labels = make_customers({(0, 1): 50, (1, UNASSIGNED): 40})
    later = np.where(clusters == 1, 5, 1)

    alignment = align_rows(
        clusters, [make_witness(labels), make_witness(later, "later_snapshot", ids=(1, 5))], next_segment_id=8
    )

    assert alignment.segment_of == {0: 1, 1: 5}
    assert alignment.matches[1].through == "later_snapshot"


def test_the_parent_goes_before_all_others() -> None:
    """Where two references know a cluster, the first one decides."""
    clusters, labels = make_customers({(0, 1): 50, (1, 2): 50})

    alignment = align_rows(clusters, [make_witness(labels), make_witness(3 - labels, "earlier_version")])

    assert alignment.segment_of == {0: 1, 1: 2}


def test_unassigned_customers_have_no_say() -> None:
    """Outliers of today and customers unknown to the reference do not count in the overlap."""
    clusters, labels = make_customers({(0, 1): 30, (-1, 1): 90, (0, UNASSIGNED): 90, (1, 2): 30})

    alignment = align_rows(clusters, [make_witness(labels)], k=2)

    assert alignment.segment_of == {0: 1, 1: 2}
    assert alignment.matches[0].score == 1.0


def test_one_cluster_is_one_segment() -> None:
    """A fit with a single cluster is aligned like any other."""
    alignment = align_with_parent({(0, 3): 10, (0, 4): 2})

    assert alignment.segment_of == {0: 3}


def test_the_clusters_of_rows_become_segments() -> None:
    """Each row gets its cluster's segment; the unassigned stay so."""
    alignment = align_with_parent({(0, 7): 10, (1, 4): 5})

    assert apply_alignment(np.array([1, -1, 0]), alignment).tolist() == [4, UNASSIGNED, 7]


def test_the_place_speaks_of_the_clusters_by_their_own_numbers() -> None:
    """The likeness of cluster 2 is that of cluster 2, whatever the order of sizes in which clusters are matched."""
    clusters, labels = make_customers({(0, 4): 10, (1, 7): 20, (2, 9): 30})
    likeness = np.array([[0.9, 0.0, 0.0], [0.0, 0.8, 0.0], [0.0, 0.0, 0.01]])

    alignment = align_rows(clusters, [replace(make_witness(labels), likeness=likeness)])

    # the third lies elsewhere, and no history confirms it
    assert alignment.segment_of == {0: 4, 1: 7, 2: 100}


def test_references_are_not_drawn_once_all_is_known() -> None:
    """Reading old snapshots costs time: behind the parent they are drawn only while a cluster has no segment."""
    clusters, labels = make_customers({(0, 1): 50, (1, 2): 50})
    asked = []

    def references() -> Iterator[Witness]:
        for reference in (
            make_witness(labels),
            make_witness(labels, "later_snapshot"),
            make_witness(labels, "retired"),
        ):
            asked.append(reference.through)
            yield reference

    align_rows(clusters, references())

    assert asked == ["parent", "later_snapshot"]


def test_an_alignment_can_be_written_down() -> None:
    """An alignment as plain values names each match and each event."""
    data = align_with_parent({(0, 1): 40, (1, 1): 60}).to_json()

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
    references = [make_witness(parent, ids=tuple(range(1, 7))), make_witness(other, through, ids=ids)]
    return align_rows(clusters, references, next_segment_id=10, k=k)


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
    assert collect_events(one) == collect_events(two)
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
