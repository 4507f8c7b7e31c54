"""Months aligned, recorded and published in a real database, as the chain does it, without Dagster."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from segmentation_pipeline.analysis.identity.identify import FittedCustomers, Identity, identify
from segmentation_pipeline.analysis.identity.naming import name_new_segments
from segmentation_pipeline.analysis.profiles.centroids import describe_centroids
from segmentation_pipeline.analysis.quality.drift import describe_distributions
from segmentation_pipeline.lifecycle.precedence import list_earlier_snapshots
from segmentation_pipeline.lifecycle.publish import publish
from segmentation_pipeline.lifecycle.record import read_earlier_customers
from segmentation_pipeline.model import UNASSIGNED, Period, SnapshotMetrics
from segmentation_pipeline.spec import PublishSpec
from segmentation_pipeline.storage.registry import segments, snapshots
from segmentation_pipeline.storage.registry.tables import ensure_tables
from support.simulation.world import FEATURES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    import sqlalchemy as sa

    from segmentation_pipeline.model.receipts import PublicationReceipt
    from segmentation_pipeline.spec import FeatureSpec
    from support.simulation.months import MonthFit

KEY: Final = "customer_id"


@dataclass(frozen=True)
class Aligned:
    """A month that was aligned and recorded, and is not published."""

    snapshot_id: int
    identity: Identity


@dataclass(frozen=True)
class Published:
    """One segmentation in the database behind `engine`, with its own target."""

    engine: sa.Engine
    name: str = "world"

    @property
    def target(self) -> PublishSpec:
        """The target that its segments are written to."""
        return PublishSpec(table=f"public.{self.name}_target", key=KEY, mode="create")

    def parent_k(self, start: str) -> int | None:
        """Return the K of the snapshot that would be the parent of the month that begins at `start`."""
        with self.engine.begin() as connection:
            parent = snapshots.find_parent(connection, self.name, period_of(start).as_of)
        return parent.k if parent is not None else None

    def month(
        self, start: str, frame: pd.DataFrame, fit: MonthFit, *, features: Sequence[FeatureSpec] = FEATURES
    ) -> Identity:
        """Align one month with all published ones, record and publish it."""
        aligned = self.align(start, frame, fit, features=features)
        self.publish(aligned.snapshot_id, frame, aligned.identity)
        return aligned.identity

    def align(
        self, start: str, frame: pd.DataFrame, fit: MonthFit, *, features: Sequence[FeatureSpec] = FEATURES
    ) -> Aligned:
        """Align one month with all published ones and record it."""
        period = period_of(start)
        with self.engine.begin() as connection:
            snapshots.register(connection, self.name, key_name=KEY, key_type="bigint")
            ensure_tables(connection, self.name, key_name=KEY, key_type="bigint")
            ledger = snapshots.lock(connection, self.name)
            assert ledger is not None
            parent = snapshots.find_parent(connection, self.name, period.as_of)
            earlier = list_earlier_snapshots(connection, self.name, period, parent)
            parent_profiles = segments.read_profiles(connection, parent.snapshot_id) if parent is not None else {}
            seen_before = segments.find_last_seen(connection, self.name, period.as_of).keys()
            with ThreadPoolExecutor(1) as reader:
                found = identify(
                    FittedCustomers(
                        frame, fit.labels.astype(np.int32), fit.assigned.distance, fit.model, list(features)
                    ),
                    read_earlier_customers(reader, connection, ledger, earlier, frame[KEY]),
                    parent=parent,
                    parent_profiles=parent_profiles,
                    next_segment_id=ledger.next_segment_id,
                    seen_before=seen_before,
                )
            snapshot_id = snapshots.record(
                connection,
                ledger,
                snapshots.NewSnapshot(
                    partition=period.partition, as_of=period.as_of, status="candidate",
                    parent_snapshot_id=parent.snapshot_id if parent is not None else None, run_id="simulated",
                    algorithm=found.model.algorithm, k=found.model.k, seed=0, n_rows=len(frame), n_assigned=len(frame),
                    n_unassigned=0, n_rejected=0, metrics=SnapshotMetrics(distributions=describe_distributions(frame, features)),
                    encoding=fit.encoding, model=found.model, library_versions={},
                    code_version="1", data_version="1",
                ),
                next_segment_id=found.alignment.next_segment_id,
                centroids=describe_centroids(found.model, found.profiles, fit.matrix, found.segments),
                new_segments=name_new_segments(
                    found.alignment, found.profiles, segments.read_segment_names(connection, self.name)
                ),
                events=found.alignment.events,
                gates=(),
            )  # fmt: skip
        return Aligned(snapshot_id, found)

    def publish(self, snapshot_id: int, frame: pd.DataFrame, found: Identity) -> PublicationReceipt:
        """Publish an aligned month."""
        with self.engine.begin() as connection:
            return publish(connection, self.target, self.name, snapshot_id, _rows(frame, found))


def period_of(start: str) -> Period:
    """Return the month that begins at `start`, YYYY-MM-DD."""
    begin = datetime.strptime(start, "%Y-%m-%d").replace(tzinfo=UTC)
    return Period(start, begin, begin.replace(year=begin.year + begin.month // 12, month=begin.month % 12 + 1))


def _rows(frame: pd.DataFrame, found: Identity) -> pa.Table:
    n = len(frame)
    return pa.table(
        {
            KEY: frame[KEY].to_numpy(dtype=np.int64),
            "segment_id": pa.array(found.segments.astype(np.int32), mask=found.segments == UNASSIGNED),
            "distance": np.zeros(n),
            "second_segment_id": pa.nulls(n, pa.int32()),
            "margin": np.zeros(n),
        }
    )
