"""The whole chain in one process, on real PostgreSQL."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import dagster as dg
import pytest
from support.three_groups import MONTHS, N_CUSTOMERS, drop_most_rows, find_group, write_defs

from segmentation_pipeline.orchestration.stages import CHAIN

if TYPE_CHECKING:
    from support.chain import Chain

PARENTS = """SELECT s.partition, s.version, s.status, p.partition FROM segmentation.snapshot s
             LEFT JOIN segmentation.snapshot p ON p.snapshot_id = s.parent_snapshot_id
             WHERE s.segmentation = 'shop' ORDER BY s.partition, s.version"""


def _group_segments(chain: Chain, column: str = "segment_id") -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    for user, segment in chain.rows(f"SELECT user_id, {column} FROM target"):
        found.setdefault(find_group(user), set()).add(segment)
    return found


def test_months_keep_their_ids_and_have_the_month_before_as_parent(chain: Chain) -> None:
    """In three months in a row each group has one segment id, the same in every month."""
    before = None
    for month in MONTHS[:3]:
        assert chain.run(month).success
        segments = _group_segments(chain)
        assert sorted(len(ids) for ids in segments.values()) == [1, 1, 1]
        assert before in (None, segments)
        before = segments
    assert chain.rows(PARENTS) == [
        (MONTHS[0], 1, "published", None),
        (MONTHS[1], 1, "published", MONTHS[0]),
        (MONTHS[2], 1, "published", MONTHS[1]),
    ]


def test_every_customer_is_accounted_for(chain: Chain) -> None:
    """Extracted = assigned + unassigned + rejected, and each rejected row is kept with its reasons."""
    chain.execute("UPDATE facts SET spend = -5, visits = NULL WHERE customer_id = 7 AND month = %s", MONTHS[0])
    chain.execute("UPDATE facts SET spend = 'NaN' WHERE customer_id = 8 AND month = %s", MONTHS[0])
    assert chain.run(MONTHS[0]).success
    counts = chain.rows("SELECT n_rows, n_assigned, n_unassigned, n_rejected FROM segmentation.snapshot")
    assert counts == [(N_CUSTOMERS, N_CUSTOMERS - 2, 0, 2)]
    rejected = {
        key: set(reasons) for key, reasons in chain.rows('SELECT key, reasons FROM segmentation."shop_rejected"')
    }
    assert rejected == {"7": {"visits: null", "spend: below 0", "spend: log1p needs > -1"}, "8": {"spend: null"}}


def test_a_month_run_again_is_a_second_version_with_the_same_ids(chain: Chain) -> None:
    """A rerun draws another seed, supersedes the first version and changes no customer's segment."""
    chain.run(MONTHS[0])
    chain.run(MONTHS[1])
    before = chain.rows("SELECT user_id, segment_id, last_updated FROM target ORDER BY 1")
    again = chain.run(MONTHS[1])
    assert again.success
    assert again.changed == 0
    assert chain.rows("SELECT user_id, segment_id, last_updated FROM target ORDER BY 1") == before
    rows = chain.rows(
        "SELECT version, status, seed FROM segmentation.snapshot WHERE partition = %s ORDER BY 1", MONTHS[1]
    )
    assert [row[:2] for row in rows] == [(1, "superseded"), (2, "published")]
    assert rows[0][2] != rows[1][2]


def test_the_first_month_run_again_keeps_the_ids_born_in_it(chain: Chain) -> None:
    """Ids that were born in a replaced version are found again although there is no parent (rule 8)."""
    chain.run(MONTHS[0])
    before = _group_segments(chain)
    chain.run(MONTHS[0])
    assert _group_segments(chain) == before
    assert chain.rows("SELECT next_segment_id FROM segmentation.segmentation") == [(4,)]


def test_a_month_whose_gate_fails_is_not_published_and_is_no_parent(chain: Chain) -> None:
    """The spoilt month changes nothing, not even when published by hand, and the next month's parent is the last good one."""
    drop_most_rows(chain.url, MONTHS[1])
    chain.run(MONTHS[0])
    target = chain.rows("SELECT * FROM target ORDER BY 1")
    spoilt = chain.run(MONTHS[1])
    assert not spoilt.success
    assert "max_row_drop" in spoilt.problems[0]
    assert "60 rows, 300 in 2024-01-01" in spoilt.problems[0]
    by_hand = chain.materialize("published_segments", MONTHS[1])
    assert not by_hand.success
    assert chain.rows("SELECT * FROM target ORDER BY 1") == target
    assert chain.run(MONTHS[2]).success
    assert chain.rows(PARENTS) == [
        (MONTHS[0], 1, "published", None),
        (MONTHS[1], 1, "rejected", MONTHS[0]),
        (MONTHS[2], 1, "published", MONTHS[0]),
    ]
    gates = dict(
        chain.rows(
            "SELECT g.name, g.passed FROM segmentation.gate g JOIN segmentation.snapshot s USING (snapshot_id) WHERE s.status = 'rejected'"
        )
    )
    assert [name for name, passed in gates.items() if not passed] == ["max_row_drop"]


def test_a_failed_rerun_leaves_the_published_version(chain: Chain) -> None:
    """A second version that its gates reject does not touch the first."""
    chain.run(MONTHS[0])
    chain.run(MONTHS[1])
    drop_most_rows(chain.url, MONTHS[1])
    assert not chain.run(MONTHS[1]).success
    statuses = chain.rows(
        "SELECT version, status FROM segmentation.snapshot WHERE partition = %s ORDER BY 1", MONTHS[1]
    )
    assert statuses == [(1, "published"), (2, "rejected")]


def test_an_older_month_writes_history_and_not_the_target(chain: Chain) -> None:
    """A month that is run late has its own history, the ids of the later one, and does not change the target (rules 6, 9)."""
    chain.run(MONTHS[2])
    target = chain.rows("SELECT * FROM target ORDER BY 1")
    assert chain.run(MONTHS[0]).success
    assert chain.rows("SELECT * FROM target ORDER BY 1") == target
    by_snapshot = chain.rows(
        "SELECT customer_id, count(DISTINCT segment_id), count(*) FROM segmentation.shop_assignment GROUP BY 1"
    )
    assert {row[1:] for row in by_snapshot} == {(1, 2)}


def test_the_second_publication_of_a_snapshot_changes_nothing(chain: Chain) -> None:
    """Materializing published_segments again by hand succeeds and touches no row."""
    chain.run(MONTHS[0])
    before = chain.rows("SELECT xmin::text, * FROM target ORDER BY 2")
    assert chain.materialize("published_segments", MONTHS[0]).success
    assert chain.rows("SELECT xmin::text, * FROM target ORDER BY 2") == before


def test_materializations_carry_versions_and_the_source_version_follows_the_data(chain: Chain) -> None:
    """Code and data versions are on every materialization; raw_extract's data version changes only with the rows."""
    versions = []
    for _ in range(2):
        chain.run(MONTHS[0])
        versions.append(_read_data_version(chain, "raw_extract"))
    chain.execute("UPDATE facts SET spend = spend + 1 WHERE customer_id = 1 AND month = %s", MONTHS[0])
    chain.run(MONTHS[0])
    versions.append(_read_data_version(chain, "raw_extract"))
    assert versions[0] == versions[1] != versions[2]
    for stage in CHAIN:
        tags = _read_latest(chain, stage.name).tags or {}
        assert len(tags["dagster/data_version"]) == 16
        assert tags["dagster/code_version"].startswith("0.")


def test_retention_keeps_the_newest_periods(chain: Chain) -> None:
    """Older artifacts and assignments are gone, newer ones and every snapshot stay, and the next month still aligns."""
    write_defs(chain.defs, extra="retention: {artifacts: 2, assignments: 2}")
    for month in MONTHS[:4]:
        assert chain.run(month).success
    from segmentation_pipeline.orchestration.discovery import segmentations

    folders = {folder.name for folder in (segmentations()["shop"].store.root / "final_fit").iterdir()}
    assert folders == set(MONTHS[2:4])
    kept = "SELECT DISTINCT s.partition FROM segmentation.shop_assignment JOIN segmentation.snapshot s USING (snapshot_id) ORDER BY 1"
    assert chain.rows(kept) == [(MONTHS[2],), (MONTHS[3],)]
    assert chain.rows(
        "SELECT count(*), max(next_segment_id) FROM segmentation.snapshot, segmentation.segmentation"
    ) == [(4, 4)]


def test_two_segmentations_live_side_by_side(chain: Chain) -> None:
    """A second folder is a second segmentation with its own snapshots, ids and column."""
    write_defs(chain.defs, "vip", features="auto", column="other_id")
    assert chain.run(MONTHS[0]).success
    assert chain.run(MONTHS[0], name="vip").success
    counts = dict(chain.rows("SELECT segmentation, count(*) FROM segmentation.snapshot GROUP BY 1"))
    assert counts == {"shop": 1, "vip": 1}
    assert all(len(ids) == 1 for ids in _group_segments(chain, "other_id").values())


def test_a_source_without_usable_rows_fails_before_any_fit(chain: Chain) -> None:
    """A source without rows ends with a clear message and without a snapshot."""
    chain.execute("DELETE FROM facts WHERE month = %s", MONTHS[0])
    outcome = chain.run(MONTHS[0])
    assert not outcome.success
    assert "0 rows for 2024-01-01" in outcome.problems[0]
    chain.execute("INSERT INTO facts SELECT g, %s, 1, 1, 'basic' FROM generate_series(1, 50) g", MONTHS[0])
    outcome = chain.run(MONTHS[0])
    assert not outcome.success
    assert "1 distinct rows cannot be split into 2 clusters" in outcome.problems[0]
    assert chain.rows("SELECT count(*) FROM segmentation.snapshot") == [(0,)]


def test_a_target_that_lacks_its_column_is_reported_before_the_work(chain: Chain) -> None:
    """The first asset fails with the ALTER TABLE to run."""
    chain.execute("ALTER TABLE target DROP COLUMN segment_id")
    outcome = chain.run(MONTHS[0])
    assert not outcome.success
    assert 'ALTER TABLE "public"."target" ADD COLUMN "segment_id" integer;' in outcome.problems[0]
    assert chain.instance.get_latest_materialization_event(dg.AssetKey(["shop", "raw_extract"])) is None


def test_a_feature_that_disappears_falls_back_to_the_customers_own_history(chain: Chain) -> None:
    """Without the parent's columns the ids follow from the customers' previous segments."""
    chain.run(MONTHS[0])
    before = _group_segments(chain)
    text = (chain.defs / "shop" / "defs.yaml").read_text()
    text = text.replace("visits, spend, plan FROM", "spend, plan FROM").replace(
        "    - {column: visits, kind: numeric, transform: log1p, min: 0}\n", ""
    )
    (chain.defs / "shop" / "defs.yaml").write_text(text)
    assert chain.run(MONTHS[1]).success
    assert _group_segments(chain) == before
    evidence = chain.rows("SELECT metrics->>'evidence' FROM segmentation.snapshot WHERE partition = %s", MONTHS[1])
    assert "visits" in evidence[0][0]


def test_the_saved_model_reproduces_the_written_labels(chain: Chain) -> None:
    """The encoding and the model that are stored in the database label the validated rows exactly as the history does."""
    import numpy as np

    from segmentation_pipeline.analysis.clustering.labelling import assign
    from segmentation_pipeline.analysis.features.encoding import transform
    from segmentation_pipeline.model import Encoding, FittedModel
    from segmentation_pipeline.orchestration.discovery import segmentations

    run = chain.run(MONTHS[0])
    encoding, model = chain.rows("SELECT encoding, model FROM segmentation.snapshot")[0]
    frame = segmentations()["shop"].store.open("validated_rows", MONTHS[0], run.run_id).frame("rows")
    matrix = transform(frame, Encoding.from_json(encoding)).matrix
    labels = assign(matrix, FittedModel.from_json(json.loads(json.dumps(model)))).labels
    written = dict(chain.rows("SELECT customer_id, segment_id FROM segmentation.shop_assignment"))
    assert np.array_equal(labels, [written[customer] for customer in frame["customer_id"]])


@pytest.mark.parametrize(
    ("stage", "plots"),
    [
        ("k_sweep", {"inertia_and_silhouette", "silhouettes"}),
        ("aligned_segments", {"customers", "sizes", "profiles"}),
    ],
)
def test_plots_are_on_the_materializations(chain: Chain, stage: str, plots: set[str]) -> None:
    """The figures of the sweep and of the segments are PNG images in the metadata."""
    chain.run(MONTHS[0])
    metadata = _read_latest(chain, stage).metadata
    pictures = {name for name, value in metadata.items() if "data:image/png;base64,iVBOR" in str(value.value)}
    assert pictures == plots


def _read_latest(chain: Chain, stage: str) -> dg.AssetMaterialization:
    event = chain.instance.get_latest_materialization_event(dg.AssetKey(["shop", stage]))
    assert event is not None
    assert event.asset_materialization is not None
    return event.asset_materialization


def _read_data_version(chain: Chain, stage: str) -> str:
    return (_read_latest(chain, stage).tags or {})["dagster/data_version"]
