"""The real webserver and daemon: a backfill that is launched as the page launches it."""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from support.serving import find_free_port, serve
from support.three_groups import MONTHS, add_group, drop_most_rows, make_source, write_defs

from segmentation_pipeline.orchestration.stages import CHAIN
from segmentation_pipeline.runtime.home import make_dagster_home

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
SECONDS = 300
PARTITION = "dagster/partition"

LAUNCH = """mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
  __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
BACKFILL = """query($id: String!) { partitionBackfillOrError(backfillId: $id) {
  ... on PartitionBackfill { status error { message } } } }"""
RUNS = """{ runsOrError { ... on Runs { results { runId status startTime tags { key value }
  assetMaterializations { assetKey { path } } } } } }"""
REEXECUTE = """mutation($params: ExecutionParams!) { launchPipelineExecution(executionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""
LOCATION = """{ workspaceOrError { ... on Workspace { locationEntries { name loadStatus
  locationOrLoadError { __typename ... on RepositoryLocation { repositories { name } } } } } } }"""


class Server:
    """A running `dagster dev`, queried over GraphQL."""

    def __init__(self, port: int, url: str) -> None:
        self.port = port
        self.url = url

    def ask(self, query: str, **variables: Any) -> Any:
        """Send one GraphQL request."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/graphql", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            answer = json.load(response)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def backfill(self, months: tuple[str, ...]) -> str:
        """Launch a backfill of the whole chain and wait for its end; return its status."""
        selection = [{"path": ["shop", stage.name]} for stage in CHAIN]
        params = {"partitionNames": list(months), "assetSelection": selection}
        launched = self.ask(LAUNCH, params=params)["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched

        def read_end() -> str | None:
            status = self.ask(BACKFILL, id=launched["backfillId"])["partitionBackfillOrError"]["status"]
            return None if status in {"REQUESTED", "CANCELING", "FAILING"} else str(status)

        return _wait_for(read_end)

    def decide(self, action: str, **config: Any) -> str:
        """Launch the job of a decision from its form; return the status of the run."""
        params = {
            "selector": {
                "repositoryLocationName": "segmentation_pipeline",
                "repositoryName": "__repository__",
                "pipelineName": f"shop_{action}",
            },
            "runConfigData": {"ops": {f"{action}_shop": {"config": config}}},
        }
        return self._launch(params)

    def runs(self) -> list[dict[str, Any]]:
        """Return all runs of a month, by start."""
        runs = [run for run in self.ask(RUNS)["runsOrError"]["results"] if PARTITION in _read_tags(run)]
        for run in runs:
            run["partition"] = _read_tags(run)[PARTITION]
        return sorted(runs, key=lambda run: run["startTime"])

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the database."""
        with psycopg.connect(self.url) as connection:
            return connection.execute(query).fetchall()

    def materialize(self, stage: str, month: str) -> str:
        """Materialize one asset of one month by hand; return the status of the run."""
        params = {
            "selector": {
                "repositoryLocationName": "segmentation_pipeline",
                "repositoryName": "__repository__",
                "pipelineName": "__ASSET_JOB",
                "assetSelection": [{"path": ["shop", stage]}],
            },
            "executionMetadata": {"tags": [{"key": PARTITION, "value": month}]},
        }
        return self._launch(params)

    def _launch(self, params: dict[str, Any]) -> str:
        launched = self.ask(REEXECUTE, params=params)["launchPipelineExecution"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        run_id = launched["run"]["runId"]

        def read_end() -> str | None:
            status = next(run["status"] for run in self.ask(RUNS)["runsOrError"]["results"] if run["runId"] == run_id)
            return str(status) if status in {"SUCCESS", "FAILURE", "CANCELED"} else None

        return _wait_for(read_end)


def _read_tags(run: dict[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in run["tags"]}


def _wait_for(ready: Callable[[], str | None]) -> str:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if (found := ready()) is not None:
            return found
        time.sleep(1)
    pytest.fail(f"nothing within {SECONDS} s")


@pytest.fixture
def server(database: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    """`dagster dev` as `make ui` starts it; the parameter is the number of concurrent runs allowed."""
    make_source(database)
    home = Path(os.environ["SEGMENTATION_HOME"])
    dagster = make_dagster_home(home)
    settings = (dagster / "dagster.yaml").read_text()
    (dagster / "dagster.yaml").write_text(
        settings.replace("max_concurrent_runs: 1", f"max_concurrent_runs: {request.param}")
    )
    port = find_free_port()
    environment = os.environ | {
        "DAGSTER_HOME": str(dagster),
        "SEGMENTATION_DEFS": str(write_defs(tmp_path / "defs")),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    command = [
        sys.executable, "-m", "dagster", "dev", "--workspace", "workspace.yaml", "--host", "127.0.0.1", "--port", str(port)
    ]  # fmt: skip
    found = Server(port, database)

    def is_loaded() -> bool:
        try:
            entries = found.ask(LOCATION)["workspaceOrError"]["locationEntries"]
        except OSError:
            return False
        return bool(entries) and entries[0]["loadStatus"] == "LOADED"

    with serve(command, environment, log=tmp_path / "dagster.log", ready=is_loaded, seconds=SECONDS):
        yield found


@pytest.mark.parametrize("server", [1, 4], indirect=True, ids=["one run at a time", "four at a time"])
def test_a_backfill_runs_each_month_in_one_run_and_in_order(server: Server) -> None:
    """Six months end successfully; each month is one run of all seven assets; each one's parent is the month before."""
    assert server.backfill(MONTHS) == "COMPLETED_SUCCESS"
    runs = server.runs()
    assert [run["partition"] for run in runs] == list(MONTHS)
    assert {run["status"] for run in runs} == {"SUCCESS"}
    assert all(len(run["assetMaterializations"]) == len(CHAIN) for run in runs)
    rows = server.rows(
        "SELECT s.partition, p.partition FROM segmentation.snapshot s "
        "LEFT JOIN segmentation.snapshot p ON p.snapshot_id = s.parent_snapshot_id ORDER BY s.snapshot_id"
    )
    assert rows == list(zip(MONTHS, [None, *MONTHS], strict=False))


@pytest.mark.parametrize("server", [4], indirect=True, ids=["four at a time"])
def test_a_spoilt_month_is_left_out_and_the_others_go_on(server: Server) -> None:
    """The spoilt month is not published, not even by hand; the others are; the next month's parent is the last good one."""
    drop_most_rows(server.url, MONTHS[2])
    assert server.backfill(MONTHS) == "COMPLETED_FAILED"
    assert server.materialize("published_segments", MONTHS[2]) == "FAILURE"
    rows = server.rows(
        "SELECT s.partition, s.status, p.partition FROM segmentation.snapshot s "
        "LEFT JOIN segmentation.snapshot p ON p.snapshot_id = s.parent_snapshot_id ORDER BY s.partition"
    )
    assert rows == [
        (MONTHS[0], "published", None),
        (MONTHS[1], "published", MONTHS[0]),
        (MONTHS[2], "rejected", MONTHS[1]),
        (MONTHS[3], "published", MONTHS[1]),
        (MONTHS[4], "published", MONTHS[3]),
        (MONTHS[5], "published", MONTHS[4]),
    ]


@pytest.mark.parametrize("server", [4], indirect=True, ids=["four at a time"])
def test_a_month_that_waits_ends_a_backfill_and_is_decided_from_the_launchpad(server: Server, tmp_path: Path) -> None:
    """Waiting, a run succeeds and its backfill ends (as failed: a month is missing), later ones fail; jobs then decide."""
    write_defs(tmp_path / "defs", approval="on_change")
    add_group(server.url, MONTHS[1:])
    assert server.backfill(MONTHS[:2]) == "COMPLETED_FAILED"
    assert [run["status"] for run in server.runs()] == ["SUCCESS", "SUCCESS"]
    assert server.backfill(MONTHS[2:4]) == "COMPLETED_FAILED"
    assert [run["status"] for run in server.runs()] == ["SUCCESS", "SUCCESS", "FAILURE", "FAILURE"]
    statuses = "SELECT partition, version, status FROM segmentation.snapshot ORDER BY 1, 2"
    assert server.rows(statuses) == [(MONTHS[0], 1, "published"), (MONTHS[1], 1, "waiting")]

    assert server.decide("decline", snapshot_id=1, who="anna") == "FAILURE"
    assert server.decide("approve", snapshot_id=2, who="anna", reason="spring campaign") == "SUCCESS"
    assert server.decide("rename", segment_id=4, name="Spring") == "SUCCESS"
    assert server.backfill(MONTHS[2:4]) == "COMPLETED_SUCCESS"
    assert server.decide("rollback", snapshot_id=2, who="anna", reason="prices") == "SUCCESS"
    assert [row[2] for row in server.rows(statuses)] == ["published", "published", "rolled_back", "rolled_back"]
    assert server.rows("SELECT action, who, reason FROM segmentation.decision ORDER BY decision_id") == [
        ("approve", "anna", "spring campaign"),
        ("rollback", "anna", "prices"),
    ]
    assert server.rows("SELECT name FROM segmentation.segment WHERE segment_id = 4") == [("Spring",)]
    published = [run for run in server.runs() if "segmentation/snapshot_id" in _read_tags(run)]
    assert [(run["partition"], run["status"]) for run in published] == [(MONTHS[1], "SUCCESS")]
