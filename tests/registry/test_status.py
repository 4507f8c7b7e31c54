"""The object of `segmentation status --json`."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from segmentation_pipeline.storage.registry.status import read_events, read_segments, read_status

if TYPE_CHECKING:
    from support.books import Books


def _status(books: Books, name: str = "shop") -> dict:
    with books.engine.begin() as connection:
        return json.loads(json.dumps(read_status(connection, name)))


def test_a_segmentation_that_never_ran_has_an_empty_status(books: Books) -> None:
    """No snapshot, no segment, no pointer; not an error."""
    nothing = {"current_snapshot_id": None, "snapshots": [], "segments": []}
    assert _status(books) == {"segmentation": "shop", **nothing}
    assert _status(books, "unknown") == {"segmentation": "unknown", **nothing}


def test_snapshots_are_in_order_of_partition_and_version(books: Books) -> None:
    """Whatever the order they were made in, snapshots are listed by (partition, version) with the contract's fields."""
    march = books.align(3, status="published", silhouette=None)
    first = books.align(1, status="rejected")
    second = books.align(1, status="published")
    found = _status(books)["snapshots"]
    assert [
        (snapshot["snapshot_id"], snapshot["partition"], snapshot["version"], snapshot["status"]) for snapshot in found
    ] == [
        (first, "2024-01-01", 1, "rejected"),
        (second, "2024-01-01", 2, "published"),
        (march, "2024-03-01", 1, "published"),
    ]
    assert list(found[0]) == [
        "snapshot_id", "partition", "as_of", "version", "status", "k", "n_rows", "silhouette", "parent_snapshot_id",
        "created_at",
    ]  # fmt: skip
    assert (found[0]["silhouette"], found[2]["silhouette"]) == (0.5, None)
    assert found[0]["as_of"].startswith("2024-02-01T00:00:00")
    assert found[0]["n_rows"] == 10


def test_segments_are_those_ever_published_and_sizes_are_today_s(books: Books) -> None:
    """A retired segment stays listed with size 0; one that was only ever in a rejected snapshot is not listed."""
    books.publish(books.align(1, (1, 2, 3)), {1: 1})
    books.publish(books.align(2, (1, 2)), {1: 1})
    books.align(3, (1, 9), status="rejected")
    assert _status(books)["segments"] == [
        {"segment_id": 1, "name": "segment 1", "share": 0.5, "n_customers": 4, "live": True},
        {"segment_id": 2, "name": "segment 2", "share": 0.5, "n_customers": 4, "live": True},
        {"segment_id": 3, "name": "segment 3", "share": 0.0, "n_customers": 0, "live": False},
    ]


def test_segments_of_a_replaced_version_stay_listed(books: Books) -> None:
    """A superseded version's segments were published once, so they are still known."""
    books.publish(books.align(1, (1, 2)), {1: 1})
    books.publish(books.align(1, (1, 3)), {1: 1})
    found = _status(books)
    assert [(segment["segment_id"], segment["live"]) for segment in found["segments"]] == [
        (1, True),
        (2, False),
        (3, True),
    ]
    assert [snapshot["status"] for snapshot in found["snapshots"]] == ["superseded", "published"]


def test_segmentations_do_not_see_each_other(books: Books) -> None:
    """Another segmentation in the same database has its own ids and snapshots."""
    books.publish(books.align(1, (1, 2)), {1: 1})
    other = type(books)(books.engine, name="other")
    other.register()
    other.align(1, (1,), status="published")
    assert [segment["segment_id"] for segment in _status(books)["segments"]] == [1, 2]
    assert [(segment["segment_id"], segment["live"]) for segment in _status(books, "other")["segments"]] == [(1, False)]


def test_prototypes_of_one_segment_are_summed(books: Books) -> None:
    """A segment with several prototypes is one line with the sum of their customers and shares."""
    snapshot_id = books.align(1, (1, 2))
    books.execute("INSERT INTO segmentation.centroid SELECT snapshot_id, segment_id, 1, 6, 0.25, radius, center, profile "
                  "FROM segmentation.centroid WHERE segment_id = 2")  # fmt: skip
    with books.engine.begin() as connection:
        found = read_segments(connection, snapshot_id)
        events = read_events(connection, snapshot_id)
    assert [(segment["segment_id"], segment["n_customers"]) for segment in found] == [(1, 4), (2, 10)]
    assert found[1]["share"] == pytest.approx(0.75)
    assert [(event.segment_id, event.event) for event in events] == [(1, "born"), (2, "born")]


def test_the_books_are_read_without_numpy() -> None:
    """Numbers and lists of snapshots need no arrays: a process that reads them does not load what fits need."""
    code = "import sys, segmentation_pipeline.storage.registry.status; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
