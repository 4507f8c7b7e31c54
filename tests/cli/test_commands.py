"""The `segmentation` command, in processes of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from support.three_groups import MONTHS, add_group, drop_most_rows, write_defs

from segmentation_pipeline.runtime.home import DAGSTER_YAML

if TYPE_CHECKING:
    from support.chain import Chain

COMMAND = Path(sys.executable).with_name("segmentation")
ROOT = Path(__file__).parents[2]


def _segmentation(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *arguments], env=os.environ.copy(), capture_output=True, text=True, timeout=240, check=False
    )


def test_backfill_status_and_name(chain: Chain) -> None:
    """A spoilt month ends a backfill with code 1 and its reason; status has the contract's fields; names stick."""
    drop_most_rows(chain.url, MONTHS[1])
    done = _segmentation("backfill", "shop", "--from", MONTHS[0], "--to", MONTHS[2])
    assert done.returncode == 1
    assert "gate max_row_drop: 60 rows, 300 in 2024-01-01" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr

    named = _segmentation("name", "shop", "2", "Grünes Gold 💚", "--description", "They pay.")
    assert named.returncode == 0, named.stderr
    assert _segmentation("name", "shop", "99", "nobody").returncode == 1

    shown = _segmentation("status", "shop", "--json")
    assert shown.returncode == 0, shown.stderr
    status = json.loads(shown.stdout)
    assert set(status) == {"segmentation", "current_snapshot_id", "snapshots", "segments"}
    assert [(snapshot["partition"], snapshot["version"], snapshot["status"]) for snapshot in status["snapshots"]] == [
        (MONTHS[0], 1, "published"),
        (MONTHS[1], 1, "rejected"),
        (MONTHS[2], 1, "published"),
    ]
    first, _, third = status["snapshots"]
    assert set(first) == {
        "snapshot_id", "partition", "as_of", "version", "status", "k", "n_rows", "silhouette", "parent_snapshot_id", "created_at"
    }  # fmt: skip
    assert (first["as_of"], first["k"], first["n_rows"]) == ("2024-02-01T00:00:00+00:00", 3, 300)
    assert third["parent_snapshot_id"] == first["snapshot_id"]
    assert status["current_snapshot_id"] == third["snapshot_id"]
    assert [(segment["segment_id"], segment["live"]) for segment in status["segments"]] == [
        (1, True),
        (2, True),
        (3, True),
    ]
    assert sum(segment["share"] for segment in status["segments"]) == pytest.approx(1)
    assert status["segments"][1]["name"] == "Grünes Gold 💚"

    assert _segmentation("run", "shop", "--partition", MONTHS[3]).returncode == 0
    assert "Grünes Gold" in _segmentation("status").stdout


@pytest.mark.parametrize(
    "command",
    [
        "init",
        "run",
        "backfill",
        "status",
        "name",
        "score",
        "approve",
        "decline",
        "rollback",
        "report",
        "forget",
        "gc",
        "doctor",
    ],
)
def test_help_has_an_example_on_a_line_of_its_own(command: str) -> None:
    """The example can be copied as it stands."""
    lines = [line.strip() for line in _segmentation(command, "--help").stdout.splitlines()]
    assert lines[lines.index("Example:") + 1].startswith(f"segmentation {command}")


@pytest.mark.slow
def test_a_person_decides_on_the_command_line(chain: Chain) -> None:
    """A run that waits ends with code 0 and shows its commands; approve, decline and rollback work or say why not."""
    write_defs(chain.defs, approval="on_change")
    add_group(chain.url, MONTHS[1:])
    done = _segmentation("backfill", "shop", "--from", MONTHS[0], "--to", MONTHS[1])
    assert done.returncode == 0, done.stdout + done.stderr
    for expected in (
        "shop 2024-02-01: waits for approval, not published", "K is 4; it was 3 in 2024-01-01", "segment 4 is born",
        "segmentation approve shop 2", "segmentation decline shop 2",
    ):  # fmt: skip
        assert expected in done.stdout
    assert "snapshot 2 (2024-02-01 v1) waits for a person" in _segmentation("status", "shop").stdout
    blocked = _segmentation("run", "shop", "--partition", MONTHS[2])
    assert blocked.returncode == 1
    assert "snapshot 2 (2024-02-01 v1) waits for a person, so 2024-03-01 cannot be aligned" in blocked.stdout

    refused = _segmentation("decline", "shop", "1")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "Error: snapshot 1 (2024-01-01 v1) is published, so it cannot be declined" in refused.stderr
    approved = _segmentation("approve", "shop", "2", "--reason", "spring campaign")
    assert approved.returncode == 0, approved.stderr
    assert "snapshot 2 (2024-02-01 v1) is approved by " in approved.stdout
    assert "shop 2024-02-01: published, 50 rows changed, 250 unchanged" in approved.stdout
    back = _segmentation("rollback", "shop", "1", "--reason", "too early")
    assert back.returncode == 0, back.stderr
    assert "snapshot 1 (2024-01-01) is current again; 50 rows changed, 250 unchanged, 0 emptied" in back.stdout
    shown = _segmentation("status", "shop").stdout
    assert "approve snapshot 2 (2024-02-01 v1): spring campaign" in shown
    assert "rollback snapshot 1 (2024-01-01 v1): too early" in shown
    assert "rolled_back" in shown

    assert "waits for approval" in _segmentation("run", "shop", "--partition", MONTHS[2]).stdout
    declined = _segmentation("decline", "shop", "3", "--reason", "no")
    assert declined.returncode == 0, declined.stderr
    assert "segmentation run shop --partition 2024-03-01" in declined.stdout
    assert "Traceback" not in "".join(
        process.stdout + process.stderr for process in (done, blocked, refused, approved, back)
    )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("run", "shpo"), "no segmentation is called 'shpo'; there is shop"),
        (("run", "shop", "--partition", "2024-01-15"), "2024-01-15 is not a finished monthly period of shop"),
        (("backfill", "shop", "--from", MONTHS[2], "--to", MONTHS[0]), "is after --to"),
        (("name", "shop", "0", "x"), "0 is not in the range"),
        (("approve", "shop", "0"), "0 is not in the range"),
        (("rollback", "shop"), "Missing argument 'SNAPSHOT_ID'"),
        (("score", "shpo"), "no segmentation is called 'shpo'; there is shop"),
        (("run",), "Missing argument 'NAME'"),
    ],
)
def test_wrong_usage_ends_with_two(chain: Chain, arguments: tuple[str, ...], expected: str) -> None:
    """Unknown names, dates that are no period, and missing arguments: exit code 2 and what there is instead."""
    done = _segmentation(*arguments)
    assert done.returncode == 2
    assert expected in done.stderr


def test_a_wrong_defs_yaml_is_told_with_file_line_and_field(chain: Chain) -> None:
    """A contradiction in the YAML names the file, the line and what to write."""
    path = write_defs(chain.defs) / "shop" / "defs.yaml"
    path.write_text(path.read_text().replace('start: "2024-01-01"', 'start: "2024-01-15"'))
    done = _segmentation("run", "shop", "--partition", MONTHS[0])
    assert done.returncode == 1
    assert "defs.yaml:8" in done.stderr
    assert "start 2024-01-15 is not the start of a month; write 2024-01-01" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unreachable_database_is_told_without_its_password(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 1, a message that says what to look at, and no credentials."""
    monkeypatch.setenv("SEGMENTATION_DATABASE_URL", "postgresql://me:s3cret@127.0.0.1:1/nowhere")
    for arguments in (("status", "shop"), ("run", "shop", "--partition", MONTHS[0])):
        done = _segmentation(*arguments)
        assert done.returncode == 1
        assert "SEGMENTATION_DATABASE_URL" in done.stdout + done.stderr
        assert "s3cret" not in done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr


def test_a_dagster_home_that_is_not_there_is_told(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """DAGSTER_HOME that names no folder is a message with that folder, not a traceback of Dagster's."""
    monkeypatch.setenv("DAGSTER_HOME", str(chain.defs / "nowhere"))
    done = _segmentation("run", "shop", "--partition", MONTHS[0])
    assert done.returncode == 1
    assert str(chain.defs / "nowhere") in done.stderr
    assert "Make that folder, or unset it." in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_the_shipped_dagster_settings_agree_with_those_of_the_home() -> None:
    """In the container and with `make ui`: no telemetry, one run at a time, and runs are watched."""
    home, container = yaml.safe_load(DAGSTER_YAML), yaml.safe_load((ROOT / "docker" / "dagster.yaml").read_text())

    assert home["telemetry"] == container["telemetry"] == {"enabled": False}
    assert home["nux"] == container["nux"] == {"enabled": False}
    assert home["concurrency"] == container["concurrency"] == {"runs": {"max_concurrent_runs": 1}}
    assert home["run_monitoring"].items() <= container["run_monitoring"].items()
