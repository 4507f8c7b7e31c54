"""The values of a category are counted by segment, in any parts."""

from __future__ import annotations

import functools
import json
import pickle
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segmentation_pipeline.analysis.profiles.categories import CategoryCounts, count_categories

N_SEGMENTS = 3
# few customers and many nulls, so that equal shares come up all the time
CHANNELS = st.lists(st.sampled_from(["web", "app", "shop", "fax", None]), min_size=1, max_size=40)
TYPES: dict[str, Any] = {
    "text": lambda values: pd.Series(values, dtype="str"),
    "object": lambda values: pd.Series(values, dtype=object),
    "categorical": lambda values: pd.Series(pd.Categorical(values, categories=["shop", "web", "fax", "app"])),
    "truth": lambda values: pd.Series([value == "web" for value in values], dtype=bool),
    "truth or null": lambda values: pd.Series(
        [None if value is None else value == "web" for value in values], dtype=object
    ),
    "number": lambda values: pd.Series([None if value is None else float(len(value)) for value in values]),
}


def _segments(n: int) -> Any:
    return np.random.default_rng(n).integers(0, N_SEGMENTS, n).astype(np.int32)


@pytest.mark.parametrize("kind", TYPES)
@given(channels=CHANNELS, cuts=st.sets(st.integers(1, 39), max_size=6), left_first=st.booleans())
@settings(deadline=None, max_examples=50)
def test_any_cut_has_the_same_shares_in_the_same_order(
    kind: str, channels: list[str | None], cuts: set[int], *, left_first: bool
) -> None:
    """Counts of parts, which went through another process, become the figures of the whole column, to the byte."""
    values, segments = TYPES[kind](channels), _segments(len(channels))
    edges = [0, *sorted(cut for cut in cuts if cut < len(values)), len(values)]
    parts = [
        pickle.loads(
            pickle.dumps(count_categories(values.iloc[start:stop], segments[start:stop], n_segments=N_SEGMENTS))
        )
        for start, stop in pairwise(edges)
    ]

    if left_first:
        merged = functools.reduce(CategoryCounts.merge, parts)
    else:  # the last two parts first
        merged = functools.reduce(lambda following, part: part.merge(following), reversed(parts))

    whole = count_categories(values, segments, n_segments=N_SEGMENTS)
    # with the order of the keys
    assert json.dumps(merged.finish()) == json.dumps(whole.finish())


def test_equal_shares_are_in_the_order_of_the_rows_and_nulls_come_last() -> None:
    """Three values with equal shares: first come first, but a null is never before a text."""
    values = pd.Series([None, "web", "app"], dtype="str")

    figures = count_categories(values, np.zeros(3, dtype=np.int32), n_segments=1).finish()

    assert list(figures[0]["shares"]) == ["web", "app", "(missing)"]
