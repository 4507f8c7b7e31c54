"""What happened to the segments: kept, born, returned, retired, split and merged."""

import numpy as np
from support.alignments import align_rows, align_with_parent, collect_events, make_customers, make_witness

from segmentation_pipeline.model import UNASSIGNED


def test_a_segment_without_a_cluster_retires() -> None:
    """A segment whose customers are gone is retired, and not merged."""
    clusters, labels = make_customers({(0, 1): 50, (1, 2): 50})

    alignment = align_rows(clusters, [make_witness(labels, ids=(1, 2, 3), sizes={1: 50, 2: 50, 3: 30})])

    assert collect_events(alignment) == {(1, "kept", None), (2, "kept", None), (3, "retired", None)}


def test_a_retired_segment_returns_under_its_id() -> None:
    """A seasonal segment that the parent does not know comes back through the snapshot it was last seen in."""
    clusters, labels = make_customers({(0, 1): 50, (1, 2): 50, (2, 2): 5, (2, UNASSIGNED): 40})
    last_year = np.where(clusters == 2, 6, np.where(clusters == 0, 1, 2))

    alignment = align_rows(
        clusters, [make_witness(labels), make_witness(last_year, "retired", ids=(6,))], next_segment_id=9
    )

    assert alignment.segment_of == {0: 1, 1: 2, 2: 6}
    assert alignment.matches[2].through == "retired"
    assert (6, "returned", None) in collect_events(alignment)
    assert alignment.next_segment_id == 9


def test_the_largest_part_of_a_split_keeps_the_id() -> None:
    """Of a segment cut in two, the larger part is the segment and the other is born from it."""
    alignment = align_with_parent({(0, 1): 40, (1, 1): 60, (2, 2): 50})

    assert alignment.segment_of == {0: 100, 1: 1, 2: 2}
    assert collect_events(alignment) == {
        (1, "kept", None), (2, "kept", None), (100, "born", None), (100, "split_from", 1),
    }  # fmt: skip
    split = next(event for event in alignment.events if event.event == "split_from")
    assert split.evidence == 0.4


def test_newcomers_near_a_segment_are_no_split() -> None:
    """A cluster of new people that an old model puts into a segment is born, not split from it."""
    clusters, labels = make_customers({(0, 1): 100, (1, 1): 60, (2, 2): 50})

    alignment = align_rows(clusters, [make_witness(labels, sizes={1: 100, 2: 50})])

    assert alignment.segment_of == {0: 1, 1: 100, 2: 2}
    assert (100, "born", None) in collect_events(alignment)
    assert not [event for event in alignment.events if event.event == "split_from"]


def test_a_merger_keeps_the_larger_id() -> None:
    """Of two segments in one cluster, the larger lives on and the other is merged into it."""
    alignment = align_with_parent({(0, 1): 60, (0, 2): 40, (1, 3): 50})

    assert alignment.segment_of == {0: 1, 1: 3}
    assert collect_events(alignment) == {
        (1, "kept", None), (3, "kept", None), (2, "retired", None), (2, "merged_into", 1),
    }  # fmt: skip
    assert next(event for event in alignment.events if event.event == "merged_into").evidence == 1.0


def test_a_segment_that_scatters_is_merged_into_nothing() -> None:
    """A retired segment whose customers went everywhere, never more than half to one place, has not merged."""
    alignment = align_with_parent({(0, 1): 100, (0, 4): 10, (1, 2): 100, (1, 4): 10, (2, 3): 100, (2, 4): 10})

    assert (4, "retired", None) in collect_events(alignment)
    assert not [event for event in alignment.events if event.event == "merged_into"]


def test_customers_who_stay_away_have_not_merged() -> None:
    """A few customers of a season who are left in another segment are not a merger: most of the segment is gone."""
    clusters, labels = make_customers({(0, 1): 100, (0, 2): 10, (1, 3): 50})

    alignment = align_rows(clusters, [make_witness(labels, sizes={1: 100, 2: 80, 3: 50})])

    assert (2, "retired", None) in collect_events(alignment)
    assert not [event for event in alignment.events if event.event == "merged_into"]


def test_what_the_parent_does_not_know_but_an_older_month_did_has_returned() -> None:
    """A segment found again through a replaced version has returned if an earlier month had published it."""
    clusters, labels = make_customers({(0, 1): 50, (1, UNASSIGNED): 40})
    replaced = np.where(clusters == 1, 6, 1)

    alignment = align_rows(
        clusters,
        [make_witness(labels), make_witness(replaced, "earlier_version", ids=(1, 6))],
        k=2,
        next_segment_id=9,
        seen_before=(1, 6),
    )

    assert collect_events(alignment) == {(1, "kept", None), (6, "returned", None)}


def test_a_replaced_version_may_go_before_the_parent() -> None:
    """The first reference decides first, and the lineage still compares with the parent."""
    clusters, labels = make_customers({(0, 1): 50, (1, 1): 45, (2, 2): 50})
    replaced = np.array([3, 1, 2])[clusters]

    alignment = align_rows(
        clusters, [make_witness(replaced, "earlier_version", ids=(1, 2, 3)), make_witness(labels)], next_segment_id=9
    )

    assert alignment.segment_of == {0: 3, 1: 1, 2: 2}
    assert {(1, "kept", None), (3, "split_from", 1)} <= collect_events(alignment)
