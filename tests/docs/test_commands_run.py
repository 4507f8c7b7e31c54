"""Every documented `segmentation` command line runs and succeeds, in the small shop, in the order of the pages.

The number of a snapshot on a page is replaced by one that fits the command: `approve` and `decline` get one that waits,
which is made before, and `rollback` gets the first published one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from support.documents import TUTORIAL, read_all_blocks, split_words
from support.shop_world import MONTHS, make_shop, write_shop

COMMAND = Path(sys.executable).with_name("segmentation")
LINES = [
    command
    for block in read_all_blocks("console")
    if block.page != TUTORIAL
    for command in block.commands
    if command.startswith("segmentation ")
]


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *arguments], env=os.environ.copy(), capture_output=True, text=True, timeout=240, check=False
    )


@pytest.mark.slow
def test_documented_commands_run(database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command ends with code 0 and prints something."""
    make_shop(database)
    defs = write_shop(tmp_path / "defs")
    monkeypatch.setenv("SEGMENTATION_DEFS", str(defs))

    def fetch_one(query: str) -> str:
        with psycopg.connect(database) as connection:
            row = connection.execute(query).fetchone()  # type: ignore[arg-type]  # the test's own
        assert row is not None
        return str(row[0])

    def make_waiting_snapshot() -> str:
        write_shop(defs, approval="manual")
        made = _run("run", "shop", "--partition", MONTHS[-1])
        assert made.returncode == 0, made.stdout + made.stderr
        write_shop(defs)
        return fetch_one("SELECT max(snapshot_id) FROM segmentation.snapshot WHERE status = 'waiting'")

    published = (
        "SELECT min(snapshot_id) FROM segmentation.snapshot WHERE segmentation = 'shop' AND status = 'published'"
    )
    for month in MONTHS[:3]:
        assert _run("run", "shop", "--partition", month).returncode == 0
    ran = set()
    for line in LINES:
        name, *rest = split_words(line)[1:]
        if name in {"approve", "decline"}:
            rest[1] = make_waiting_snapshot()
        elif name == "rollback":
            rest[1] = fetch_one(published)
        done = _run(name, *rest)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        assert done.stdout.strip(), line
        ran.add(name)
    assert {"run", "backfill", "status", "approve", "decline", "rollback", "score", "name", "gc", "forget"} <= ran
