"""The human gate with the whole chain: what waits, what waits for it, and how a person decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg
import pytest
from support.three_groups import MONTHS, add_group, drop_most_rows, write_defs

from segmentation_pipeline.orchestration.assets.published_segments import SNAPSHOT_TAG

if TYPE_CHECKING:
    from support.chain import Chain

PARENTS = """SELECT s.partition, s.version, s.status, p.partition FROM segmentation.snapshot s
             LEFT JOIN segmentation.snapshot p ON p.snapshot_id = s.parent_snapshot_id ORDER BY s.partition, s.version"""
REASONS = ["K is 4; it was 3 in 2024-01-01", "segment 4 is born, split from 3"]


@pytest.fixture
def asked(chain: Chain) -> Chain:
    """`on_change`, January published, and a group born in February, which waits as snapshot 2."""
    write_defs(chain.defs, approval="on_change")
    add_group(chain.url, MONTHS[1:])
    assert chain.run(MONTHS[0]).receipt is not None
    waits = chain.run(MONTHS[1])
    assert (waits.success, waits.problems, waits.receipt) == (True, (), None)
    assert waits.waiting is not None
    assert waits.waiting.snapshot_id == 2
    return chain


def _read_statuses(chain: Chain) -> list[tuple[str, int, str]]:
    return [row[:3] for row in chain.rows(PARENTS)]


def _read_reasons(chain: Chain) -> list[str]:
    """Read from the database why the waiting snapshot waits."""
    return list(chain.rows("SELECT metrics->'approval' FROM segmentation.snapshot WHERE status = 'waiting'")[0][0])


def _read_target(chain: Chain) -> list[tuple[object, ...]]:
    return chain.rows("SELECT xmin::text, * FROM target ORDER BY user_id")


def _read_check(chain: Chain) -> dg.AssetCheckEvaluation:
    """Read the latest result of the check `approval`."""
    key = dg.AssetCheckKey(dg.AssetKey(["shop", "aligned_segments"]), "approval")
    record = chain.instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
    assert record.event is not None
    evaluation = record.event.dagster_event.event_specific_data
    assert isinstance(evaluation, dg.AssetCheckEvaluation)
    return evaluation


def _read_failure(result: dg.ExecuteInProcessResult) -> str:
    """Return the message of the failed op."""
    assert not result.success
    data = next(event for event in result.all_events if event.is_step_failure).step_failure_data
    assert data.user_failure_data is not None
    return data.user_failure_data.description or ""


def test_a_birth_waits_blocks_later_months_and_is_published_when_approved(asked: Chain) -> None:
    """The check has the reasons; later months and publishing by hand are refused until an approval in the UI publishes it."""
    assert _read_reasons(asked) == REASONS
    check = _read_check(asked)
    assert (check.passed, check.severity, check.blocking) == (False, dg.AssetCheckSeverity.WARN, False)
    for words in (*REASONS, "segmentation approve shop 2", "segmentation decline shop 2"):
        assert words in (check.description or "")
    before = _read_target(asked)
    blocked = asked.run(MONTHS[2])
    assert not blocked.success
    assert "snapshot 2 (2024-02-01 v1) waits for a person, so 2024-03-01 cannot be aligned" in blocked.problems[0]
    assert "segmentation approve shop 2" in blocked.problems[0]
    by_hand = asked.materialize("published_segments", MONTHS[1])
    assert "It waits for a person: segmentation approve shop 2" in _read_failure(by_hand)
    assert _read_target(asked) == before

    done = asked.decide("approve", snapshot_id=2, who="anna", reason="spring campaign")
    assert done.success
    runs = asked.instance.get_runs(dg.RunsFilter(tags={SNAPSHOT_TAG: "2"}))
    assert [(run.status, run.asset_selection or run.job_name) for run in runs] == [
        (dg.DagsterRunStatus.SUCCESS, "shop")
    ]
    assert _read_check(asked).passed
    assert "is approved by anna" in (_read_check(asked).description or "")
    assert {row[0] for row in asked.rows("SELECT DISTINCT segment_id FROM target")} == {1, 2, 3, 4}
    again = asked.decide("approve", snapshot_id=2, who="ben")
    assert "snapshot 2 (2024-02-01 v1) is published" in _read_failure(again)

    assert asked.run(MONTHS[2]).receipt is not None
    assert asked.rows(PARENTS) == [
        (MONTHS[0], 1, "published", None),
        (MONTHS[1], 1, "published", MONTHS[0]),
        (MONTHS[2], 1, "published", MONTHS[1]),
    ]


def test_a_declined_month_lets_the_next_one_go_on(asked: Chain) -> None:
    """A month declined in the UI is not published, not even by hand; the next one has January as its parent and waits."""
    assert asked.decide("decline", snapshot_id=2, who="anna", reason="wrong import").success
    assert asked.rows("SELECT action, who, reason FROM segmentation.decision") == [("decline", "anna", "wrong import")]
    assert "is declined by anna" in (_read_check(asked).description or "")
    assert "declined" in _read_failure(asked.materialize("published_segments", MONTHS[1]))
    assert "anna declined it" in _read_failure(asked.decide("approve", snapshot_id=2, who="ben"))
    assert asked.run(MONTHS[2]).waiting is not None
    assert asked.rows(PARENTS)[2] == (MONTHS[2], 1, "waiting", MONTHS[0])


@pytest.mark.slow
def test_a_rerun_replaces_the_waiting_version_unless_its_gates_fail(asked: Chain) -> None:
    """A rejected rerun leaves the first version waiting; a good one declines it and waits in its place with the same ids."""
    asked.execute("CREATE TABLE kept AS SELECT * FROM facts")
    drop_most_rows(asked.url, MONTHS[1])
    assert not asked.run(MONTHS[1]).success
    assert _read_statuses(asked)[1:] == [(MONTHS[1], 1, "waiting"), (MONTHS[1], 2, "rejected")]
    asked.execute("DELETE FROM facts")
    asked.execute("INSERT INTO facts SELECT * FROM kept")
    again = asked.run(MONTHS[1])
    assert again.waiting is not None
    assert _read_statuses(asked)[1:] == [
        (MONTHS[1], 1, "declined"),
        (MONTHS[1], 2, "rejected"),
        (MONTHS[1], 3, "waiting"),
    ]
    decision = asked.rows("SELECT snapshot_id, action, who, reason FROM segmentation.decision")
    assert decision == [(2, "decline", f"run {again.run_id[:8]}", "replaced by version 3")]
    assert _read_reasons(asked) == REASONS


@pytest.mark.slow
def test_approving_publishes_that_snapshot_though_a_later_rerun_was_rejected(asked: Chain) -> None:
    """The approved snapshot is published although the latest artifact belongs to the rejected rerun."""
    drop_most_rows(asked.url, MONTHS[1])
    assert not asked.run(MONTHS[1]).success
    assert asked.decide("approve", snapshot_id=2, who="anna").success
    assert _read_statuses(asked)[1:] == [(MONTHS[1], 1, "published"), (MONTHS[1], 2, "rejected")]
    history = "SELECT snapshot_id, count(*) FROM segmentation.shop_assignment GROUP BY 1 ORDER BY 1"
    assert asked.rows(history) == [(1, 300), (2, 300)]


@pytest.mark.slow
def test_an_approval_whose_publication_failed_is_repaired_by_approving_again(asked: Chain) -> None:
    """When the target refuses, the decision is kept and the job says why; approving again publishes."""
    asked.execute("ALTER TABLE target RENAME COLUMN segment_id TO hidden")
    assert "lacks columns" in _read_failure(asked.decide("approve", snapshot_id=2, who="anna"))
    assert _read_statuses(asked)[1] == (MONTHS[1], 1, "waiting")
    asked.execute("ALTER TABLE target RENAME COLUMN hidden TO segment_id")
    assert "was approved by anna and is not published yet" in asked.run(MONTHS[2]).problems[0]
    assert asked.decide("approve", snapshot_id=2, who="ben").success
    assert _read_statuses(asked)[1] == (MONTHS[1], 1, "published")
    assert asked.rows("SELECT action, who FROM segmentation.decision") == [("approve", "anna")]


def test_a_snapshot_whose_labels_are_gone_is_not_approved(asked: Chain) -> None:
    """Without its artifact a snapshot could not be published, so the approval is refused and nothing is decided."""
    import shutil

    from segmentation_pipeline.orchestration.discovery import segmentations

    shutil.rmtree(segmentations()["shop"].store.root / "aligned_segments" / MONTHS[1])
    assert not asked.decide("approve", snapshot_id=2, who="anna").success
    assert asked.rows("SELECT count(*) FROM segmentation.decision") == [(0,)]


def test_after_a_rollback_the_next_month_builds_on_the_restored_one(chain: Chain) -> None:
    """After a rollback in the UI the target shows January, Dagster has a note of it, and February's rerun is built on it."""
    chain.run(MONTHS[0])
    january = chain.rows("SELECT user_id, segment_id FROM target ORDER BY 1")
    add_group(chain.url, MONTHS[1:])
    chain.run(MONTHS[1])
    assert chain.rows("SELECT user_id, segment_id FROM target ORDER BY 1") != january
    assert chain.decide("rollback", snapshot_id=1, who="anna", reason="too early").success
    assert chain.rows("SELECT user_id, segment_id FROM target ORDER BY 1") == january
    observed = chain.instance.fetch_observations(dg.AssetKey(["shop", "published_segments"]), limit=1).records[0]
    assert observed.asset_observation is not None
    assert observed.partition_key == MONTHS[0]
    assert observed.asset_observation.metadata["changed"].value == 50
    assert "is the current one already" in _read_failure(chain.decide("rollback", snapshot_id=1, who="anna"))
    assert chain.run(MONTHS[2]).success
    assert chain.rows(PARENTS) == [
        (MONTHS[0], 1, "published", None),
        (MONTHS[1], 1, "rolled_back", MONTHS[0]),
        (MONTHS[2], 1, "published", MONTHS[0]),
    ]


@pytest.mark.slow
def test_manual_waits_for_every_month(chain: Chain) -> None:
    """The first month waits, and so does a month without changes after it."""
    write_defs(chain.defs, approval="manual")
    assert chain.run(MONTHS[0]).waiting is not None
    assert _read_reasons(chain) == ["publish.approval is manual: every snapshot waits for a person"]
    assert chain.decide("approve", snapshot_id=1, who="anna").success
    assert chain.run(MONTHS[1]).waiting is not None
    assert _read_statuses(chain) == [(MONTHS[0], 1, "published"), (MONTHS[1], 1, "waiting")]


@pytest.mark.slow
def test_a_calm_month_is_published_on_change(chain: Chain) -> None:
    """When no segment is born and few customers move, no approval is needed, and the check passes."""
    write_defs(chain.defs, approval="on_change")
    for month in MONTHS[:2]:
        assert chain.run(month).receipt is not None
    assert _read_check(chain).passed
    chain.execute("UPDATE facts f SET visits = g.visits, spend = g.spend, plan = g.plan FROM facts g "
                  "WHERE g.month = f.month AND f.month = %s AND g.customer_id = (f.customer_id + 1 - 1) %% 300 + 1", MONTHS[2])  # fmt: skip
    moved = chain.run(MONTHS[2])
    assert moved.waiting is not None
    assert _read_reasons(chain) == ["300 of 300 customers change segment: 100.0%, more than gates.max_moved 0.3"]


def test_segments_are_renamed_from_the_ui(chain: Chain) -> None:
    """The name and the description are kept; an unknown segment and an empty name are refused."""
    chain.run(MONTHS[0])
    assert chain.decide("rename", segment_id=2, name=" Gold ", description="They pay.").success
    assert chain.decide("rename", segment_id=2, name="Old gold").success
    named = "SELECT name, name_source, description FROM segmentation.segment WHERE segment_id = 2"
    assert chain.rows(named) == [("Old gold", "person", "They pay.")]
    assert "shop has no segment 99" in _read_failure(chain.decide("rename", segment_id=99, name="Nobody"))
    assert "the name is empty" in _read_failure(chain.decide("rename", segment_id=2, name=" "))


def test_the_forms_defaults_are_the_waiting_snapshot_and_no_name(asked: Chain) -> None:
    """An approval needs only a person's name; a rollback needs a snapshot too, and its form lists them."""
    assert "who is empty" in _read_failure(asked.decide("approve"))
    assert "snapshot 1 (2024-01-01 v1)" in _read_failure(asked.decide("rollback", who="anna"))
    assert asked.decide("approve", who=" anna ").success
    assert _read_statuses(asked)[1] == (MONTHS[1], 1, "published")
    assert asked.rows("SELECT snapshot_id, action, who FROM segmentation.decision") == [(2, "approve", "anna")]
    assert "no snapshot waits" in _read_failure(asked.decide("decline", who="anna"))
