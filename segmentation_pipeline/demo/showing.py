"""What the demo shows: its published months, its segments, and how well their ids follow the true personas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd
import sqlalchemy as sa

from segmentation_pipeline.demo.truth import IdentityStability, measure_stability
from segmentation_pipeline.storage.artifacts.datasets import AlignedSegments
from segmentation_pipeline.storage.registry import assignments, snapshots
from segmentation_pipeline.storage.registry.status import read_events, read_status

if TYPE_CHECKING:
    from segmentation_pipeline.model import Json, LineageEvent, Snapshot
    from segmentation_pipeline.storage.artifacts.store import ArtifactStore


@dataclass(frozen=True, slots=True)
class PublishedMonth:
    """A published month: its snapshot, and what happened to the segments."""

    snapshot: Snapshot
    events: list[LineageEvent]


@dataclass(frozen=True, slots=True)
class DemoResult:
    """The published months in order, the segments as `segmentation status --json` has them, and their stability."""

    months: tuple[PublishedMonth, ...]
    segments: list[Json]
    stability: IdentityStability


def read_demo(connection: sa.Connection, name: str, store: ArtifactStore) -> DemoResult:
    """Read all that the demo shows of the segmentation `name`."""
    published = [
        snapshot
        for header in snapshots.list_snapshots(connection, name)
        if header.status == "published"
        and (snapshot := snapshots.find_snapshot(connection, header.snapshot_id)) is not None
    ]
    return DemoResult(
        months=tuple(PublishedMonth(month, read_events(connection, month.snapshot_id)) for month in published),
        segments=read_status(connection, name)["segments"],
        stability=_compare_with_truth(connection, name, published, store),
    )


def _compare_with_truth(
    connection: sa.Connection, name: str, published: list[Snapshot], store: ArtifactStore
) -> IdentityStability:
    """Compare the published months with the personas that the shop was made from.

    The raw cluster index is not in the database; it comes from the alignments' artifacts.
    """
    ledger = snapshots.lock(connection, name)
    months = []
    for snapshot in published:
        assert ledger is not None  # noqa: S101  a published snapshot is in the ledger
        segments = assignments.read_assignments(connection, ledger, snapshot.snapshot_id)
        matches = AlignedSegments(store.open(AlignedSegments.STAGE, snapshot.partition, snapshot.run_id)).matches
        cluster_of = {match["segment_id"]: match["cluster"] for match in matches}
        months.append(
            pd.DataFrame(
                {
                    "month": pd.Timestamp(snapshot.partition).date(),
                    "customer_id": segments.index,
                    "segment_id": segments.to_numpy(),
                    "cluster": segments.map(cluster_of).to_numpy(),
                }
            )
        )
    truth = pd.DataFrame(
        connection.execute(sa.text("SELECT customer_id, month, persona FROM shop.true_persona")).all(),
        columns=["customer_id", "month", "persona"],
    )
    return measure_stability(pd.concat(months).merge(truth, on=["customer_id", "month"]))
