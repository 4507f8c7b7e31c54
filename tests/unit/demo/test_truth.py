"""The measure of how well personas keep their numbers."""

import math

import pandas as pd

from segmentation_pipeline.demo.truth import measure_stability


def _assigned(*rows: tuple[str, str, int, int, int]) -> pd.DataFrame:
    """Rows of (month, persona, segment_id, cluster, how many customers)."""
    frame = pd.DataFrame(rows, columns=["month", "persona", "segment_id", "cluster", "times"])
    return frame.loc[frame.index.repeat(frame["times"])].drop(columns="times").reset_index(drop=True)


def test_kept_segments_and_shuffled_clusters_are_told_apart() -> None:
    """Two personas that keep their segments while the raw indices swap once in two steps."""
    assigned = _assigned(
        ("2025-01", "regulars", 1, 0, 10), ("2025-01", "hunters", 2, 1, 10),
        ("2025-02", "regulars", 1, 1, 10), ("2025-02", "hunters", 2, 0, 10),
        ("2025-03", "regulars", 1, 1, 10), ("2025-03", "hunters", 2, 0, 10),
    )  # fmt: skip

    stability = measure_stability(assigned)

    assert stability.steps == 4
    assert stability.kept_by_segment == 1.0
    assert stability.kept_by_cluster == 0.5


def test_the_home_is_where_most_customers_are() -> None:
    """A minority in another segment changes neither the home nor the count, only the home's share."""
    assigned = _assigned(
        ("2025-01", "regulars", 1, 0, 9), ("2025-01", "regulars", 2, 1, 1),
        ("2025-02", "regulars", 1, 0, 6), ("2025-02", "regulars", 2, 1, 4),
    )  # fmt: skip

    (persona,) = measure_stability(assigned).personas

    assert [home.segment_id for home in persona.homes] == [1, 1]
    assert [home.share for home in persona.homes] == [0.9, 0.6]
    assert persona.same_segment == 1


def test_a_home_that_moves_is_not_kept() -> None:
    """Most of a persona in another segment a month later counts against the segments."""
    assigned = _assigned(("2025-01", "regulars", 1, 0, 5), ("2025-02", "regulars", 2, 0, 5))

    stability = measure_stability(assigned)

    assert (stability.kept_by_segment, stability.kept_by_cluster) == (0.0, 1.0)


def test_coming_back_is_a_return_and_not_a_step() -> None:
    """A seasonal persona makes no step over the months without it; its old segment is noticed on return."""
    assigned = _assigned(
        ("2025-01", "christmas", 3, 2, 5), ("2025-01", "regulars", 1, 0, 5),
        ("2025-02", "regulars", 1, 0, 5),
        ("2025-03", "christmas", 3, 1, 5), ("2025-03", "regulars", 1, 0, 5),
    )  # fmt: skip

    christmas, regulars = measure_stability(assigned).personas

    assert (christmas.steps, christmas.returns, christmas.returned_to_segment) == (0, 1, 1)
    assert (regulars.steps, regulars.returns) == (2, 0)


def test_customers_without_a_segment_do_not_count() -> None:
    """Unassigned customers are left out of the homes."""
    assigned = _assigned(("2025-01", "regulars", 1, 0, 2), ("2025-01", "regulars", 2, 1, 3))
    assigned["segment_id"] = assigned["segment_id"].where(assigned["segment_id"] == 1)

    (persona,) = measure_stability(assigned).personas

    assert [(home.segment_id, home.n_customers) for home in persona.homes] == [(1, 2)]


def test_one_month_has_no_share() -> None:
    """Without a step there is nothing to keep, and the shares are not a number."""
    stability = measure_stability(_assigned(("2025-01", "regulars", 1, 0, 2)))

    assert stability.steps == 0
    assert math.isnan(stability.kept_by_segment)
    assert math.isnan(stability.kept_by_cluster)
