"""Each test tries to break one of the rules that must always hold, in ways open to a user, an accident or SQL."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any

import dagster as dg
import numpy as np
import pytest
from click.testing import CliRunner
from support.three_groups import MONTHS, N_CUSTOMERS, add_group, drop_most_rows, write_defs

from segmentation_pipeline.cli import main

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from support.chain import Chain

JANUARY, FEBRUARY, MARCH = MONTHS[:3]
STATUSES = "SELECT partition, version, status FROM segmentation.snapshot ORDER BY snapshot_id"
TARGET = "SELECT xmin::text, * FROM target ORDER BY user_id"
NUMBERS = """
    - {column: visits, kind: numeric, transform: log1p, min: 0}
    - {column: spend, kind: numeric, transform: log1p, min: 0}"""
ONE = "[{column: spend, kind: numeric, transform: log1p}]"


def _read_failure(result: dg.ExecuteInProcessResult) -> str:
    """Return the message of the failed step."""
    assert not result.success
    data = next(event for event in result.all_events if event.is_step_failure).step_failure_data
    assert data.user_failure_data is not None
    return data.user_failure_data.description or ""


def _run_command(*arguments: str) -> str:
    """Run the command line in this process; return what it printed."""
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    return re.sub(r"\s+", " ", done.output)


def _read_segments(chain: Chain) -> dict[int, int | None]:
    return dict(chain.rows("SELECT user_id, segment_id FROM target"))


def test_rule_1_a_parent_replaced_after_the_alignment_stops_the_publication(chain: Chain) -> None:
    """Rule 1: aligned by hand with the first version of its parent, a month is not published once the second is."""
    for month in (JANUARY, FEBRUARY):
        assert chain.run(month).success
    assert chain.materialize("aligned_segments", FEBRUARY).success
    assert chain.run(JANUARY).success
    before = chain.rows(TARGET)

    said = _read_failure(chain.materialize("published_segments", FEBRUARY))

    assert "was aligned with parent 1, but the parent is now 4" in said
    assert f"segmentation run shop --partition {FEBRUARY}" in said
    assert chain.rows(TARGET) == before
    assert chain.rows(STATUSES) == [
        (JANUARY, 1, "superseded"),
        (FEBRUARY, 1, "published"),
        (FEBRUARY, 2, "candidate"),
        (JANUARY, 2, "published"),
    ]
    assert chain.materialize("aligned_segments", FEBRUARY).success
    assert chain.materialize("published_segments", FEBRUARY).success


def test_rule_2_no_column_of_any_table_holds_a_raw_cluster_number(chain: Chain) -> None:
    """Rule 2: when segment ids begin at 101, no value anywhere in the database that names a segment is below that."""
    for stage in ("raw_extract", "validated_rows"):
        assert chain.materialize(stage, JANUARY).success
    chain.execute("UPDATE segmentation.segmentation SET next_segment_id = 101")
    for month in (JANUARY, FEBRUARY):
        assert chain.run(month).success

    columns = chain.rows(
        "SELECT table_schema, table_name, column_name FROM information_schema.columns "
        "WHERE table_schema IN ('segmentation', 'public') AND (column_name ~ 'segment_id|cluster|label' "
        "OR (table_name LIKE '%%_movers' AND column_name IN ('from', 'to')))"
    )
    found = {
        (table, column): {row[0] for row in chain.rows(f'SELECT DISTINCT "{column}" FROM {schema}."{table}"')} - {None}
        for schema, table, column in columns
    }
    assert {table for table, _ in found} >= {
        "target",
        "shop_assignment",
        "shop_current",
        "centroid",
        "segment",
        "lineage",
    }
    assert {segment for values in found.values() for segment in values} == {101, 102, 103, 104}
    assert found.pop(("segmentation", "next_segment_id")) == {104}
    for model, metrics in chain.rows("SELECT model, metrics FROM segmentation.snapshot"):
        assert set(model["labels"]) == {101, 102, 103}
        assert {match["segment_id"] for match in metrics["matches"]} == {101, 102, 103}
        assert not {key for key in _collect_keys(metrics) if "cluster" in key}


def _collect_keys(data: Any) -> set[str]:
    if isinstance(data, dict):
        return set(data) | {key for value in data.values() for key in _collect_keys(value)}
    return {key for value in data for key in _collect_keys(value)} if isinstance(data, list) else set()


def _encode(rows: Sequence[tuple[Any, ...]], encoding: Any) -> NDArray[np.float64]:
    """Encode rows of (visits, spend, plan) with the snapshot's JSON and numpy alone."""
    place = {"visits": 0, "spend": 1, "plan": 2}
    columns = []
    for feature in encoding["features"]:
        values = [row[place[feature["column"]]] for row in rows]
        if feature["kind"] == "numeric":
            numbers = np.log1p(np.array(values, dtype=np.float64))
            columns.append((numbers - feature["center"]) / feature["scale"] * feature["weight"])
        else:
            columns += [
                feature["weight"] * np.array([value == category for value in values])
                for category in feature["categories"]
            ]
    return np.column_stack(columns).astype(np.float32).astype(np.float64)


def _label(matrix: NDArray[np.float64], model: Any) -> list[int | None]:
    """Label each row with the snapshot's JSON: by interval, likeliest component, or nearest prototype in reach."""
    names, centers = np.array(model["labels"]), np.array(model["centers"])
    if "edges" in model:
        return list(names[(matrix[:, :1] >= np.array(model["edges"])[None, :]).sum(axis=1)].tolist())
    away = matrix[:, None, :] - centers[None, :, :]
    if "weights" in model:
        precisions = np.array(model["precisions"])
        squared = np.einsum("npi,pij,npj->np", away, precisions, away)
        likely = np.log(model["weights"]) + np.log(np.linalg.det(precisions)) / 2 - squared / 2
        return list(names[likely.argmax(axis=1)].tolist())
    distance = np.sqrt((away**2).sum(axis=2))
    nearest = distance.argmin(axis=1)
    reach = np.array(model.get("radii", [np.inf] * len(names)))[nearest]
    inside = distance[np.arange(len(matrix)), nearest] <= reach
    return [int(name) if near else None for name, near in zip(names[nearest], inside, strict=True)]


@pytest.mark.parametrize(
    ("fit", "features"),
    [
        ("kmeans, k: 4", None),
        pytest.param("hdbscan", NUMBERS, marks=pytest.mark.slow),
        ("gaussian_mixture, k: 3", NUMBERS),
        pytest.param("quantile, k: 4", ONE, marks=pytest.mark.slow),
        pytest.param("kprototypes, k: 3", None, marks=pytest.mark.slow),
        pytest.param("kmedoids, k: 4", NUMBERS, marks=pytest.mark.slow),
        pytest.param("minibatch_kmeans, k: 4", None, marks=pytest.mark.slow),
        pytest.param("spectral, k: 3", NUMBERS, marks=pytest.mark.slow),
    ],
)
def test_rule_3_every_written_label_is_what_the_saved_json_says(chain: Chain, fit: str, features: str | None) -> None:
    """Rule 3: history and target agree with the saved encoding and model, applied by hand, whatever the algorithm."""
    chain.execute("UPDATE facts SET spend = round(spend * (0.3 + (customer_id %% 17) / 10.0), 2)")
    gates = (
        "gates: {structure: {severity: warn}, min_silhouette: {severity: warn}, min_segment_share: {severity: warn}}"
    )
    given = {"features": features} if features else {}
    write_defs(chain.defs, extra=f"fit: {{algorithm: {fit}}}\n  {gates}", **given)
    outcome = chain.run(JANUARY)
    assert outcome.success, outcome.problems

    ((encoding, model),) = chain.rows("SELECT encoding, model FROM segmentation.snapshot")
    rows = chain.rows("SELECT visits, spend, plan FROM facts WHERE month = %s ORDER BY customer_id", JANUARY)
    by_hand = _label(_encode(rows, encoding), model)
    assert by_hand == [
        row[0] for row in chain.rows("SELECT segment_id FROM segmentation.shop_assignment ORDER BY customer_id")
    ]
    assert by_hand == [row[0] for row in chain.rows("SELECT segment_id FROM target ORDER BY user_id")]


@pytest.mark.parametrize("approved", [False, True])
def test_rule_4_a_status_flipped_by_hand_publishes_nothing(chain: Chain, approved: bool) -> None:
    """Rule 4: a rejected snapshot that SQL makes a candidate, or an approved one, is still refused by its gates."""
    assert chain.run(JANUARY).success
    drop_most_rows(chain.url, FEBRUARY)
    assert not chain.run(FEBRUARY).success
    chain.execute(
        "UPDATE segmentation.snapshot SET status = %s WHERE snapshot_id = 2", "waiting" if approved else "candidate"
    )
    if approved:
        chain.execute(
            "INSERT INTO segmentation.decision (snapshot_id, action, who, at) VALUES (2, 'approve', 'eve', now())"
        )
    before = chain.rows(TARGET)

    said = _read_failure(chain.materialize("published_segments", FEBRUARY))

    assert "max_row_drop: 60 rows, 300 in 2024-01-01" in said
    assert chain.rows(TARGET) == before
    assert "published" not in {row[2] for row in chain.rows(STATUSES)[1:]}


def test_rule_5_the_current_snapshot_again_does_not_undo_what_was_scored(chain: Chain) -> None:
    """Rule 5: publishing by hand what is current already changes neither target nor scores, to the last row version."""
    last = MONTHS[-1]
    assert chain.run(last).success
    chain.execute(
        "UPDATE facts f SET visits = g.visits, spend = g.spend, plan = g.plan FROM facts g "
        "WHERE g.month = f.month AND f.customer_id = 1 AND g.customer_id = 2"
    )
    scored = dict.fromkeys((1,), _read_segments(chain)[2])
    _run_command("score", "shop")
    assert {1: _read_segments(chain)[1]} == scored
    versions = [
        TARGET,
        "SELECT xmin::text, * FROM segmentation.shop_scored",
        "SELECT xmin::text, * FROM segmentation.snapshot",
    ]
    before = [chain.rows(query) for query in versions]

    assert chain.materialize("published_segments", last).success

    assert [chain.rows(query) for query in versions] == before


def test_rule_6_an_older_month_run_again_leaves_target_and_pointer(chain: Chain) -> None:
    """Rule 6: neither a rerun of an older month whose customers changed nor its publication by hand touches the target."""
    for month in (JANUARY, FEBRUARY):
        assert chain.run(month).success
    before = chain.rows(TARGET), chain.rows("SELECT current_snapshot_id FROM segmentation.segmentation")
    add_group(chain.url, (JANUARY,))
    assert chain.run(JANUARY).success
    assert chain.materialize("published_segments", JANUARY).success
    assert (chain.rows(TARGET), chain.rows("SELECT current_snapshot_id FROM segmentation.segmentation")) == before
    assert chain.rows(STATUSES)[2:] == [(JANUARY, 2, "published")]


def test_rule_7_rows_that_come_twice_or_without_a_key_are_counted(chain: Chain) -> None:
    """Rule 7: extracted is assigned, unassigned and rejected together; each rejected row is kept with its reasons."""
    write_defs(chain.defs, features=NUMBERS, extra="fit: {algorithm: hdbscan}")
    chain.execute("UPDATE facts SET visits = 5000, spend = 0 WHERE customer_id = 5")
    chain.execute("UPDATE facts SET spend = 'NaN' WHERE customer_id = 9")
    chain.execute("INSERT INTO facts VALUES (NULL, %s, 2, 10, 'basic')", JANUARY)
    ((n_rows,),) = chain.rows("SELECT count(*) FROM facts WHERE month = %s", JANUARY)
    assert n_rows == N_CUSTOMERS + 1

    outcome = chain.run(JANUARY)

    assert outcome.success, outcome.problems
    ((extracted, assigned, unassigned, rejected),) = chain.rows(
        "SELECT n_rows, n_assigned, n_unassigned, n_rejected FROM segmentation.snapshot"
    )
    assert extracted == n_rows == assigned + unassigned + rejected
    assert unassigned >= 1
    kept = chain.rows("SELECT key, reasons FROM segmentation.shop_rejected ORDER BY key")
    assert [key for key, _ in kept] == ["9", None]
    assert rejected == len(kept)
    assert all(reasons for _, reasons in kept)
    assert chain.rows("SELECT count(segment_id), count(*) FROM segmentation.shop_assignment") == [
        (assigned, assigned + unassigned)
    ]


@pytest.mark.slow
def test_rule_8_what_was_born_in_a_month_keeps_its_id_when_the_month_runs_again(chain: Chain) -> None:
    """Rule 8: the group born in February is segment 4 in each version of it, also after March was published."""
    add_group(chain.url, MONTHS[1:])
    for month in (JANUARY, FEBRUARY):
        assert chain.run(month).success
    before = _read_segments(chain)
    for month in (FEBRUARY, MARCH, FEBRUARY):
        assert chain.run(month).success
    history = chain.rows(
        "SELECT customer_id, array_agg(segment_id) FROM segmentation.shop_assignment a JOIN segmentation.snapshot USING (snapshot_id) "
        "WHERE partition > %s GROUP BY 1",
        JANUARY,
    )
    assert {customer: set(segments) for customer, segments in history} == {
        customer: {segment} for customer, segment in before.items()
    }
    assert {len(segments) for _, segments in history} == {4}
    assert chain.rows("SELECT next_segment_id FROM segmentation.segmentation") == [(5,)]
    born = "SELECT count(*) FROM segmentation.lineage l JOIN segmentation.snapshot s USING (snapshot_id) WHERE event = 'born' AND segment_id = 4 AND partition = %s"
    assert chain.rows(born, FEBRUARY) == [(3,)]


@pytest.mark.slow
def test_rule_9_a_late_month_marks_the_later_ones_until_they_are_rebuilt(chain: Chain) -> None:
    """Rule 9: the check and `status` name the command; run as it stands, it clears the mark, and no id has changed."""
    for month in (JANUARY, MARCH, MONTHS[3]):
        assert chain.run(month).success
    before = _read_segments(chain)
    assert "older parent" not in _run_command("status", "shop")
    assert chain.run(FEBRUARY).success

    check = _check_parentage(chain)
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    description = check.description or ""
    assert description.startswith(f"{MARCH} built on an older parent. Rebuild:  segmentation backfill shop")
    command = description.partition("Rebuild:  ")[2]
    shown = _run_command("status", "shop")
    assert f"{MARCH} built on an older parent" in shown
    assert command in shown

    _run_command(*shlex.split(command)[1:])

    # April was built on the version of March that is replaced now: that is reported too, until nothing is left
    again = _run_command("status", "shop")
    assert f"{MONTHS[3]} built on an older parent" in again
    found = re.search(r"segmentation (backfill shop --from \S+ --to \S+)", again)
    assert found is not None
    _run_command(*found[1].split())
    assert "older parent" not in _run_command("status", "shop")
    assert _read_segments(chain) == before
    assert chain.rows("SELECT next_segment_id FROM segmentation.segmentation") == [(4,)]


def _check_parentage(chain: Chain) -> dg.AssetCheckEvaluation:
    """Read the latest result of the check `built_on_latest_parent`."""
    key = dg.AssetCheckKey(dg.AssetKey(["shop", "published_segments"]), "built_on_latest_parent")
    record = chain.instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
    assert record.event is not None
    evaluation = record.event.dagster_event.event_specific_data
    assert isinstance(evaluation, dg.AssetCheckEvaluation)
    return evaluation


def test_rule_10_what_waits_cannot_be_gone_around_by_hand(chain: Chain) -> None:
    """Rule 10: while February waits, March is not aligned by hand either, nor published from what was aligned before."""
    add_group(chain.url, (FEBRUARY,))
    for month in (JANUARY, MARCH):
        assert chain.run(month).success
    assert chain.materialize("aligned_segments", MARCH).success
    write_defs(chain.defs, approval="on_change")
    assert chain.run(FEBRUARY).waiting is not None
    before = chain.rows(STATUSES)
    assert before[-1] == (FEBRUARY, 1, "waiting")

    said = _read_failure(chain.materialize("aligned_segments", MARCH))
    assert f"snapshot 4 ({FEBRUARY} v1) waits for a person, so {MARCH} cannot be aligned" in said
    assert chain.rows(STATUSES) == before
    assert "It waits for a person" in _read_failure(chain.materialize("published_segments", FEBRUARY))
    assert chain.rows(STATUSES) == before


def test_rule_11_who_was_emptied_by_a_rollback_is_filled_by_the_next_score(chain: Chain) -> None:
    """Rule 11: the restored snapshot does not know ten customers; they are emptied, and scoring gives them a segment."""
    chain.execute("DELETE FROM facts WHERE month = %s AND customer_id > 290", JANUARY)
    for month in (JANUARY, FEBRUARY):
        assert chain.run(month).success
    before = _read_segments(chain)
    assert None not in before.values()

    assert chain.decide("rollback", snapshot_id=1, who="anna").success

    emptied = {user for user, segment in _read_segments(chain).items() if segment is None}
    assert emptied == set(range(291, 301))
    assert chain.rows("SELECT current_snapshot_id FROM segmentation.segmentation") == [(1,)]
    assert [row[2] for row in chain.rows(STATUSES)] == ["published", "rolled_back"]
    assert "refused" not in _run_command("score", "shop")
    assert _read_segments(chain) == before
    assert "rolled back" in _read_failure(chain.materialize("published_segments", FEBRUARY))
