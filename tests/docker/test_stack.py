"""The image is built, compose.yaml's stack runs, a schedule's tick publishes a month, killed containers come back.

About five minutes and root's rights where podman does it, so `make test-slow` leaves it out:

    SEGMENTATION_TEST_CONTAINERS=1 .venv/bin/python -m pytest tests/docker
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import signal
import socket
import time
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from support.containers import COMPOSE, IMAGE, ROOT, Tools, find_tools

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ASKED = "SEGMENTATION_TEST_CONTAINERS"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not os.environ.get(ASKED), reason=f"builds and runs containers for five minutes; {ASKED}=1 asks for it"
    ),
]
PROJECT = "segmentation-test"
SECONDS = 420
MONTH = "2025-12-01"

SEED = """
from segmentation_pipeline.demo.seeding import seed_shop
from segmentation_pipeline.storage.warehouse.postgres.connection import resolve_url
seed_shop(resolve_url())
"""
# As if the daemon had been down for a month: when it starts, it makes up for the tick of the first of the month.
MISSED = """
import time
import dagster as dg
from dagster._core.scheduler.instigation import ScheduleInstigatorData
with dg.DagsterInstance.get() as instance:
    states = [state for state in instance.all_instigator_state() if state.name == "shop_schedule"]
    for state in states:
        data = ScheduleInstigatorData(state.instigator_data.cron_schedule, time.time() - 32 * 86400)
        instance.update_instigator_state(state.with_data(data))
    print(len(states))
"""
# Kill the process with the most memory, except the first one, as the kernel does when the container has no more.
KILL_RUN = """
import os
from pathlib import Path
def read_size(pid):
    return next(int(line.split()[1]) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
pids = [int(process.name) for process in Path("/proc").iterdir() if process.name.isdigit() and int(process.name) not in (1, os.getpid())]
os.kill(max(pids, key=read_size), 9)
"""
RUNS = "{ runsOrError { ... on Runs { results { runId parentRunId status tags { key value } } } } }"
LOG = """query($id: ID!) { logsForRun(runId: $id) { ... on EventConnection { events { ... on MessageEvent { message } } } } }"""
LAUNCH = """mutation($params: ExecutionParams!) { launchPipelineExecution(executionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }"""


@dataclass(frozen=True)
class Stack:
    """compose.yaml, started under its own name."""

    tools: Tools
    settings: Path
    port: int

    def compose(self, *words: str, **options: Any) -> str:
        """Run a command of docker compose, or of its replacement."""
        files = ("-f", str(COMPOSE), "-p", PROJECT, "--env-file", str(self.settings))
        return self.tools.run(*self.tools.compose, *files, "--profile", "batch", *words, **options)

    def container(self, service: str) -> str:
        """Return the name of a service's container: the two implementations use different separators."""
        names = self.tools.run(self.tools.engine, "ps", "--all", "--format", "{{.Names}}").split()
        return next(name for name in names if name in {f"{PROJECT}-{service}-1", f"{PROJECT}_{service}_1"})

    def run_inside(self, service: str, *command: str, text: str | None = None, check: bool = True) -> str:
        """Run a command in a service's container."""
        return self.tools.run(
            self.tools.engine, "exec", "-i", self.container(service), *command, text=text, check=check
        )

    def ask(self, query: str, **variables: Any) -> Any:
        """Send one GraphQL request to the webserver."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/graphql", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)["data"]

    def runs(self) -> list[dict[str, Any]]:
        """Return the runs, newest first."""
        results: list[dict[str, Any]] = self.ask(RUNS)["runsOrError"]["results"]
        return results

    def log(self, run_id: str) -> str:
        """Return the messages of a run's log."""
        return "\n".join(event.get("message") or "" for event in self.ask(LOG, id=run_id)["logsForRun"]["events"])

    def launch(self, month: str) -> str:
        """Launch the chain for a month; return when its process works."""
        selector = {
            "repositoryLocationName": "segmentation_pipeline",
            "repositoryName": "__repository__",
            "pipelineName": "shop",
        }
        tags = [{"key": "dagster/partition", "value": month}]
        launched = self.ask(LAUNCH, params={"selector": selector, "executionMetadata": {"tags": tags}})
        run_id = str(launched["launchPipelineExecution"]["run"]["runId"])
        _wait_for(lambda: "Started execution of step" in self.log(run_id), f"a step of {month}")
        return run_id

    def read_end(self, run_id: str) -> str:
        """Wait for the end of a run; return its status."""

        def status() -> str:
            return str(next(run["status"] for run in self.runs() if run["runId"] == run_id))

        _wait_for(lambda: status() in {"SUCCESS", "FAILURE", "CANCELED"}, f"the end of {run_id}")
        return status()

    def find_retry(self, run_id: str) -> str:
        """Find the run that was started in place of a killed one."""
        _wait_for(lambda: any(run["parentRunId"] == run_id for run in self.runs()), f"a second try of {run_id}")
        return next(str(run["runId"]) for run in self.runs() if run["parentRunId"] == run_id)


def _wait_for(ready: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        try:
            if ready():
                return
        except (OSError, StopIteration, AssertionError):  # nothing listens yet, or not any more
            pass
        time.sleep(2)
    pytest.fail(f"{what}: nothing within {SECONDS} s")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The image, built now, and the four containers with the synthetic shop and its schedule."""
    tools = find_tools()
    if isinstance(tools, str):
        pytest.skip(tools)
    tools.run(*tools.build, "-f", "docker/Dockerfile", "-t", IMAGE, ".", seconds=1200)
    folder = tmp_path_factory.mktemp("stack")
    folder.chmod(0o755)
    for parent in (folder.parent, folder.parent.parent):  # another user reads the segmentations
        parent.chmod(0o755)
    defs = folder / "defs" / "shop"
    shutil.copytree(ROOT / "segmentation_pipeline" / "defs" / "shop", defs)
    text = (defs / "defs.yaml").read_text()
    (defs / "defs.yaml").write_text(text.replace("  partitions:", "  schedule: {enabled: true}\n  partitions:"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    password = secrets.token_hex(12)
    values = {
        "DAGSTER_POSTGRES_PASSWORD": password,
        "SEGMENTATION_DATABASE_URL": f"postgresql://dagster:{password}@database:5432/dagster",
        "SEGMENTATION_MEMORY": "2g",
        "SEGMENTATION_PORT": str(port),
        "SEGMENTATION_DEFS_FOLDER": str(defs.parent),
    }
    settings = COMPOSE.parent / ".env"
    if settings.exists():
        pytest.skip(f"{settings} is there, and is yours; move it away for this test")
    settings.write_text("".join(f"{name}={value}\n" for name, value in values.items()))
    found = Stack(tools, settings, port)
    try:
        found.compose("up", "-d", "--no-build", "database", "code", "daemon", "webserver")
        _wait_for(lambda: found.ask(RUNS), "the webserver")
        _wait_for(lambda: found.run_inside("database", "pg_isready", "-h", "127.0.0.1"), "the database")
        found.run_inside("code", "python", "-", text=SEED)
        yield found
    finally:
        found.compose("down", "-v", check=False)
        settings.unlink()


def test_a_tick_of_the_schedule_publishes_a_month(stack: Stack) -> None:
    """The daemon launches the latest month by itself, and its segments are in the target."""
    _wait_for(lambda: stack.run_inside("daemon", "python", "-", text=MISSED).strip().endswith("1"), "the schedule")
    stack.compose("restart", "daemon")
    _wait_for(stack.runs, "a run")
    run = stack.runs()[0]
    tags = {tag["key"]: tag["value"] for tag in run["tags"]}
    assert (tags["dagster/schedule_name"], tags["dagster/partition"]) == ("shop_schedule", MONTH)
    assert stack.read_end(run["runId"]) == "SUCCESS", stack.log(run["runId"])
    status = json.loads(stack.run_inside("code", "segmentation", "status", "shop", "--json"))
    assert [(snapshot["partition"], snapshot["status"]) for snapshot in status["snapshots"]] == [(MONTH, "published")]


def test_each_role_is_healthy_and_can_write_nothing_but_its_volumes(stack: Stack) -> None:
    """Every role passes its health check, has the user 10001, and cannot write to its root file system."""
    for service in ("code", "daemon", "webserver"):
        stack.run_inside(service, "python", "/opt/dagster/health.py")
        assert stack.run_inside(service, "id", "-u").strip() == "10001"
        tried = stack.run_inside(service, "sh", "-c", "touch /opt/x /data/../x 2>&1; echo ended", check=False)
        assert tried.count("Read-only file system") == 2
    limit = stack.run_inside(
        "code",
        "python",
        "-c",
        "from segmentation_pipeline.runtime.memory import measure_memory; print(measure_memory())",
    )
    assert "this container" in limit
    assert str(2 * 2**30) in limit


def test_a_run_that_is_killed_ends_as_failed_names_memory_and_is_tried_again(stack: Stack) -> None:
    """A run that is killed as the kernel kills it for its memory is marked as failed, names memory, and is started again."""
    killed = stack.launch("2025-10-01")
    stack.run_inside("code", "python", "-", text=KILL_RUN)
    assert stack.read_end(killed) == "FAILURE"
    assert "running out of memory" in stack.log(killed)
    assert stack.read_end(stack.find_retry(killed)) == "SUCCESS"


def test_a_killed_container_comes_back_and_its_run_is_tried_again(stack: Stack) -> None:
    """When the code location dies in the middle of a run, it is started again, and nothing waits for the dead run."""
    killed = stack.launch("2025-11-01")
    before = stack.tools.main_process(stack.container("code"))
    os.kill(before, signal.SIGKILL)
    assert stack.read_end(killed) == "FAILURE"
    assert "ended without a message" in stack.log(killed)
    assert stack.tools.main_process(stack.container("code")) not in {0, before}
    assert stack.read_end(stack.find_retry(killed)) == "SUCCESS"


def test_every_other_container_comes_back_too(stack: Stack) -> None:
    """Webserver, daemon and database come back after all are killed at once."""
    before = {name: stack.tools.main_process(stack.container(name)) for name in ("webserver", "daemon", "database")}
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    for name, pid in before.items():
        _wait_for(lambda name=name, pid=pid: stack.tools.main_process(stack.container(name)) not in {0, pid}, name)
    _wait_for(stack.runs, "the webserver with its database")


def test_a_batch_runs_a_month_in_a_container_of_its_own(stack: Stack) -> None:
    """`docker compose run --rm batch segmentation run` prints the command's output and ends with its exit code."""
    said = stack.compose(
        "run", "--rm", "batch", "segmentation", "run", "shop", "--partition", "2025-09-01", seconds=SECONDS
    )
    assert "2025-09-01" in said
