"""A run killed at any moment leaves the old state or the new one, and nothing blocks the next run."""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import dagster as dg
import numpy as np
import pytest
from support.processes import make_two_stage_job, run, start, wait_for_backends, wait_for_success
from support.three_groups import MONTHS, N_CUSTOMERS

from segmentation_pipeline.orchestration.discovery import load_definitions, segmentations
from segmentation_pipeline.orchestration.runs.execute import open_dagster_instance
from segmentation_pipeline.runtime.settings import PATIENCE_VARIABLE
from segmentation_pipeline.storage.artifacts.store import MANIFEST

if TYPE_CHECKING:
    from support.chain import Chain

pytestmark = pytest.mark.slow
JANUARY, FEBRUARY, MARCH = MONTHS[:3]
N_KILLS = 20
SEED = 41
# a transaction lasts a good part of its stage, so that many of the moments fall into one
SLOWLY = """
CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(TG_ARGV[0]::float); RETURN NEW; END $$;
CREATE TRIGGER slowly BEFORE UPDATE ON target FOR EACH ROW WHEN (NEW.segment_id IS NOT NULL) EXECUTE FUNCTION slowly(0.002);
CREATE TRIGGER slowly BEFORE INSERT ON segmentation.centroid FOR EACH ROW EXECUTE FUNCTION slowly(0.2);
"""
HISTORY = "SELECT customer_id, segment_id FROM segmentation.shop_assignment WHERE snapshot_id = %s"
TABLES = """SELECT substring(c.relname FROM '^shop_assignment_(.*)$'), i.inhparent IS NOT NULL
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_inherits i ON i.inhrelid = c.oid
            WHERE n.nspname = 'segmentation' AND c.relkind = 'r' AND c.relname LIKE 'shop\\_assignment\\_%%'"""


def _measure_window(job: dg.JobDefinition) -> tuple[float, float]:
    """Measure when an undisturbed process begins and ends its work on both stages, in seconds after its start."""
    began = time.time()
    assert wait_for_success(start(job, FEBRUARY))
    with open_dagster_instance() as instance:
        records = instance.all_logs(instance.get_runs(limit=1)[0].run_id)
    steps = [
        record.timestamp - began for record in records if record.dagster_event and record.dagster_event.is_step_event
    ]
    return min(steps), max(steps)


def _check_whole(chain: Chain, *, before: int) -> bool:
    """Assert that the database has the old state, with `before` as current, or a whole new one; return whether it is new."""
    ((pointer,),) = chain.rows("SELECT current_snapshot_id FROM segmentation.segmentation")
    statuses = dict(chain.rows("SELECT snapshot_id, status FROM segmentation.snapshot"))
    months = dict(chain.rows("SELECT snapshot_id, partition FROM segmentation.snapshot"))
    published = {snapshot: months[snapshot] for snapshot, status in statuses.items() if status == "published"}
    assert sorted(published.values()) == [JANUARY, FEBRUARY]
    assert published[pointer] == FEBRUARY
    assert set(statuses.values()) <= {"published", "superseded", "candidate"}
    history = dict(chain.rows(HISTORY, pointer))
    assert len(history) == N_CUSTOMERS
    # emptied before the run, so that what is written and what is not can be distinguished
    target = dict(chain.rows("SELECT user_id, segment_id FROM target"))
    assert target == (dict.fromkeys(history) if pointer == before else history)
    tables = dict(chain.rows(TABLES))
    assert all(tables.values()), "an assignment table is not attached"
    accepted = {snapshot for snapshot, status in statuses.items() if status != "candidate"}
    assert {int(snapshot) for snapshot in tables} == accepted
    centroids = {row[0] for row in chain.rows("SELECT DISTINCT snapshot_id FROM segmentation.centroid")}
    gates = {row[0] for row in chain.rows("SELECT DISTINCT snapshot_id FROM segmentation.gate")}
    assert centroids == gates == set(statuses)
    for folder in segmentations()["shop"].store.root.glob("*/*/*"):
        assert (folder / MANIFEST).exists() or folder.name.startswith("."), f"{folder} looks like an artifact"
    return bool(pointer != before)


def test_a_run_killed_at_any_moment_leaves_the_old_state_or_the_new(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a kill at any of twenty moments there is never a mixture, and the month and the next one run again."""
    monkeypatch.setenv(PATIENCE_VARIABLE, "30")
    whole_chain = load_definitions().resolve_job_def("shop")
    for month in (JANUARY, FEBRUARY):
        outcome = run(whole_chain, month)
        assert outcome.success, outcome.problems
    chain.execute(SLOWLY)
    job = make_two_stage_job()
    chain.execute("UPDATE target SET segment_id = NULL")
    ((before,),) = chain.rows("SELECT current_snapshot_id FROM segmentation.segmentation")
    begin, end = _measure_window(job)
    assert _check_whole(chain, before=before)
    # a little beyond the end: the first process that was left alone may have been a fast one
    moments = np.random.default_rng(SEED).uniform(begin, end + (end - begin) / 4, N_KILLS)
    newer = 0
    for number, moment in enumerate(sorted(moments)):
        chain.execute("UPDATE target SET segment_id = NULL")
        ((before,),) = chain.rows("SELECT current_snapshot_id FROM segmentation.segmentation")
        print(f"kill {number} after {moment:.3f} s of {begin:.3f} to {end:.3f} s (seed {SEED})")
        pid = start(job, FEBRUARY)
        time.sleep(moment)
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        # until the server has noticed that its client is gone, a transaction may still hold its locks
        wait_for_backends(chain, count=0)
        newer += _check_whole(chain, before=before)
        chain.execute("UPDATE target SET segment_id = NULL")
        ((before,),) = chain.rows("SELECT current_snapshot_id FROM segmentation.segmentation")
        outcome = run(job, FEBRUARY)
        assert outcome.success, outcome.problems
        assert _check_whole(chain, before=before)
    print(f"{newer} of {N_KILLS} kills left the new state")
    chain.execute("DROP TRIGGER slowly ON target")

    outcome = run(whole_chain, MARCH)

    assert outcome.success, outcome.problems
    with open_dagster_instance() as instance:
        ghosts = [run for run in instance.get_runs() if run.status != dg.DagsterRunStatus.SUCCESS]
    assert {run.status for run in ghosts} <= {dg.DagsterRunStatus.FAILURE}
    assert dict(chain.rows("SELECT user_id, segment_id FROM target")) == dict(
        chain.rows(HISTORY, *chain.rows("SELECT current_snapshot_id FROM segmentation.segmentation")[0])
    )
    assert chain.rows("SELECT next_segment_id FROM segmentation.segmentation") == [(4,)]
