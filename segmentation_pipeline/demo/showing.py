"""What the demo found: personas against segment ids, and against the raw cluster index."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import sqlalchemy as sa

from segmentation_pipeline.demo.truth import IdentityStability, measure_stability
from segmentation_pipeline.storage.registry import assignments, snapshots

if TYPE_CHECKING:
    from segmentation_pipeline.storage.artifacts.datasets import AlignedSegments
from segmentation_pipeline.storage.artifacts.store import ArtifactStore


def demo_stability(connection: sa.Connection, name: str, store: ArtifactStore) -> IdentityStability:
    """Compare the published months with the personas that the shop was made from.

    The raw cluster index is not in the database; it comes from the alignments' artifacts.
    """
    ledger = snapshots.lock(connection, name)
    months = []
    for snapshot in snapshots.list_snapshots(connection, name):
        if ledger is None or snapshot.status != "published":
            continue
        segments = assignments.segments_in(connection, ledger, snapshot.snapshot_id)
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
