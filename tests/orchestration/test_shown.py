"""What the UI shows about assets, checks and jobs: everything has an explanation, and every column a source."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dagster as dg
import pytest
from support.three_groups import MONTHS, N_CUSTOMERS, write_defs

from segmentation_pipeline.orchestration.metadata.columns import LINEAGE, SCHEMA, TABLE_NAME
from segmentation_pipeline.orchestration.metadata.meanings import EVERYWHERE
from segmentation_pipeline.orchestration.stages import SCORED_CUSTOMERS, STAGES

if TYPE_CHECKING:
    from support.chain import Chain

TABLES = (
    "raw_extract",
    "validated_rows",
    "encoded_features",
    "final_fit",
    "aligned_segments",
    "published_segments",
    SCORED_CUSTOMERS.name,
)
SHOWN = {stage.name: stage.shows for stage in STAGES}
SHOWN_APART = {SCHEMA, LINEAGE, "dagster/row_count"}  # the UI has places of its own for these


@pytest.fixture
def shown(chain: Chain) -> dict[str, dict[str, dg.MetadataValue]]:
    """The metadata of each asset's latest materialization, after two months and a scoring."""
    from segmentation_pipeline.orchestration.discovery import load_definitions

    for month in MONTHS[:2]:
        assert chain.run(month).success
    scored = load_definitions().resolve_job_def("shop_score").execute_in_process(instance=chain.instance)
    assert scored.success
    found = {}
    for stage in STAGES:
        event = chain.instance.get_latest_materialization_event(dg.AssetKey(["shop", stage.name]))
        assert event is not None
        assert event.asset_materialization is not None
        found[stage.name] = dict(event.asset_materialization.metadata)
    return found


def _read_columns(metadata: dict[str, dg.MetadataValue]) -> dict[str, dg.TableColumn]:
    schema = metadata[SCHEMA].value
    assert isinstance(schema, dg.TableSchema)
    return {column.name: column for column in schema.columns}


def test_everything_that_is_shown_has_a_meaning_and_every_column_a_source(
    chain: Chain, shown: dict[str, dict[str, dg.MetadataValue]]
) -> None:
    """Each metadata key is in the asset's description; the columns of each table are explained and lead to upstream ones."""
    for stage, metadata in shown.items():
        unexplained = set(metadata) - SHOWN_APART - set(SHOWN[stage]) - set(EVERYWHERE)
        assert not unexplained, (stage, unexplained)
        assert metadata["seconds"].value >= 0
    for stage in TABLES:
        assert shown[stage]["dagster/row_count"].value == N_CUSTOMERS
        assert all(column.description for column in _read_columns(shown[stage]).values())
        if stage == "raw_extract":
            continue
        lineage = shown[stage][LINEAGE].value
        assert isinstance(lineage, dg.TableColumnLineage)
        assert set(lineage.deps_by_column) == set(_read_columns(shown[stage])) - {"last_updated"}
        for deps in lineage.deps_by_column.values():
            for dep in deps:
                assert dep.column_name in _read_columns(shown[dep.asset_key.path[-1]]), (stage, dep)

    assert list(_read_columns(shown["encoded_features"])) == [
        "customer_id",
        "visits",
        "spend",
        "plan=basic",
        "plan=gold",
    ]
    assert _read_columns(shown["raw_extract"])["visits"].description == (
        "Feature: customers are compared by it (numeric: log1p, then scaled)."
    )
    assert _read_columns(shown["encoded_features"])["plan=gold"].description == (
        "1 where plan=gold is true, else 0; times the feature's weight. From validated_rows: plan."
    )
    assert _read_columns(shown["validated_rows"])["visits"].constraints.other == [">= 0"]
    assert list(_read_columns(shown["published_segments"])) == ["user_id", "segment_id", "last_updated"]
    parent = shown["aligned_segments"]
    assert parent["parent_snapshot"].value == (
        "[snapshot 1 (2024-01-01 v1)](/assets/shop/aligned_segments?view=partitions&partition=2024-01-01)"
    )
    assert chain.rows("SELECT run_id FROM segmentation.snapshot WHERE snapshot_id = 1") == [
        (parent["parent_run"].value,)
    ]


def test_a_matrix_of_components_comes_from_all_features(chain: Chain) -> None:
    """With `pca` every component leads to every feature."""
    write_defs(chain.defs, extra="pca: 0.9")
    assert chain.run(MONTHS[0]).success
    event = chain.instance.get_latest_materialization_event(dg.AssetKey(["shop", "encoded_features"]))
    assert event is not None
    assert event.asset_materialization is not None
    deps = event.asset_materialization.metadata[LINEAGE].value.deps_by_column
    assert {dep.column_name for dep in deps["component 1"]} == {"visits", "spend", "plan"}
    assert "of the variance" in str(
        _read_columns(dict(event.asset_materialization.metadata))["component 1"].description
    )


def test_a_person_can_read_what_the_definitions_are_for(chain: Chain) -> None:
    """The definitions alone show group, kinds, owners, the target's table, what each gate checks and what each form needs."""
    from segmentation_pipeline.orchestration.discovery import load_definitions

    write_defs(
        chain.defs,
        extra='owners: ["team:crm", "anna@shop.example"]\n  gates: {max_moved: 0.4, min_silhouette: {severity: warn}}',
    )
    definitions = load_definitions()
    graph = definitions.resolve_asset_graph()
    for stage in STAGES:
        node = graph.get(dg.AssetKey(["shop", stage.name]))
        assert node.group_name == "shop"
        assert node.kinds
        assert node.owners == ["team:crm", "anna@shop.example"]
        assert all(f"- `{name}`: " in (node.description or "") for name in stage.shows)
    assert graph.get(dg.AssetKey(["shop", "published_segments"])).metadata[TABLE_NAME] == "public.target"

    checks = {key.name: graph.get(key) for key in graph.asset_check_keys}
    assert "gates.max_moved` is 0.4 here; a failure only warns" in str(checks["max_moved"].description)
    assert "a failure stops the publication" in str(checks["structure"].description)
    blocking = {name for name, check in checks.items() if check.blocking}
    assert {"counts_add_up", "structure", "max_row_drop"} <= blocking
    assert not blocking & {"max_moved", "min_silhouette", "approval", "distance_drift"}

    for action in ("approve", "decline", "rollback", "rename"):
        job = definitions.resolve_job_def(f"shop_{action}")
        form = job.graph.node_defs[0].config_schema.config_type.fields
        assert all(field.default_provided and field.description for field in form.values())
        assert all(f"- `{name}` (" in (job.description or "") for name in form)
    assert "*Materialize…*" in (definitions.resolve_job_def("shop").description or "")
    assert "without a fit" in (definitions.resolve_job_def("shop_score").description or "")
