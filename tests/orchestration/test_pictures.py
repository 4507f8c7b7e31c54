"""What a month shows in the UI, and that its numbers are the saved ones."""

from __future__ import annotations

import base64
import json
import struct
from typing import TYPE_CHECKING

import dagster as dg
import numpy as np
import pyarrow.parquet as pq
from support.three_groups import MONTHS, N_CUSTOMERS, write_defs

if TYPE_CHECKING:
    from support.chain import Chain


def _read_png(value: dg.MetadataValue) -> tuple[int, int]:
    """Return width and height of the picture inside the markdown."""
    data = base64.b64decode(str(value.value).rpartition("base64,")[2].rstrip(")"))
    assert data.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", data[16:24])
    return width, height


def _read_shown(chain: Chain, stage: str) -> dict[str, dg.MetadataValue]:
    event = chain.instance.get_latest_materialization_event(dg.AssetKey(["shop", stage]))
    assert event is not None
    assert event.asset_materialization is not None
    return dict(event.asset_materialization.metadata)


def test_pictures_and_rules_come_from_what_is_saved(chain: Chain) -> None:
    """The sweep's silhouettes and the segments' sizes, profiles and rules are shown, and are saved in the artifacts."""
    from segmentation_pipeline.orchestration.discovery import segmentations

    features = """
    - {column: visits, kind: numeric, transform: log1p, min: 0}
    - {column: spend, kind: numeric, transform: log1p, min: 0}
    - {column: plan, kind: categorical}"""
    write_defs(chain.defs, features=features, extra="fit: {k: 3}")
    outcome = chain.run(MONTHS[0])
    assert outcome.success, outcome.problems

    swept = segmentations()["shop"].store.folder("k_sweep", MONTHS[0], outcome.run_id)
    table = pq.read_table(swept / "silhouettes.parquet").to_pandas()
    sweep = json.loads((swept / "sweep.json").read_text())
    assert _read_png(_read_shown(chain, "k_sweep")["silhouettes"])[0] == 792
    # all three hundred customers are shown, so the mean of the picture is the one that is reported
    assert (len(table), sorted(table["cluster"].unique())) == (N_CUSTOMERS, [0, 1, 2])
    chosen = next(candidate for candidate in sweep["candidates"] if candidate["k"] == 3)
    assert np.isclose(table["silhouette"].mean(), chosen["silhouette"])
    assert np.allclose(table.groupby("cluster")["silhouette"].mean(), sweep["cluster_silhouettes"])

    shown = _read_shown(chain, "aligned_segments")
    assert {_read_png(shown[name])[0] for name in ("sizes", "profiles", "customers")} == {792}
    aligned = segmentations()["shop"].store.folder("aligned_segments", MONTHS[0], outcome.run_id)
    rules = json.loads((aligned / "rules.json").read_text())
    assert rules["fidelity"] == shown["rules_fidelity"].value == 1.0
    assert rules["by_segment"] == {"1": 1.0, "2": 1.0, "3": 1.0}
    for rule in rules["rules"]:
        assert f"| {rule['condition']} | {rule['segment_id']} | 100% of 100 |" in str(shown["rules"].value)
    profiles = json.loads((aligned / "profiles.json").read_text())
    stored = dict(chain.rows("SELECT segment_id, profile FROM segmentation.centroid WHERE ordinal = 0"))
    assert {int(segment): profile["figures"] for segment, profile in profiles.items()} == stored
    assert set(profiles["1"]["scores"]) == {"visits", "spend", "plan is basic"}
