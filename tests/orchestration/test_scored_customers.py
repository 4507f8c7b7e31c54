"""Scoring between two fits: the whole chain, then new and changed customers with the model that it published."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import numpy as np
import pytest
from click.testing import CliRunner
from support.three_groups import GROUPS, MONTHS, N_CUSTOMERS, write_defs

from segmentation_pipeline.cli import main
from segmentation_pipeline.orchestration.discovery import load_definitions, segmentations
from segmentation_pipeline.orchestration.jobs import SCORE_CRON, score_job_name
from segmentation_pipeline.runtime.home import make_dagster_home, make_home

if TYPE_CHECKING:
    from support.chain import Chain

    from segmentation_pipeline.model.receipts import ScoringReceipt
    from segmentation_pipeline.orchestration.runs.execute import ScoredRows, ScoringOutcome

COMMAND = Path(sys.executable).with_name("segmentation")
# scoring is done by the last period once all have ended
LAST = MONTHS[-1]
N_NEW = 1_000
NUMBERS = """
    - {column: visits, kind: numeric, transform: log1p, min: 0}
    - {column: spend, kind: numeric, transform: log1p, min: 0}"""
ANSWERS = "SELECT customer_id, segment_id, distance, second_segment_id FROM segmentation.shop_scored ORDER BY 1"


def _score(chain: Chain, name: str = "shop") -> ScoringOutcome:
    from segmentation_pipeline.orchestration.runs.execute import run_scoring

    return run_scoring(
        segmentations()[name], load_definitions().resolve_job_def(score_job_name(name)), instance=chain.instance
    )


def _get_receipt(outcome: ScoringOutcome) -> ScoringReceipt:
    assert outcome.receipt is not None, outcome.problems
    return outcome.receipt


def _get_rows(outcome: ScoringOutcome) -> ScoredRows:
    assert outcome.rows is not None, outcome.problems
    return outcome.rows


def _publish(chain: Chain) -> None:
    outcome = chain.run(LAST)
    assert outcome.success, outcome.problems


def _add_customers(chain: Chain, *, n: int = N_NEW, wide: float = 0.8) -> list[tuple[int, float, float, str]]:
    """Add customers between and around the groups to the source and the target; return them as they are stored."""
    import psycopg

    rng = np.random.default_rng(5)
    added = []
    for customer in range(N_CUSTOMERS + 1, N_CUSTOMERS + n + 1):
        visits, spend, _ = GROUPS[customer % 3]
        noise = rng.lognormal(0, wide, 2)
        plan = str(rng.choice(["basic", "gold"]))
        added.append((customer, round(visits * noise[0], 2), round(spend * noise[1], 2), plan))
    with psycopg.connect(chain.url) as connection, connection.cursor() as cursor:
        cursor.executemany(f"INSERT INTO facts SELECT %s, '{LAST}', %s, %s, %s", added)
        cursor.execute(
            "INSERT INTO target SELECT generate_series(%s::integer, %s::integer)", [N_CUSTOMERS + 1, N_CUSTOMERS + n]
        )
    return added


def _encode_by_hand(added: list[tuple[int, float, float, str]], encoding: Any) -> np.ndarray:
    """Encode the rows with the snapshot's JSON and numpy alone."""
    columns = []
    values = {
        "visits": [row[1] for row in added],
        "spend": [row[2] for row in added],
        "plan": [row[3] for row in added],
    }
    for feature in encoding["features"]:
        of = values[feature["column"]]
        if feature["kind"] == "numeric":
            assert feature["transform"] == "log1p"
            number = (np.log1p(np.array(of)) - feature["center"]) / feature["scale"] * feature["weight"]
            columns.append(number)
        else:
            columns += [
                np.array([feature["weight"] if value == category else 0.0 for value in of])
                for category in feature["categories"]
            ]
    return np.column_stack(columns).astype(np.float32).astype(np.float64)


def _read_versions(chain: Chain) -> list[Any]:
    return [
        chain.rows("SELECT user_id, segment_id, last_updated, xmin::text, ctid::text FROM target ORDER BY 1"),
        chain.rows("SELECT customer_id, xmin::text, ctid::text FROM segmentation.shop_scored ORDER BY 1"),
        chain.rows("SELECT count(*) FROM segmentation.snapshot"),
    ]


def _check_agreement(chain: Chain) -> None:
    view = dict(chain.rows("SELECT customer_id, segment_id FROM segmentation.shop_current"))
    target = dict(chain.rows("SELECT user_id, segment_id FROM target"))
    assert {user: target[user] for user in view} == view


def test_a_thousand_new_customers_get_the_segments_computed_by_hand(chain: Chain) -> None:
    """Each new label is the nearest centroid of the published snapshot's JSON; no old row is touched, nothing is fitted."""
    _publish(chain)
    old = "SELECT user_id, segment_id, last_updated, xmin::text FROM target WHERE user_id <= %s ORDER BY 1"
    before, added = chain.rows(old, N_CUSTOMERS), _add_customers(chain)

    outcome = _score(chain)

    assert outcome.success, outcome.problems
    receipt, rows = _get_receipt(outcome), _get_rows(outcome)
    assert (rows.extracted, receipt.scored, receipt.new, receipt.moved) == (N_CUSTOMERS + N_NEW, 1_300, N_NEW, 0)
    assert (receipt.changed, receipt.unchanged, rows.rejected, receipt.not_in_target) == (N_NEW, N_CUSTOMERS, 0, 0)
    ((encoding, model),) = chain.rows("SELECT encoding, model FROM segmentation.snapshot")
    distances = np.linalg.norm(
        _encode_by_hand(added, encoding)[:, None, :] - np.array(model["centers"])[None, :, :], axis=2
    )
    order = np.argsort(distances, axis=1)
    labels = np.array(model["labels"])[order]
    assert len(set(labels[:, 0])) == 3
    target = dict(chain.rows("SELECT user_id, segment_id FROM target"))
    assert [target[row[0]] for row in added] == labels[:, 0].tolist()
    written = chain.rows(ANSWERS)
    assert [(row[0], row[1], row[3]) for row in written] == [
        (row[0], first, second) for row, (first, second) in zip(added, labels[:, :2].tolist(), strict=True)
    ]
    np.testing.assert_allclose([row[2] for row in written], np.sort(distances, axis=1)[:, 0], rtol=1e-6)
    assert chain.rows(old, N_CUSTOMERS) == before
    assert chain.rows("SELECT count(*) FROM segmentation.snapshot") == [(1,)]
    _check_agreement(chain)

    versions = _read_versions(chain)
    again = _get_receipt(_score(chain))
    assert (again.changed, again.written, again.new) == (0, 0, N_NEW)
    assert _read_versions(chain) == versions


def test_an_unchanged_table_writes_no_row(chain: Chain) -> None:
    """Scored right after the fit, every customer has the fit's segment, and no row version changes."""
    _publish(chain)
    before = _read_versions(chain)
    outcome = _score(chain)
    assert outcome.success, outcome.problems
    assert (_get_receipt(outcome).changed, _get_receipt(outcome).written, _get_receipt(outcome).moved) == (0, 0, 0)
    assert outcome.warnings == ()
    assert _read_versions(chain) == before


def test_a_customer_who_changed_moves_and_the_next_fit_replaces_the_scores(chain: Chain) -> None:
    """A customer who spends like another group gets its segment; the next publication empties the scores."""
    _publish(chain)
    was, becomes = chain.rows("SELECT segment_id FROM target WHERE user_id IN (3, 5) ORDER BY user_id")
    chain.execute("UPDATE facts SET visits = 30, spend = 400, plan = 'gold' WHERE customer_id = 3 AND month = %s", LAST)
    chain.execute("DELETE FROM facts WHERE customer_id = 8 AND month = %s", LAST)

    outcome = _score(chain)

    assert outcome.success, outcome.problems
    assert (_get_receipt(outcome).moved, _get_receipt(outcome).changed, _get_receipt(outcome).kept) == (1, 1, 1)
    assert becomes != was
    assert chain.rows("SELECT segment_id FROM target WHERE user_id = 3") == [becomes]
    assert chain.rows("SELECT segment_id FROM target WHERE user_id = 8") == [becomes]
    _check_agreement(chain)
    _publish(chain)
    assert chain.rows(ANSWERS) == []
    assert chain.rows("SELECT segment_id FROM segmentation.shop_current WHERE customer_id = 3") == [becomes]
    assert _get_receipt(_score(chain)).changed == 0


def test_rows_that_cannot_be_used_are_rejected_and_everything_adds_up(chain: Chain) -> None:
    """Rejected customers keep their segment and are stored once with their reasons; unknown categories are counted."""
    _publish(chain)
    chain.execute("UPDATE facts SET spend = -5 WHERE customer_id = 7 AND month = %s", LAST)
    chain.execute("UPDATE facts SET plan = 'platinum' WHERE customer_id = 9 AND month = %s", LAST)
    before = chain.rows("SELECT segment_id FROM target WHERE user_id = 7")
    for _ in range(2):
        outcome = _score(chain)
        receipt, rows = _get_receipt(outcome), _get_rows(outcome)
        assert rows.extracted == receipt.scored + rows.rejected == N_CUSTOMERS
        assert (rows.rejected, receipt.kept) == (1, 1)
        assert rows.reasons == {"spend: below 0": 1, "spend: log1p needs > -1": 1}
        assert rows.unknown_categories == {"plan": 1}
    assert chain.rows("SELECT segment_id FROM target WHERE user_id = 7") == before
    rejected = chain.rows("SELECT partition, key, reasons FROM segmentation.shop_rejected")
    assert [(partition, key, set(reasons)) for partition, key, reasons in rejected] == [
        ("scored", "7", {"spend: below 0", "spend: log1p needs > -1"})
    ]


def _replace_in_query(chain: Chain, old: str, new: str) -> None:
    path = chain.defs / "shop" / "defs.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


REFUSED = [
    ("visits, spend, plan FROM", "visits, plan FROM", "spend is not in the source"),
    ("visits, spend, plan", "visits, month AS spend, plan", "spend was numeric, and 300 of 300 values are not"),
    ("visits, spend, plan", "visits, plan AS spend, plan", "300 of 300 values are not, such as "),
    ("visits, spend, plan", "visits, spend, 'x' || plan AS plan", "plan has 300 values, none of which was there"),
    ("    - {column: plan, kind: categorical}\n", "", "plan is no longer a feature"),
    ("    - {column: plan,", "    - {column: tenure, kind: numeric}\n    - {column: plan,", "tenure is a new feature"),
    ("SELECT customer_id,", "SELECT customer_id::text,", "the key of shop is customer_id (integer), and now the source"),
    ("WHERE month", "WHERE customer_id < 0 AND month", "returned 0 rows"),
    ("visits, spend,", "visits, -3 AS spend,", "all 300 rows were rejected"),
]  # fmt: skip


def test_features_that_no_longer_match_are_refused_by_name(chain: Chain) -> None:
    """The message names the column, and neither target nor scores change, whatever no longer matches."""
    _publish(chain)
    before, defs = _read_versions(chain), chain.defs / "shop" / "defs.yaml"
    text = defs.read_text()
    for old, new, message in REFUSED:
        _replace_in_query(chain, old, new)
        outcome = _score(chain)
        assert not outcome.success
        assert message in outcome.problems[0]
        assert (outcome.receipt, outcome.rows) == (None, None)
        assert _read_versions(chain) == before
        defs.write_text(text)
    assert _score(chain).success


def test_another_snapshot_published_meanwhile_is_not_overwritten(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """A publication while customers are being labelled makes the scoring refuse."""
    from segmentation_pipeline.orchestration.assets import scored_customers

    _publish(chain)
    real = scored_customers.score_as_fitted

    def publish_and_score(*arguments: Any, **named: Any) -> Any:
        monkeypatch.setattr(scored_customers, "score_as_fitted", real)
        _publish(chain)
        return real(*arguments, **named)

    monkeypatch.setattr(scored_customers, "score_as_fitted", publish_and_score)
    outcome = _score(chain)
    assert not outcome.success
    assert "and now snapshot 2 is the current one" in outcome.problems[0]
    assert _score(chain).success


def test_the_way_of_the_fit_holds_under_another_defs_yaml(chain: Chain) -> None:
    """Options changed since the fit wait for the next one: rows are read, checked and encoded as saved."""
    _publish(chain)
    before = _read_versions(chain)
    _replace_in_query(chain, "spend, kind: numeric, transform: log1p, min: 0", "spend, kind: numeric, min: 100")
    outcome = _score(chain)
    assert outcome.success, outcome.problems
    assert (_get_rows(outcome).rejected, _get_receipt(outcome).written) == (0, 0)
    assert _read_versions(chain) == before


def test_a_snapshot_without_its_features_is_scored_by_those_listed(chain: Chain) -> None:
    """A snapshot records its features, also those that `auto` chose; for one without them the defs.yaml counts."""
    write_defs(chain.defs, features="auto")
    _publish(chain)
    ((features,),) = chain.rows("SELECT metrics->'features' FROM segmentation.snapshot")
    assert [(feature["column"], feature["kind"]) for feature in features] == [
        ("visits", "numeric"), ("spend", "numeric"), ("plan", "categorical")
    ]  # fmt: skip
    chain.execute("UPDATE segmentation.snapshot SET metrics = metrics - 'features'")

    refused = _score(chain)

    assert not refused.success
    wanted = "it does not say how it read its columns. Nobody was scored. Run a fit: segmentation run shop"
    assert wanted in refused.problems[0]
    write_defs(chain.defs)
    listed = _score(chain)
    assert listed.success, listed.problems
    assert _get_receipt(listed).written == 0


def test_a_density_model_leaves_far_customers_unassigned(chain: Chain) -> None:
    """New customers outside every radius have no segment; those inside have the nearest prototype's, computed by hand."""
    write_defs(chain.defs, features=NUMBERS, extra="fit: {algorithm: hdbscan}")
    _publish(chain)
    versions = _read_versions(chain)
    assert _get_receipt(_score(chain)).written == 0
    assert _read_versions(chain) == versions
    added = _add_customers(chain, n=200)

    outcome = _score(chain)

    assert outcome.success, outcome.problems
    ((encoding, model),) = chain.rows("SELECT encoding, model FROM segmentation.snapshot")
    distances = np.linalg.norm(
        _encode_by_hand(added, encoding)[:, None, :] - np.array(model["centers"])[None, :, :], axis=2
    )
    nearest = distances.argmin(axis=1)
    inside = distances.min(axis=1) <= np.array(model["radii"])[nearest]
    expected = [
        label if near else None for label, near in zip(np.array(model["labels"])[nearest].tolist(), inside, strict=True)
    ]
    target = dict(chain.rows("SELECT user_id, segment_id FROM target"))
    assert [target[row[0]] for row in added] == expected
    ((at_fit,),) = chain.rows("SELECT count(*) FROM segmentation.shop_assignment WHERE segment_id IS NULL")
    assert _get_receipt(outcome).unassigned == expected.count(None) + at_fit
    assert _get_receipt(outcome).scored == N_CUSTOMERS + 200
    assert 20 < expected.count(None) < 180
    _check_agreement(chain)
    # with this many customers in no segment a new fit is due
    assert len(outcome.warnings) == 1
    assert "refit: segmentation run shop" in outcome.warnings[0]


def test_dates_are_counted_to_as_of_as_at_the_fit(chain: Chain) -> None:
    """With days, fills, ordinals and components the rows of the fit get the segments of the fit."""
    chain.execute("ALTER TABLE facts ADD COLUMN joined date")
    chain.execute("UPDATE facts SET joined = month - (30 + 200 * (customer_id %% 3) + customer_id %% 7)")
    chain.execute("UPDATE facts SET spend = NULL WHERE customer_id = 31")
    features = """
      columns:
        - {column: visits, kind: numeric, transform: auto, outliers: winsorize}
        - {column: spend, kind: numeric, transform: log1p, missing: indicator}
        - {column: joined, kind: date}
        - {column: plan, kind: categorical, encode: ordinal, order: [basic, gold]}
      pca: 0.95"""
    write_defs(chain.defs, features=features)
    _replace_in_query(chain, "visits, spend, plan FROM", "visits, spend, plan, joined FROM")
    _publish(chain)
    before = _read_versions(chain)
    outcome = _score(chain)
    assert outcome.success, outcome.problems
    assert (_get_receipt(outcome).written, _get_receipt(outcome).scored) == (0, N_CUSTOMERS)
    assert _get_rows(outcome).missing_values == {"spend": 1}
    assert _read_versions(chain) == before


def test_the_chain_s_job_does_not_score(chain: Chain) -> None:
    """A period's run is the seven stages; scoring is an asset of its own, without partitions, with a check that warns."""
    definitions = load_definitions()
    _publish(chain)
    key = dg.AssetKey(["shop", "scored_customers"])
    assert chain.instance.get_latest_materialization_event(key) is None
    assert key not in definitions.resolve_job_def("shop").asset_layer.selected_asset_keys
    assert definitions.resolve_job_def("shop_score").asset_layer.selected_asset_keys == {key}
    node = definitions.resolve_asset_graph().get(key)
    assert (node.partitions_def, node.group_name) == (None, "shop")
    assert {parent.path[-1] for parent in node.parent_keys} == {"published_segments"}
    _score(chain)
    event = chain.instance.get_latest_materialization_event(key)
    assert event is not None
    assert event.asset_materialization is not None
    assert event.asset_materialization.metadata["scored"].value == N_CUSTOMERS


@pytest.mark.parametrize(
    ("extra", "cron", "status"),
    [
        ("", SCORE_CRON, dg.DefaultScheduleStatus.STOPPED),
        ('schedule: {score: "30 5 * * MON"}', "30 5 * * MON", dg.DefaultScheduleStatus.RUNNING),
    ],
)
def test_scoring_has_a_schedule_of_its_own(
    chain: Chain, extra: str, cron: str, status: dg.DefaultScheduleStatus
) -> None:
    """`schedule.score` switches it on; without it the schedule is there to be switched on in the UI."""
    write_defs(chain.defs, extra=extra)
    repository = load_definitions().get_repository_def()
    schedule = repository.get_schedule_def("shop_score_schedule")
    assert (schedule.cron_schedule, schedule.default_status) == (cron, status)
    with dg.build_schedule_context(instance=chain.instance, repository_def=repository) as context:
        requests = schedule.evaluate_tick(context).run_requests or []
    assert [request.partition_key for request in requests] == [None]


def test_the_command_reports_what_it_did_and_ends_with_the_contract_s_codes(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before a publication the code is 1, with the next step; after it 0; without a column 1, with its name."""
    monkeypatch.setenv("DAGSTER_HOME", str(make_dagster_home(make_home())))
    command = CliRunner()
    early = command.invoke(main, ["score", "shop"])
    assert early.exit_code == 1
    assert "shop has no published snapshot to score by. Publish one first: segmentation run shop" in early.stdout
    _publish(chain)
    _add_customers(chain, n=30, wide=2.5)
    chain.execute("DELETE FROM target WHERE user_id = 330")
    chain.execute("UPDATE facts SET spend = -5 WHERE customer_id = 7 AND month = %s", LAST)

    done = subprocess.run(
        [COMMAND, "score", "shop"], env=os.environ.copy(), capture_output=True, text=True, timeout=240, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    line, warning = done.stdout.splitlines()
    assert line == (
        f"shop: 329 customers scored by snapshot 1 ({LAST}): 30 new, 0 in another segment than at the fit, 29 rows of "
        "public.target changed, 299 unchanged, 1 rejected (see segmentation.shop_rejected), 1 not scored today keep "
        "their segment, 1 are not in the target, for example 330"
    )
    assert warning.startswith("  warning: ")
    assert "of 329 customers" in warning
    assert warning.endswith("refit: segmentation run shop")
    _replace_in_query(chain, "visits, spend, plan FROM", "visits, plan FROM")
    refused = command.invoke(main, ["score", "shop"])
    assert refused.exit_code == 1
    assert "spend is not in the source" in refused.stdout
    assert "Traceback" not in early.output + done.stdout + done.stderr + refused.output
