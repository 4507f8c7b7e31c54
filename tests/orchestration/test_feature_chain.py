"""Dates, outliers and principal components through the whole chain, on real PostgreSQL."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.parquet as pq
import pytest
from support.three_groups import MONTHS, N_CUSTOMERS, find_group, write_defs

if TYPE_CHECKING:
    from pathlib import Path

    from support.chain import Chain

FEATURES = """
    columns:
      - {column: visits, kind: numeric, transform: auto, outliers: winsorize, winsorize: [0.02, 0.98]}
      - {column: spend, kind: numeric, transform: log1p, outliers: remove, fence: 1.5, missing: median}
      - {column: joined, kind: date, max: 3650}
      - {column: plan, kind: categorical, encode: ordinal, order: [basic, gold]}
    pca: 0.95"""
RICH = 17


def _add_dates(chain: Chain) -> None:
    """Give every customer a day of joining, by group; one customer is extreme, one has no spend, one has a future date."""
    chain.execute("ALTER TABLE facts ADD COLUMN joined date")
    chain.execute("UPDATE facts SET joined = month - (30 + 200 * (customer_id %% 3) + customer_id %% 7)")
    chain.execute("UPDATE facts SET spend = 9999999 WHERE customer_id = %s", RICH)
    chain.execute("UPDATE facts SET spend = NULL WHERE customer_id = 31")
    chain.execute("UPDATE facts SET joined = '2030-01-01' WHERE customer_id = 40 AND month = %s", MONTHS[0])
    chain.execute("UPDATE facts SET joined = NULL WHERE customer_id = 41 AND month = %s", MONTHS[0])
    write_defs(chain.defs, features=FEATURES)
    path = chain.defs / "shop" / "defs.yaml"
    path.write_text(path.read_text().replace("visits, spend, plan FROM", "visits, spend, plan, joined FROM"))


def _open_artifact(chain: Chain, stage: str, run_id: str, partition: str) -> Path:
    from segmentation_pipeline.orchestration.discovery import segmentations

    return segmentations()["shop"].store.folder(stage, partition, run_id)


def test_dates_outliers_and_components_go_through_the_chain(chain: Chain) -> None:
    """Every customer is labelled or rejected, the outlier is not part of the fit, and the ids stay in the next month."""
    _add_dates(chain)
    first = chain.run(MONTHS[0])
    assert first.success, first.problems

    counts = chain.rows("SELECT n_rows, n_assigned, n_unassigned, n_rejected FROM segmentation.snapshot")
    assert counts == [(N_CUSTOMERS, N_CUSTOMERS - 2, 0, 2)]
    rejected = dict(chain.rows('SELECT key, reasons FROM segmentation."shop_rejected"'))
    assert rejected == {"40": ["joined: after as_of"], "41": ["joined: null"]}
    labelled = dict(chain.rows("SELECT customer_id, segment_id FROM segmentation.shop_assignment"))
    assert RICH in labelled
    assert 31 in labelled

    days = pq.read_table(_open_artifact(chain, "validated_rows", first.run_id, MONTHS[0]) / "rows.parquet").to_pandas()
    # joined 30 + 200 + 1 days before the month began, and the month has 31
    assert days.set_index("customer_id").loc[1, "joined"] == 31 + 30 + 200 + 1
    encoded = _open_artifact(chain, "encoded_features", first.run_id, MONTHS[0])
    outliers = pq.read_table(encoded / "outliers.parquet").column("row").to_pylist()
    assert [int(days["customer_id"].iloc[row]) for row in outliers] == [RICH]
    encoding = json.loads((encoded / "encoding.json").read_text())
    assert sum(encoding["pca"]["explained"]) > 0.95
    swept = json.loads((_open_artifact(chain, "k_sweep", first.run_id, MONTHS[0]) / "sweep.json").read_text())
    assert swept["n_rows"] == N_CUSTOMERS - 3

    second = chain.run(MONTHS[1])
    assert second.success, second.problems
    kept = dict(
        chain.rows(
            "SELECT customer_id, segment_id FROM segmentation.shop_assignment JOIN segmentation.snapshot USING (snapshot_id) WHERE partition = %s",
            MONTHS[1],
        )
    )
    usual = [customer for customer in labelled if customer != RICH]
    assert {customer: kept[customer] for customer in usual} == {customer: labelled[customer] for customer in usual}
    assert len({(find_group(customer), labelled[customer]) for customer in usual}) == 3


def test_the_saved_encoding_reproduces_the_matrix(chain: Chain) -> None:
    """The encoding and the model in the database label the validated rows, one by one, as they were labelled."""
    from segmentation_pipeline.analysis.clustering.labelling import assign
    from segmentation_pipeline.analysis.features.encoding import transform
    from segmentation_pipeline.model import Encoding, FittedModel
    from segmentation_pipeline.orchestration.discovery import segmentations

    _add_dates(chain)
    run = chain.run(MONTHS[0])
    encoding, model = chain.rows("SELECT encoding, model FROM segmentation.snapshot")[0]
    store = segmentations()["shop"].store
    frame = store.open("validated_rows", MONTHS[0], run.run_id).frame("rows")
    _, matrix = store.open("encoded_features", MONTHS[0], run.run_id).matrix()
    saved = Encoding.from_json(encoding)

    alone = np.vstack([transform(frame.iloc[[row]], saved).matrix for row in range(len(frame))])

    np.testing.assert_array_equal(alone, matrix)
    written = dict(chain.rows("SELECT customer_id, segment_id FROM segmentation.shop_assignment"))
    labels = assign(alone, FittedModel.from_json(json.loads(json.dumps(model)))).labels
    assert labels.tolist() == [written[customer] for customer in frame["customer_id"]]


def test_a_date_that_is_no_longer_a_feature_leaves_the_ids_to_the_history(chain: Chain) -> None:
    """The parent's encoding reads days; a month that has the column only as dates uses the customers' segments."""
    _add_dates(chain)
    assert chain.run(MONTHS[0]).success
    before = dict(chain.rows("SELECT customer_id, segment_id FROM segmentation.shop_assignment"))
    path = chain.defs / "shop" / "defs.yaml"
    path.write_text(path.read_text().replace("      - {column: joined, kind: date, max: 3650}\n", ""))

    assert chain.run(MONTHS[1]).success

    evidence = chain.rows("SELECT metrics->>'evidence' FROM segmentation.snapshot WHERE partition = %s", MONTHS[1])
    assert "its encoding needs joined" in evidence[0][0]
    after = dict(chain.rows("SELECT user_id, segment_id FROM target"))
    usual = [customer for customer in before if customer != RICH]
    assert [after[customer] for customer in usual] == [before[customer] for customer in usual]


def test_a_mistake_inside_the_mapping_is_reported_with_its_field(chain: Chain) -> None:
    """An error below `features.columns` names the feature's field, and an error in the mapping says what it may contain."""
    from segmentation_pipeline.errors import SpecError
    from segmentation_pipeline.orchestration.discovery import segmentations

    for features, message in (
        (
            "{columns: [{column: spend, kind: numeric, transform: cube}]}",
            "features.columns.0.transform: 'cube' is not one of none, log1p",
        ),
        ("{columns: auto, components: 3}", "features: there is no components; a mapping has `columns` and `pca`"),
        ("{columns: auto, pca: 1.5}", "features.pca: should be less than 1; this is 1.5"),
    ):
        write_defs(chain.defs, features=features)
        with pytest.raises(SpecError) as refused:
            segmentations()
        assert message in str(refused.value)
