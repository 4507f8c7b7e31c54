"""What the command line shows, on a terminal and when it is piped."""

from __future__ import annotations

import re
from typing import Any

import pytest
from rich.console import Console

from segmentation_pipeline.cli import progress, views
from segmentation_pipeline.doctor.check import Check
from segmentation_pipeline.storage.registry.status import DecisionLog

NAME = "gold [k$] [/b] 💚"
STATUS: dict[str, Any] = {
    "segmentation": "shop",
    "current_snapshot_id": 1,
    "snapshots": [
        {"snapshot_id": 1, "partition": "2026-10-01", "version": 1, "status": "published", "k": 3, "n_rows": 1_200_000, "silhouette": 0.51, "parent_snapshot_id": None}
    ],
    "segments": [{"segment_id": 1, "name": NAME, "share": 1.0, "n_customers": 1200, "live": True}],
}  # fmt: skip
NOTHING = DecisionLog(waiting=(), decisions=())


@pytest.fixture
def a_terminal(monkeypatch: pytest.MonkeyPatch) -> Console:
    """A terminal of 80 columns that takes colours, recorded."""
    recorded = Console(force_terminal=True, color_system="standard", width=80, record=True, highlight=False)
    monkeypatch.setattr(views, "make_console", lambda: recorded)
    monkeypatch.setattr(progress, "make_console", lambda: recorded)
    return recorded


def test_status_is_plain_when_piped(capsys: pytest.CaptureFixture[str]) -> None:
    """No escape codes; a segment's name is shown as it was given, even if it looks like markup."""
    views.show_status(STATUS, NOTHING)
    shown = capsys.readouterr().out

    assert "\x1b" not in shown
    assert NAME in shown
    assert "│ current │" in shown


def test_status_fits_a_terminal_and_has_colours(a_terminal: Console) -> None:
    """On 80 columns nothing is cut off, and what is published is green."""
    views.show_status(STATUS, NOTHING)
    shown = a_terminal.export_text(styles=True)

    assert "\x1b[1;32mcurrent" in shown
    assert "1,200,000" in shown
    assert max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in shown.splitlines()) <= 80
    assert "0.510" in shown


def test_checks_end_with_their_sum_and_fixes_stay_on_one_line(a_terminal: Console) -> None:
    """A fix can be copied: it is not wrapped, and brackets in it are no markup."""
    fix = f"as its owner, run:  GRANT SELECT ON {'x' * 90} TO [role];"
    assert not views.show_checks(
        [
            ("shop", Check("source", ok=False, found="denied [1]", fix=fix)),
            ("shop", Check("target", ok=True, found="well")),
        ]
    )
    shown = a_terminal.export_text().splitlines()

    assert f"        fix: {fix}" in shown
    assert shown[0].startswith("problem shop: source")
    assert shown[-1] == "1 of 2 checks found a problem"
    assert views.show_checks([("shop", Check("target", ok=True, found="well"))])
