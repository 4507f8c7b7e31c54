"""New segments get a name of their own; the child of a split is named after its origin."""

from segmentation_pipeline.analysis.identity.naming import name_new_segments
from segmentation_pipeline.analysis.profiles.profile import SegmentProfile
from segmentation_pipeline.model import Alignment, LineageEvent, Match


def _profile(name: str, **z: float) -> SegmentProfile:
    return SegmentProfile(100, 0.5, 1.0, {column: {"z": value} for column, value in z.items()}, name)


def _alignment(*matches: Match, events: tuple[LineageEvent, ...] = ()) -> Alignment:
    return Alignment(matches, events, 9, "a test")


def test_only_fresh_ids_get_a_name() -> None:
    """A known segment keeps its name; the new one is named by its largest differences."""
    alignment = _alignment(Match(0, 1, 0.9, "parent"), Match(1, 2, 0.0, "new"))

    made = name_new_segments(alignment, {1: _profile("low spend"), 2: _profile("high spend")}, {1: "Misers"})

    assert [(segment.segment_id, segment.name, segment.name_source) for segment in made] == [
        (2, "high spend", "automatic")
    ]


def test_a_child_is_named_after_its_origin_and_what_tells_them_apart() -> None:
    """A part of "Big spenders" that orders more often is "Big spenders: higher orders per month"."""
    alignment = _alignment(
        Match(0, 1, 0.6, "parent"), Match(1, 2, 0.0, "new"), events=(LineageEvent(2, "split_from", 1, 0.4),)
    )
    profiles = {
        1: _profile("high spend", spend=1.2, orders_per_month=0.1),
        2: _profile("high spend", spend=1.3, orders_per_month=1.4),
    }

    (child,) = name_new_segments(alignment, profiles, {1: "Big spenders"})

    assert child.name == "Big spenders: higher orders per month"


def test_the_child_of_a_retired_segment_is_named_by_itself_too() -> None:
    """Where nothing is left of the origin to compare with, the child is named by its own features."""
    alignment = _alignment(Match(0, 2, 0.0, "new"), events=(LineageEvent(2, "split_from", 1, 0.4),))

    (child,) = name_new_segments(alignment, {2: _profile("high spend", spend=1.0)}, {1: "Big spenders"})

    assert child.name == "Big spenders: high spend"


def test_no_two_segments_have_one_name() -> None:
    """A name that is taken gets the id added."""
    alignment = _alignment(Match(0, 4, 0.0, "new"), Match(1, 5, 0.0, "new"))

    made = name_new_segments(alignment, {4: _profile("average customers"), 5: _profile("average customers")}, {})

    assert [segment.name for segment in made] == ["average customers", "average customers (5)"]
