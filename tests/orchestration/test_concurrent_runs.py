"""Several processes at once on one segmentation: one waits for the other, all end, and the database is consistent."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psycopg
import pytest
from support.processes import (
    forget_connections,
    make_alignment_job,
    make_publication_job,
    make_two_stage_job,
    run,
    start,
    wait_for_backends,
    wait_for_success,
)
from support.three_groups import MONTHS, N_CUSTOMERS, add_group

from segmentation_pipeline.orchestration.discovery import load_definitions, segmentations
from segmentation_pipeline.orchestration.runs.execute import open_dagster_instance
from segmentation_pipeline.orchestration.runs.order import PARTITION_TAG

if TYPE_CHECKING:
    from collections.abc import Iterator

    import dagster as dg
    from support.chain import Chain

pytestmark = pytest.mark.slow
JANUARY, FEBRUARY, MARCH = MONTHS[:3]
BOOKS = """SELECT s.partition, s.version, s.status, p.partition, p.version FROM segmentation.snapshot s
           LEFT JOIN segmentation.snapshot p ON p.snapshot_id = s.parent_snapshot_id ORDER BY s.partition, s.version"""


@pytest.fixture
def gate(chain: Chain) -> Iterator[psycopg.Connection]:
    """A connection that holds the segmentation's lock until it commits; January and February are published."""
    job = load_definitions().resolve_job_def("shop")
    for month in (JANUARY, FEBRUARY):
        outcome = run(job, month)
        assert outcome.success, outcome.problems
    add_group(chain.url, (MARCH,))
    with open_dagster_instance() as instance:
        for stage in ("raw_extract", "validated_rows", "encoded_features", "k_sweep", "final_fit"):
            by_hand = load_definitions().resolve_implicit_global_asset_job_def()
            key = segmentations()["shop"].key(stage)
            assert by_hand.execute_in_process(partition_key=MARCH, asset_selection=[key], instance=instance).success
    forget_connections()
    with psycopg.connect(chain.url) as connection:
        connection.execute("SELECT FROM segmentation.segmentation FOR UPDATE")
        yield connection


def _run_at_once(chain: Chain, gate: psycopg.Connection, *jobs: tuple[dg.JobDefinition, str]) -> list[bool]:
    """Start a process for each job, let all of them wait for the lock, then release it. Return whether each succeeded."""
    pids = [start(job, month) for job, month in jobs]
    wait_for_backends(chain, count=len(jobs), waiting=True)
    gate.commit()
    return [wait_for_success(pid) for pid in pids]


def _check_books(chain: Chain) -> None:
    """Assert that each month is published once, the latest is current, and the target agrees with its history."""
    published = "SELECT snapshot_id, partition FROM segmentation.snapshot WHERE status = 'published' ORDER BY as_of"
    found = chain.rows(published)
    assert [month for _, month in found] == [JANUARY, FEBRUARY, MARCH]
    current = found[-1][0]
    assert chain.rows("SELECT current_snapshot_id FROM segmentation.segmentation") == [(current,)]
    history = chain.rows(
        "SELECT customer_id, segment_id FROM segmentation.shop_assignment WHERE snapshot_id = %s", current
    )
    assert len(history) == N_CUSTOMERS
    assert dict(chain.rows("SELECT user_id, segment_id FROM target")) == dict(history)
    # the segment that was born in March has one id, whichever process saw it first
    assert chain.rows("SELECT next_segment_id FROM segmentation.segmentation") == [(5,)]


def test_two_processes_publish_the_same_snapshot(chain: Chain, gate: psycopg.Connection) -> None:
    """Both wait for the lock and both succeed: the second has nothing left to do."""
    gate.rollback()
    assert not run(make_alignment_job(), MARCH).problems
    gate.execute("SELECT FROM segmentation.segmentation FOR UPDATE")
    assert _run_at_once(chain, gate, (make_publication_job(), MARCH), (make_publication_job(), MARCH)) == [True, True]
    assert chain.rows(BOOKS)[2:] == [(MARCH, 1, "published", FEBRUARY, 1)]
    _check_books(chain)


def test_two_processes_align_and_publish_the_same_month(chain: Chain, gate: psycopg.Connection) -> None:
    """Two versions are aligned one after the other; whichever is published, the database is consistent."""
    ended = _run_at_once(chain, gate, (make_two_stage_job(), MARCH), (make_two_stage_job(), MARCH))
    assert any(ended)
    books = chain.rows(BOOKS)[2:]
    assert [row[:2] for row in books] == [(MARCH, 1), (MARCH, 2)]
    assert {row[3:] for row in books} == {(FEBRUARY, 1)}
    # version 1 is replaced by 2, or comes too late and is refused
    assert books[0][2] in {"superseded", "candidate"}
    assert books[1][2] == "published"
    _check_books(chain)


def test_a_month_and_the_rerun_of_its_parent(chain: Chain, gate: psycopg.Connection) -> None:
    """When March and a new version of February run at once, March waits and is built on the version that is published."""
    february = start(make_two_stage_job(), FEBRUARY)
    wait_for_backends(chain, count=1, waiting=True)
    march = start(make_two_stage_job(), MARCH)
    time.sleep(3)
    gate.commit()
    assert [wait_for_success(february), wait_for_success(march)] == [True, True]
    assert chain.rows(BOOKS)[1:] == [
        (FEBRUARY, 1, "superseded", JANUARY, 1),
        (FEBRUARY, 2, "published", JANUARY, 1),
        (MARCH, 1, "published", FEBRUARY, 2),
    ]
    _check_books(chain)


def test_two_months_through_the_whole_chain(chain: Chain) -> None:
    """When February and March run at once after January, March waits for February, so each is built on the month before."""
    job = load_definitions().resolve_job_def("shop")
    assert run(job, JANUARY).success
    add_group(chain.url, (MARCH,))
    forget_connections()
    with psycopg.connect(chain.url) as connection:
        connection.execute("SELECT FROM segmentation.segmentation FOR UPDATE")
        pids = [start(job, FEBRUARY)]
        _wait_for_run(FEBRUARY)
        pids.append(start(job, MARCH))
        _wait_for_run(MARCH)
        time.sleep(5)
    assert [wait_for_success(pid) for pid in pids] == [True, True]
    assert chain.rows(BOOKS)[1:] == [(FEBRUARY, 1, "published", JANUARY, 1), (MARCH, 1, "published", FEBRUARY, 1)]
    _check_books(chain)


def _wait_for_run(month: str) -> None:
    with open_dagster_instance() as instance:
        for _ in range(600):
            if any(run.tags.get(PARTITION_TAG) == month for run in instance.get_runs()):
                return
            time.sleep(0.05)
    pytest.fail(f"no run of {month} within 30 s")
