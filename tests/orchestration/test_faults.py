"""Faults in the middle of a run: passing ones are tried again, others end the run at once; nothing half-written stays."""

from __future__ import annotations

import errno
import threading
import time
from typing import TYPE_CHECKING, Any

import dagster as dg
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.three_groups import MONTHS, N_CUSTOMERS, write_defs

from segmentation_pipeline.orchestration import retries
from segmentation_pipeline.orchestration.assets import validated_rows
from segmentation_pipeline.orchestration.stages import CHAIN
from segmentation_pipeline.steps import fit
from segmentation_pipeline.storage.registry import snapshots
from segmentation_pipeline.storage.warehouse.postgres import source, target
from segmentation_pipeline.storage.warehouse.postgres.connection import get_driver_connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.chain import Chain

OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


@pytest.fixture(autouse=True)
def _retry_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the pause before another attempt short."""
    monkeypatch.setattr(retries, "RETRY_SECONDS", 0.05)


def shop_job() -> dg.JobDefinition:
    """Return the job of `shop`, which Dagster loads again in another process."""
    from segmentation_pipeline.orchestration.discovery import load_definitions

    return load_definitions().resolve_job_def("shop")


def _lose_connection(chain: Chain, function: Callable[..., Any], *, times: int) -> Callable[..., Any]:
    """Return the function with its database connection ended just before it works, this number of times."""
    left = [times]

    def wrapped(connection: Any, *arguments: Any, **named: Any) -> Any:
        if left[0]:
            left[0] -= 1
            pid = get_driver_connection(connection).info.backend_pid
            assert chain.rows("SELECT pg_terminate_backend(%s, 5000)", pid) == [(True,)]
        return function(connection, *arguments, **named)

    return wrapped


def _lose_source(chain: Chain) -> Callable[..., Iterator[pa.RecordBatch]]:
    """Return the reader of batches with its connection ended once, before the first batch."""
    read, left = source._read_batches, [1]

    def wrapped(reader: pa.RecordBatchReader, period: Any) -> Iterator[pa.RecordBatch]:
        if left[0]:
            left[0] -= 1
            assert chain.rows(f"SELECT pg_terminate_backend(pid, 5000) {OTHERS} AND query LIKE 'COPY %%'")
        return read(reader, period)

    return wrapped


def _read_statuses(chain: Chain) -> list[tuple[Any, ...]]:
    return chain.rows("SELECT partition, version, status FROM segmentation.snapshot ORDER BY snapshot_id")


def _find_leftovers(chain: Chain) -> list[str]:
    """Return what a failed step left on disk or in the database; the tests expect nothing."""
    from segmentation_pipeline.orchestration.discovery import segmentations

    root = segmentations()["shop"].store.root
    unsealed = [
        str(path) for path in root.glob("*/*/*") if path.name.startswith(".") or not (path / "manifest.json").exists()
    ]
    tables = chain.rows(
        "SELECT relname::text FROM pg_class WHERE relname ~ '^shop_assignment_[0-9]+$' AND relname NOT IN "
        "(SELECT 'shop_assignment_' || snapshot_id FROM segmentation.snapshot WHERE status = 'published')"
    )
    return unsealed + [name for (name,) in tables]


def test_a_connection_lost_in_every_stage_is_tried_again(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server ends our connection while each stage reads or writes; the month is published nevertheless, and once."""
    chain.execute("UPDATE facts SET spend = -5 WHERE customer_id = 7")
    # more rows than libpq reads ahead
    query = "SELECT customer_id, visits, spend, plan, repeat('x', 20000) AS pad FROM facts"
    text = (
        (chain.defs / "shop" / "defs.yaml")
        .read_text()
        .replace("SELECT customer_id, visits, spend, plan FROM facts", query)
    )
    (chain.defs / "shop" / "defs.yaml").write_text(text)
    monkeypatch.setattr(source, "_read_batches", _lose_source(chain))
    for module, name in ((validated_rows, "record_rejected"), (snapshots, "record"), (target, "write_segments")):
        monkeypatch.setattr(module, name, _lose_connection(chain, getattr(module, name), times=1))

    outcome = chain.run(MONTHS[0])

    assert outcome.success, outcome.problems
    retried = [
        event
        for event in _read_events(chain, outcome.run_id)
        if event.event_type == dg.DagsterEventType.STEP_UP_FOR_RETRY
    ]
    assert [event.step_key.removeprefix("shop__") for event in retried] == [
        "raw_extract", "validated_rows", "aligned_segments", "published_segments"
    ]  # fmt: skip
    assert _read_statuses(chain) == [(MONTHS[0], 1, "published")]
    assert chain.rows("SELECT count(*) FROM target WHERE segment_id IS NOT NULL") == [(N_CUSTOMERS - 1,)]
    assert chain.rows("SELECT key, reasons FROM segmentation.shop_rejected") == [
        ("7", ["spend: log1p needs > -1", "spend: below 0"])
    ]
    assert _find_leftovers(chain) == []


def test_what_does_not_pass_ends_after_three_tries_and_is_picked_up_there(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A publication that always loses its connection leaves the old state; re-executed from failure, only it runs again."""
    with monkeypatch.context() as broken:
        broken.setattr(target, "write_segments", _lose_connection(chain, target.write_segments, times=99))
        outcome = chain.run(MONTHS[0])
    assert not outcome.success
    assert "PostgreSQL ended the transaction" in outcome.problems[0]
    assert "It was tried 3 times" in outcome.problems[0]
    assert _read_statuses(chain) == [(MONTHS[0], 1, "candidate")]
    assert chain.rows("SELECT count(*) FROM target WHERE segment_id IS NOT NULL") == [(0,)]
    assert _find_leftovers(chain) == []

    again = dg.execute_job(
        dg.reconstructable(shop_job),
        instance=chain.instance,
        tags={"dagster/partition": MONTHS[0]},  # the UI's button carries the tags of the failed run over
        reexecution_options=dg.ReexecutionOptions.from_failure(outcome.run_id, chain.instance),
    )
    assert again.success
    assert {event.step_key for event in again.all_events if event.is_step_success} == {"shop__published_segments"}
    assert _read_statuses(chain) == [(MONTHS[0], 1, "published")]
    assert chain.rows("SELECT count(*) FROM target WHERE segment_id IS NOT NULL") == [(N_CUSTOMERS,)]


def test_a_deadlock_with_another_session_is_tried_again(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """When another session updates the target's rows in the opposite order, both end, and all segments are written."""
    write, started = target.write_segments, threading.Event()

    def announce_and_write(*arguments: Any, **named: Any) -> Any:
        started.set()
        return write(*arguments, **named)

    def lock_rows_in_other_order() -> None:
        with psycopg.connect(chain.url) as connection:
            connection.execute("SET deadlock_timeout = '20s'")  # so that it is ours that PostgreSQL ends
            connection.execute("UPDATE target SET other_id = 1 WHERE user_id = %s", [N_CUSTOMERS])
            locked.set()
            assert started.wait(60)
            while not chain.rows(f"SELECT {OTHERS.replace('FROM', '1 FROM', 1)} AND wait_event_type = 'Lock'"):
                time.sleep(0.02)
            connection.execute("UPDATE target SET other_id = 1")

    monkeypatch.setattr(target, "write_segments", announce_and_write)
    locked = threading.Event()
    thread = threading.Thread(target=lock_rows_in_other_order)
    thread.start()
    assert locked.wait(30)
    outcome = chain.run(MONTHS[0])
    thread.join(60)
    assert outcome.success, outcome.problems
    retried = [
        event
        for event in _read_events(chain, outcome.run_id)
        if event.event_type == dg.DagsterEventType.STEP_UP_FOR_RETRY
    ]
    assert [event.step_key for event in retried] == ["shop__published_segments"]
    assert chain.rows("SELECT count(*) FROM target WHERE segment_id IS NOT NULL AND other_id = 1") == [(N_CUSTOMERS,)]


def test_a_slow_query_ends_at_once(chain: Chain) -> None:
    """A statement timeout is not tried again: the same query would take as long."""
    path = write_defs(chain.defs) / "shop" / "defs.yaml"
    text = path.read_text().replace("SELECT customer_id,", "SELECT pg_sleep(0.1)::text AS nap, customer_id,")
    path.write_text(text.replace("key: customer_id", "key: customer_id\n    statement_timeout_s: 1"))
    outcome = chain.run(MONTHS[0])
    assert not outcome.success
    assert "canceling statement due to statement timeout" in outcome.problems[0]
    assert not [
        event
        for event in _read_events(chain, outcome.run_id)
        if event.event_type == dg.DagsterEventType.STEP_UP_FOR_RETRY
    ]
    assert _find_leftovers(chain) == []


@pytest.mark.parametrize(
    ("stage", "owner", "name"),
    [
        ("raw_extract", pq.ParquetWriter, "write_batch"),
        ("validated_rows", pq.ParquetWriter, "write_table"),
        ("encoded_features", pa, "OSFile"),
    ],
)
def test_a_full_disk_is_reported_and_leaves_nothing(
    chain: Chain, monkeypatch: pytest.MonkeyPatch, stage: str, owner: Any, name: str
) -> None:
    """Writing an artifact to a full disk ends the stage in plain words; with free space it can be materialized again."""

    def raise_full_disk(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    names = [member.name for member in CHAIN]
    chain_to = names[: names.index(stage) + 1]
    for earlier in chain_to[:-1]:
        assert chain.materialize(earlier, MONTHS[0]).success
    with monkeypatch.context() as broken:
        broken.setattr(owner, name, raise_full_disk)
        result = chain.materialize(stage, MONTHS[0])
    assert not result.success
    said = result.failure_data_for_node(f"shop__{stage}").user_failure_data.description
    assert said.startswith(f"{stage} of {MONTHS[0]} could not be written: [Errno 28] No space left on device.")
    assert "SEGMENTATION_HOME" in said
    assert _find_leftovers(chain) == []
    assert chain.materialize(stage, MONTHS[0]).success


def _read_events(chain: Chain, run_id: str) -> list[dg.DagsterEvent]:
    return [entry.dagster_event for entry in chain.instance.all_logs(run_id) if entry.dagster_event is not None]


def test_an_allocation_that_fails_is_reported(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """When memory cannot be allocated, the stage ends with what is available and what to do, not with numpy's traceback."""

    def raise_memory_error(*_: Any, **__: Any) -> None:
        raise MemoryError("Unable to allocate 9.31 GiB for an array")

    monkeypatch.setattr(fit, "fit_model", raise_memory_error)

    outcome = chain.run(MONTHS[0])

    assert not outcome.success
    (said,) = [problem for problem in outcome.problems if "out of memory" in problem]
    assert "Unable to allocate 9.31 GiB for an array" in said
    assert "GiB. Raise the limit" in said
    assert _read_statuses(chain) == []


def test_too_little_memory_is_refused_before_the_rows_are_worked_on(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its own limit the run reports what it needs, what is available and what to do, and leaves no snapshot."""
    monkeypatch.setenv("SEGMENTATION_MEMORY_LIMIT", "64MiB")

    outcome = chain.run(MONTHS[0])

    assert not outcome.success
    (said,) = [problem for problem in outcome.problems if "SEGMENTATION_MEMORY_LIMIT has 0.1 GiB" in problem]
    assert "customers x 3 columns need about 0.2 GiB" in said
    assert "raise the limit to" in said
    assert _read_statuses(chain) == []
    assert chain.rows("SELECT count(*) FROM target WHERE segment_id IS NOT NULL") == [(0,)]
    monkeypatch.delenv("SEGMENTATION_MEMORY_LIMIT")
    assert chain.run(MONTHS[0]).success
