"""541,909 real order lines, not cleaned: twelve months through the whole chain, compared with scikit-learn."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score

if TYPE_CHECKING:
    from support.real_data import Backfilled

pytestmark = pytest.mark.slow

LAST = "2011-11-01"
PARTITIONS = [*(f"{2010 + month // 12}-{month % 12 + 1:02}-01" for month in range(11, 23))]
# counted without the pipeline's own query: the customers who have a line before the month's end
CUSTOMERS = """
SELECT to_char(month, 'YYYY-MM-DD'), count(DISTINCT "CustomerID")
FROM generate_series(timestamp '2010-12-01', '2011-11-01', '1 month') AS month
JOIN online_retail ON "InvoiceDate" < month + interval '1 month'
GROUP BY month ORDER BY month
"""
TOLERANCE = 0.005


@pytest.fixture(scope="module")
def sweep(online_retail: Backfilled) -> tuple[dict[int, dict[str, Any]], dict[int, np.ndarray], np.ndarray]:
    """The last month's candidates and centers by K, and the matrix they were found on."""
    run_id = online_retail.rows("SELECT run_id FROM segmentation.snapshot WHERE partition = %s", LAST)[0][0]
    swept = online_retail.artifact("k_sweep", run_id)
    candidates = {
        candidate["k"]: candidate for candidate in json.loads((swept / "sweep.json").read_text())["candidates"]
    }
    centers = {int(k): np.asarray(rows) for k, rows in json.loads((swept / "centers.json").read_text()).items()}
    with pa.memory_map(str(online_retail.artifact("encoded_features", run_id) / "matrix.arrow")) as file:
        features = pa.ipc.open_file(file).read_all().column("features").combine_chunks()
        matrix = features.flatten().to_numpy().reshape(len(features), -1).astype(np.float64)
    return candidates, centers, matrix


def test_twelve_months_run_and_are_published(online_retail: Backfilled) -> None:
    """The backfill succeeds, and every month is published with the month before as its parent."""
    assert online_retail.exit_code == 0, online_retail.output
    found = online_retail.rows("""SELECT s.partition, s.version, s.status, p.partition FROM segmentation.snapshot s
        LEFT JOIN segmentation.snapshot p ON p.snapshot_id = s.parent_snapshot_id ORDER BY s.partition""")
    parents = [None, *PARTITIONS[:-1]]
    assert found == [(month, 1, "published", parent) for month, parent in zip(PARTITIONS, parents, strict=True)]


def test_every_customer_is_accounted_for_in_every_month(online_retail: Backfilled) -> None:
    """Extracted = assigned + unassigned + rejected, and extracted is what an independent query counts."""
    found = online_retail.rows(
        "SELECT partition, n_rows, n_assigned, n_unassigned, n_rejected FROM segmentation.snapshot ORDER BY partition"
    )
    assert [row[1] - sum(row[2:]) for row in found] == [0] * 12
    assert [row[:2] for row in found] == online_retail.rows(CUSTOMERS)
    history = "SELECT count(*), count(segment_id) FROM segmentation.online_retail_assignment GROUP BY snapshot_id"
    assert sorted(online_retail.rows(history)) == sorted((row[2], row[2]) for row in found)


def test_rejected_customers_are_kept_with_their_reasons(online_retail: Backfilled) -> None:
    """Customers who returned everything, or more than they bought, are rejected for the net spend, and no others."""
    stored = online_retail.rows(
        "SELECT partition, count(*) FROM segmentation.online_retail_rejected GROUP BY 1 ORDER BY 1"
    )
    counted = online_retail.rows("SELECT partition, n_rejected FROM segmentation.snapshot ORDER BY partition")
    assert stored == counted
    net = """SELECT "CustomerID"::text FROM online_retail WHERE "CustomerID" IS NOT NULL AND "InvoiceDate" < '2011-12-01'
             GROUP BY 1 HAVING sum("Quantity" * "UnitPrice") <= 0 ORDER BY 1"""
    rejected = """SELECT key FROM segmentation.online_retail_rejected
                  WHERE partition = %s AND 'spend: below 0.01' = ANY(reasons) ORDER BY key"""
    found = online_retail.rows(rejected, LAST)
    assert found == online_retail.rows(net)
    assert ("12346",) in found  # bought for 77,184 pounds and sent it all back a quarter of an hour later


def test_every_assigned_customer_has_a_segment_in_the_target(online_retail: Backfilled) -> None:
    """The target shows the last month's segment for each of its customers, also for those with the extreme orders."""
    differs = online_retail.rows(
        """SELECT count(*) FROM segmentation.online_retail_assignment a
           JOIN segmentation.snapshot s USING (snapshot_id) LEFT JOIN user_analytics u ON u.user_id = a.customer_id
           WHERE s.partition = %s AND u.segment_id IS DISTINCT FROM a.segment_id""",
        LAST,
    )
    assert differs == [(0,)]
    with_segment = online_retail.rows("SELECT count(segment_id), count(last_updated) FROM user_analytics")[0]
    assigned = online_retail.rows("SELECT n_assigned FROM segmentation.snapshot WHERE partition = %s", LAST)[0][0]
    assert with_segment[0] >= assigned
    assert with_segment[0] == with_segment[1]
    extreme = online_retail.rows("SELECT segment_id FROM user_analytics WHERE user_id = 16446")
    assert extreme[0][0] is not None


def test_no_blocking_gate_fails(online_retail: Backfilled) -> None:
    """Every gate is recorded for each of the twelve months, and all blocking gates passed with the default thresholds."""
    gates = online_retail.rows("SELECT name, count(*) FROM segmentation.gate GROUP BY name")
    assert {"counts_add_up", "max_rejected_share", "max_row_drop", "min_segment_share"} <= {name for name, _ in gates}
    assert {n_months for _, n_months in gates} == {12}
    failed = "SELECT partition, name, message FROM segmentation.gate JOIN segmentation.snapshot USING (snapshot_id)"
    assert online_retail.rows(f"{failed} WHERE NOT passed AND severity = 'block'") == []


def test_inertia_equals_an_independent_fit(sweep: Any) -> None:
    """For each K the sweep's inertia is no more than half a percent above scikit-learn's own best of twenty starts."""
    candidates, _, matrix = sweep
    assert list(candidates) == list(range(2, 11))
    ours = {k: candidate["inertia"] for k, candidate in candidates.items()}
    theirs = {k: KMeans(k, n_init=20, random_state=1).fit(matrix).inertia_ for k in candidates}
    # below it is a better optimum than scikit-learn's, by little: the data is the same
    assert {k: ours[k] / theirs[k] for k in ours} == pytest.approx(dict.fromkeys(ours, 1.0), abs=4 * TOLERANCE)
    assert {k: ours[k] / theirs[k] for k in ours if ours[k] > theirs[k] * (1 + TOLERANCE)} == {}


def test_silhouette_equals_scikit_learn_s_on_the_same_labels(sweep: Any) -> None:
    """For each K the sweep's silhouette is scikit-learn's for the labels of the nearest saved center."""
    candidates, centers, matrix = sweep
    labels = {k: _find_nearest(matrix, centers[k]) for k in candidates}
    theirs = {k: float(silhouette_score(matrix, labels[k])) for k in candidates}
    assert {k: candidate["silhouette"] for k, candidate in candidates.items()} == pytest.approx(theirs, rel=TOLERANCE)
    assert {k: candidate["inertia"] for k, candidate in candidates.items()} == pytest.approx(
        {k: float(np.square(matrix - centers[k][labels[k]]).sum()) for k in candidates}, rel=1e-6
    )


def _find_nearest(matrix: np.ndarray, centers: np.ndarray) -> np.ndarray:
    return np.square(matrix[:, None, :] - centers[None]).sum(axis=2).argmin(axis=1)


def test_the_life_of_every_segment_can_be_read(online_retail: Backfilled, capsys: pytest.CaptureFixture[str]) -> None:
    """Each month's segments add up to its customers, and each begins or goes on in the lineage exactly once."""
    months = online_retail.rows(
        "SELECT snapshot_id, partition, k, n_assigned, metrics->>'n_moved', metrics->>'n_shared' "
        "FROM segmentation.snapshot ORDER BY partition"
    )
    with capsys.disabled():
        print()
        for snapshot_id, partition, k, n_assigned, n_moved, n_shared in months:
            sizes = dict(
                online_retail.rows(
                    "SELECT segment_id, sum(n_customers)::int FROM segmentation.centroid WHERE snapshot_id = %s "
                    "GROUP BY segment_id ORDER BY segment_id",
                    snapshot_id,
                )
            )
            events = online_retail.rows(
                "SELECT segment_id, event, other_segment_id FROM segmentation.lineage WHERE snapshot_id = %s ORDER BY 1",
                snapshot_id,
            )
            happened = ", ".join(
                f"{segment} {event} {other or ''}".strip() for segment, event, other in events if event != "kept"
            )
            print(f"{partition[:7]} K {k} {sizes} moved {n_moved}/{n_shared} {happened}")
            assert sum(sizes.values()) == n_assigned
            assert len(sizes) == k
            living = [segment for segment, event, _ in events if event in {"kept", "born", "returned"}]
            assert sorted(living) == sorted(sizes)
