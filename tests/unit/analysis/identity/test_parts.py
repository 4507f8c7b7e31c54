"""Counted in parts: any cut of the rows has the same counts, any grouping of the blocks the same sums to the bit."""

from __future__ import annotations

import functools
import pickle
from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from segmentation_pipeline.analysis.features.encoding import fit_encoding, transform
from segmentation_pipeline.analysis.identity import identify as identify_module
from segmentation_pipeline.analysis.identity import witnesses as witnesses_module
from segmentation_pipeline.analysis.identity.overlap import ClusterSizes, count_clusters
from segmentation_pipeline.analysis.identity.places import SpreadParts, begin_spreads, find_middle
from segmentation_pipeline.analysis.identity.witnesses import (
    EarlierCustomers,
    WitnessCounts,
    consult,
    count_witnesses,
    label_block,
)
from segmentation_pipeline.model import UNASSIGNED, EarlierSnapshot, FittedModel, Snapshot, SnapshotMetrics
from segmentation_pipeline.spec import FeatureSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

N_ROWS, K, IDS = 600, 4, (2, 5, 6)
RNG = np.random.default_rng(8)
CLUSTERS = RNG.integers(-1, K, N_ROWS).astype(np.int32)
LABELS = np.array([UNASSIGNED, *IDS], dtype=np.int32)[RNG.integers(0, 4, N_ROWS)]
HISTORY = np.array([UNASSIGNED, *IDS], dtype=np.int32)[RNG.integers(0, 4, N_ROWS)]
FRAME = pd.DataFrame({"spend": np.exp(RNG.normal(size=N_ROWS)), "visits": RNG.normal(5, 3, N_ROWS)})
FRAME.loc[::37, "spend"] = -2.0  # outside the domain of log1p
FEATURES = [
    FeatureSpec(column="spend", kind="numeric", transform="log1p"),
    FeatureSpec(column="visits", kind="numeric"),
]
# the grid on which the sums of floats are cut
GRID = 50

CUTS = st.sets(st.integers(1, N_ROWS - 1), max_size=12).map(lambda cuts: [0, *sorted(cuts), N_ROWS])


def _places(edges: Sequence[int]) -> list[slice]:
    return [slice(start, stop) for start, stop in pairwise(edges)]


def _send(value: Any) -> Any:
    """The value, as it arrives in another process."""
    return pickle.loads(pickle.dumps(value))


def _plain(value: Any) -> Any:
    """A dataclass of counts as something that can be compared."""
    if value is None or isinstance(value, int | str | tuple):
        return value
    if isinstance(value, np.ndarray):
        return value.tobytes()
    if hasattr(value, "keys"):
        return dict(value)
    return {name: _plain(getattr(value, name)) for name in value.__slots__}


@given(edges=CUTS)
@settings(deadline=None, max_examples=50)
def test_the_sizes_of_clusters_are_the_same_for_any_cut(edges: list[int]) -> None:
    """Sizes and first rows, and so the order of the clusters, do not depend on the cut."""
    parts = [_send(count_clusters(CLUSTERS[place], k=K, start=place.start)) for place in _places(edges)]

    merged = functools.reduce(ClusterSizes.merge, parts, ClusterSizes.empty(K))

    assert _plain(merged) == _plain(count_clusters(CLUSTERS, k=K))


@given(edges=CUTS, with_labels=st.booleans(), with_history=st.booleans(), moves=st.booleans())
@settings(deadline=None, max_examples=50)
def test_the_counts_of_the_witnesses_are_the_same_for_any_cut(
    edges: list[int], *, with_labels: bool, with_history: bool, moves: bool
) -> None:
    """Overlaps and moves of any parts, which went through another process, add up to those of all rows."""
    kernel = _send(functools.partial(count_witnesses, segment_ids=IDS, k=K, moves=moves))

    def count(place: slice) -> WitnessCounts:
        return kernel(
            CLUSTERS[place],
            labels=LABELS[place] if with_labels else None,
            history=HISTORY[place] if with_history else None,
        )

    merged = functools.reduce(WitnessCounts.merge, [_send(count(place)) for place in _places(edges)])

    assert _plain(merged) == _plain(count(slice(0, N_ROWS)))


def _snapshot() -> Snapshot:
    encoding = fit_encoding(FRAME[FRAME["spend"] > 0], FEATURES)
    matrix = transform(FRAME[FRAME["spend"] > 0], encoding).matrix.astype(np.float64)
    model = FittedModel("kmeans", matrix[[3, 100, 300]], IDS)
    return Snapshot(
        snapshot_id=1, segmentation="shop", partition="2024-01-01", as_of=datetime(2024, 2, 1, tzinfo=UTC), version=1,
        status="published", k=3, n_rows=4, n_assigned=4, parent_snapshot_id=None, run_id="run", code_version="1",
        metrics=SnapshotMetrics(), encoding=encoding, model=model, created_at=datetime(2024, 2, 1, tzinfo=UTC),
    )  # fmt: skip


SNAPSHOT = _snapshot()


def _label(place: slice, kernel: Callable[..., Any]) -> Any:
    return kernel(FRAME.iloc[place], CLUSTERS[place], start=place.start)


@given(edges=st.sets(st.integers(1, N_ROWS // GRID - 1)).map(lambda cuts: [0, *sorted(cuts), N_ROWS // GRID]))
@settings(deadline=None, max_examples=50)
def test_the_spreads_are_the_same_to_the_bit_for_any_grouping_of_the_blocks(edges: list[int]) -> None:
    """Blocks that are merged within parts first, and then part by part, add up as one block after the other does."""
    kernel = _send(
        functools.partial(label_block, encoding=SNAPSHOT.encoding, model=SNAPSHOT.model, k=K, with_places=True)
    )
    blocks = [_label(slice(start, start + GRID), kernel) for start in range(0, N_ROWS, GRID)]
    nobody = begin_spreads(k=K, middle=find_middle(SNAPSHOT.model))
    parts = [functools.reduce(SpreadParts.merge, [b.spreads for b in blocks[place]]) for place in _places(edges)]

    merged = functools.reduce(SpreadParts.merge, map(_send, parts), nobody)

    # as plain sums from the first block on, without any parts
    expected = functools.reduce(lambda one, other: one.plus(other), [b.spreads.blocks[0] for b in blocks])
    assert _plain(merged.finish()) == _plain(expected)
    assert len(merged.blocks) == 1


@given(edges=CUTS)
@settings(deadline=None, max_examples=30)
def test_each_rows_label_is_the_same_for_any_cut(edges: list[int]) -> None:
    """The model's label of a row does not depend on the rows around it; rows it cannot take have none."""
    kernel = functools.partial(label_block, encoding=SNAPSHOT.encoding, model=SNAPSHOT.model, k=K, with_places=False)

    labels = np.concatenate([_label(place, kernel).labels for place in _places(edges)])

    assert labels.tolist() == _label(slice(0, N_ROWS), kernel).labels.tolist()
    assert (labels == UNASSIGNED).tolist() == (FRAME["spend"] < 0).tolist()


@pytest.mark.parametrize("size", [1, 7, 100, N_ROWS])
def test_a_reference_has_the_same_counts_in_blocks_of_any_size(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Read in small blocks, a snapshot's opinion has the counts that it has when it is read at once."""
    earlier = EarlierCustomers(EarlierSnapshot("parent", SNAPSHOT, IDS, dict.fromkeys(IDS, 200)), lambda: HISTORY)
    whole = consult(earlier, FRAME, CLUSTERS, k=K)
    sizes = identify_module._count_clusters(CLUSTERS, k=K)
    original = witnesses_module.iter_placed_blocks

    for module in (identify_module, witnesses_module):
        monkeypatch.setattr(module, "BLOCK_ROWS", size)
    monkeypatch.setattr(witnesses_module, "iter_placed_blocks", lambda rows: original(rows, size=size))
    cut = consult(earlier, FRAME, CLUSTERS, k=K)

    for name in ("by_model", "by_history", "moves"):
        assert _plain(getattr(cut, name)) == _plain(getattr(whole, name))
    assert cut.likeness is not None
    assert whole.likeness is not None
    np.testing.assert_allclose(cut.likeness, whole.likeness, rtol=1e-9)
    assert _plain(identify_module._count_clusters(CLUSTERS, k=K)) == _plain(sizes)
