"""Keeping the books of a segmentation in a test: candidates, publications, and what the database then says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from segmentation_pipeline.lifecycle.publish import publish
from segmentation_pipeline.model import (
    Centroid,
    Encoding,
    FittedModel,
    GateResult,
    LineageEvent,
    Segment,
    SnapshotMetrics,
)
from segmentation_pipeline.spec import PublishSpec
from segmentation_pipeline.storage.registry import snapshots
from segmentation_pipeline.storage.registry.tables import ensure_tables

if TYPE_CHECKING:
    from collections.abc import Mapping

    import sqlalchemy as sa

    from segmentation_pipeline.model import KeyType, Status
    from segmentation_pipeline.model.receipts import PublicationReceipt

PUBLISH = PublishSpec(table="public.target", key="user_id", updated_column="last_updated")


def month(number: int) -> tuple[str, datetime]:
    """The partition and the as_of of a month of 2024."""
    return f"2024-{number:02}-01", datetime(2024 + number // 12, number % 12 + 1, 1, tzinfo=UTC)


@dataclass
class Books:
    """One segmentation, its snapshots and its target."""

    engine: sa.Engine
    name: str = "shop"
    key: str = "customer_id"

    def register(self, key_type: KeyType = "integer") -> None:
        """Enter the segmentation and make its tables."""
        with self.engine.begin() as connection:
            snapshots.register(connection, self.name, key_name=self.key, key_type=key_type)
            ensure_tables(connection, self.name, key_name=self.key, key_type=key_type)

    def align(
        self,
        number: int,
        segments: tuple[int, ...] = (1, 2),
        *,
        status: Status = "candidate",
        parent: int | None = None,
        silhouette: float | None = 0.5,
        gates: tuple[GateResult, ...] = (),
        reasons: tuple[str, ...] = (),
    ) -> int:
        """Record a snapshot of a month with these segments; ids not seen before are born. Gives the snapshot id."""
        partition, as_of = month(number)
        with self.engine.begin() as connection:
            ledger = snapshots.lock(connection, self.name)
            assert ledger is not None
            latest = snapshots.find_parent(connection, self.name, as_of)
            born = [segment for segment in segments if segment >= ledger.next_segment_id]
            return snapshots.record(
                connection,
                ledger,
                snapshots.NewSnapshot(
                    partition=partition, as_of=as_of, status=status,
                    parent_snapshot_id=parent if parent is not None else latest.snapshot_id if latest else None,
                    run_id=f"run-{number}", algorithm="kmeans", k=len(segments), seed=2**32 - 1,
                    n_rows=10, n_assigned=8, n_unassigned=0, n_rejected=2,
                    metrics=SnapshotMetrics(silhouette=silhouette, inertia=float("nan"), reasons_to_wait=reasons),
                    encoding=Encoding(()), model=FittedModel("kmeans", np.zeros((len(segments), 2)), segments),
                    library_versions={"numpy": "2"}, code_version="1", data_version="a",
                ),
                next_segment_id=max(ledger.next_segment_id, *(segment + 1 for segment in segments)),
                centroids=[Centroid(segment, 0, 4, 1 / len(segments), 1.5, (0.0, 0.25), {}) for segment in segments],
                new_segments=[Segment(segment, f"segment {segment}", "automatic") for segment in born],
                events=[LineageEvent(segment, "born" if segment in born else "kept") for segment in segments],
                gates=gates,
            )  # fmt: skip

    def publish(
        self, snapshot_id: int, segment_of: Mapping[Any, int | None], spec: PublishSpec = PUBLISH
    ) -> PublicationReceipt:
        """Publish a snapshot in a transaction of its own."""
        with self.engine.begin() as connection:
            return publish(connection, spec, self.name, snapshot_id, self.labels(segment_of))

    def labels(self, segment_of: Mapping[Any, int | None]) -> pa.Table:
        """What `aligned_segments` writes for these customers."""
        n = len(segment_of)
        return pa.table(
            {
                self.key: list(segment_of),
                "segment_id": pa.array(segment_of.values(), pa.int32()),
                "distance": [0.1] * n,
                "second_segment_id": pa.nulls(n, pa.int32()),
                "margin": [1 / 3] * n,
            }
        )

    def decisions(self, snapshot_id: int) -> list[tuple[str, str, str | None]]:
        """What was decided about a snapshot: (action, who, reason), in order."""
        query = "SELECT action, who, reason FROM segmentation.decision WHERE snapshot_id = %s ORDER BY decision_id"
        return self.rows(query, snapshot_id)

    def execute(self, statement: str, *parameters: Any) -> None:
        """Change the database."""
        with self.engine.begin() as connection:
            connection.exec_driver_sql(statement, parameters)

    def rows(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Ask the database."""
        with self.engine.begin() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(query, parameters)]

    def scalar(self, query: str, *parameters: Any) -> Any:
        """Ask the database for one value."""
        return self.rows(query, *parameters)[0][0]

    def target(self, column: str = "segment_id") -> dict[Any, Any]:
        """What the target table says of each customer."""
        return dict(self.rows(f"SELECT user_id, {column} FROM target ORDER BY user_id"))

    def status(self, snapshot_id: int) -> str:
        """The status of a snapshot."""
        return str(self.scalar("SELECT status FROM segmentation.snapshot WHERE snapshot_id = %s", snapshot_id))

    def current(self) -> int | None:
        """The snapshot whose segments the target shows."""
        current: int | None = self.scalar(
            "SELECT current_snapshot_id FROM segmentation.segmentation WHERE name = %s", self.name
        )
        return current
