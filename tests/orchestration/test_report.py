"""The report of a snapshot: its numbers are the database's, and it neither stops nor delays a publication."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import dagster as dg
import pytest
from click.testing import CliRunner
from support.three_groups import MONTHS, N_CUSTOMERS, add_group, drop_most_rows, write_defs

from segmentation_pipeline.orchestration.stages import SEGMENT_REPORT

if TYPE_CHECKING:
    from pathlib import Path

    from support.chain import Chain


class Shown:
    """A report as its reader sees it; it is well-formed XML too, so that a test can query it."""

    def __init__(self, html: bytes) -> None:
        self.root = ET.fromstring(html)

    def text(self, name: str) -> str:
        """Return the words of the element with this id."""
        (found,) = self.root.findall(f".//*[@id='{name}']")
        return " ".join("".join(found.itertext()).split())

    def has(self, name: str) -> bool:
        """Return whether there is an element with this id."""
        return bool(self.root.findall(f".//*[@id='{name}']"))

    def table(self, name: str) -> list[list[str]]:
        """Return the cells of a table's body, row by row."""
        (found,) = self.root.findall(f".//table[@id='{name}']")
        return [[" ".join("".join(cell.itertext()).split()) for cell in row] for row in found.findall("./tbody/tr")]


def _read_report(chain: Chain, partition: str, run_id: str) -> Shown:
    from segmentation_pipeline.orchestration.discovery import segmentations

    folder = segmentations()["shop"].store.folder(SEGMENT_REPORT.name, partition, run_id)
    return Shown((folder / "report.html").read_bytes())


def _run_command(file: Path, *arguments: str) -> tuple[int, str, Shown | None]:
    from segmentation_pipeline.cli import main

    result = CliRunner().invoke(main, ["report", "shop", "-o", str(file), *arguments])
    return result.exit_code, result.output, Shown(file.read_bytes()) if file.exists() else None


def _read_check(chain: Chain) -> dg.AssetCheckEvaluation:
    records = chain.instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(dg.AssetKey(["shop", SEGMENT_REPORT.name]), "report_made"), limit=1
    )
    event = records[0].event
    assert event is not None
    assert event.dagster_event is not None
    return event.dagster_event.asset_check_evaluation_data


def test_the_numbers_are_the_databases(chain: Chain, tmp_path: Path) -> None:
    """Counts, shares, movers, gates and rows are what the tables say; the command writes the same page as the run."""
    add_group(chain.url, MONTHS[1:])
    for month in MONTHS[:2]:
        outcome = chain.run(month)
        assert outcome.success, outcome.problems

    shown = _read_report(chain, MONTHS[1], outcome.run_id)

    segments = chain.rows(
        "SELECT c.segment_id || ' ' || s.name, to_char(sum(c.n_customers), 'FM999,999'), "
        "to_char(100 * sum(c.share), 'FM990.0') || '%%' FROM segmentation.centroid c "
        "JOIN segmentation.segment s USING (segment_id) WHERE c.snapshot_id = 2 GROUP BY c.segment_id, s.name ORDER BY c.segment_id"
    )
    assert shown.table("sizes") == [list(row) for row in segments]
    assert len(segments) == 4
    movers = chain.rows(
        'SELECT "from", "to", count(*) FROM segmentation.shop_movers WHERE "from" IS NOT NULL GROUP BY 1, 2'
    )
    assert movers
    assert {(row[0].split()[0], row[1].split()[0], row[2]) for row in shown.table("movers")} == {
        (str(start), str(end), str(n)) for start, end, n in movers
    }
    assert int(shown.text("n-moved")) == sum(n for *_, n in movers)
    assert int(shown.text("n-known")) == N_CUSTOMERS
    gates = shown.table("gates")
    assert [len(row) for row in gates] == [4, 1] * 9
    known = dict(chain.rows("SELECT name, message FROM segmentation.gate WHERE snapshot_id = 2"))
    said = " ".join(row[0] for row in gates[1::2])
    assert all(message.split(" (limit")[0].rstrip(".") in said for message in known.values())
    (drop,) = chain.rows(
        "SELECT value, threshold FROM segmentation.gate WHERE snapshot_id = 2 AND name = 'min_segment_share'"
    )
    assert next(row for row in gates if row[0] == "No tiny segment") == [
        "No tiny segment", f"{drop[0]:.1%}", f"at least {drop[1]:.1%}", "passed",
    ]  # fmt: skip
    (counts,) = chain.rows(
        "SELECT n_rows, n_assigned, n_unassigned, n_rejected FROM segmentation.snapshot WHERE snapshot_id = 2"
    )
    assert shown.text("counts") == "Read {} = in a segment {} + in none {} + rejected {}".format(*counts)
    history = shown.table("history")
    assert history[0] == ["Jan 2024", "33.3%", "33.3%", "33.3%", "–", "1 new; 2 new; 3 new"]
    assert history[1][0] == "Feb 2024"
    assert "4 new" in history[1][-1]
    # the publication went first, so the report knows of it
    assert "published, current" in "".join(shown.root.itertext())

    code, said, written = _run_command(tmp_path / "report.html")
    assert (code, said) == (0, f"shop 2024-02-01: {tmp_path / 'report.html'} shows snapshot 2 (published)\n")
    assert written is not None
    assert ET.tostring(written.root) == ET.tostring(shown.root)
    event = chain.instance.get_latest_materialization_event(dg.AssetKey(["shop", SEGMENT_REPORT.name]))
    assert event is not None
    assert event.asset_materialization is not None
    noted = {name: value.value for name, value in event.asset_materialization.metadata.items()}
    assert (noted["snapshot"], noted["segments"], noted["customers"]) == (2, 4, N_CUSTOMERS)
    assert str(noted["report"]).endswith(f"{SEGMENT_REPORT.name}/{MONTHS[1]}/{outcome.run_id}/report.html")


def test_a_report_that_cannot_be_made_only_warns(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run succeeds and the month is published; the check says why there is not a report."""
    from segmentation_pipeline.orchestration import reports

    def raise_broken(*_: object) -> bytes:
        raise ZeroDivisionError("no ink")

    monkeypatch.setattr(reports, "render", raise_broken)
    outcome = chain.run(MONTHS[0])

    assert outcome.success, outcome.problems
    assert outcome.receipt is not None
    assert chain.rows("SELECT status FROM segmentation.snapshot") == [("published",)]
    check = _read_check(chain)
    assert (check.passed, check.severity, check.description) == (
        False, dg.AssetCheckSeverity.WARN, "No report was made: no ink",
    )  # fmt: skip


def test_without_artifacts_it_says_what_is_missing(chain: Chain, tmp_path: Path) -> None:
    """What the database knows is shown nevertheless; before the first run the command ends with a message and code 1."""
    code, said, written = _run_command(tmp_path / "report.html")
    assert (code, written) == (1, None)
    assert said == "Error: shop has no snapshot, so there is nothing to report. Make one:  segmentation run shop\n"

    assert chain.run(MONTHS[0]).success
    from segmentation_pipeline.orchestration.discovery import segmentations

    shutil.rmtree(segmentations()["shop"].store.root)
    code, said, written = _run_command(tmp_path / "report.html", "--partition", MONTHS[0])
    assert code == 0, said
    assert "Not in it, because the artifacts of 2024-01-01 are no longer kept: the rules of thumb" in said
    assert written is not None
    assert "the diagnosis" in written.text("missing")
    assert [row[1:] for row in written.table("sizes")] == [["100", "33.3%"]] * 3
    assert written.has("no-moves")

    code, said, _ = _run_command(tmp_path / "other.html", "--partition", MONTHS[4])
    assert code == 1
    assert (
        "2024-05-01 of shop has no snapshot, so there is nothing to report; there is 2024-01-01 to 2024-01-01" in said
    )
    code, said, _ = _run_command(tmp_path / "nowhere" / "report.html")
    assert code == 1
    assert "could not be written to" in said


@pytest.mark.slow
def test_what_waits_and_what_is_rejected_is_said_first(chain: Chain, tmp_path: Path) -> None:
    """A waiting snapshot's report has the reasons and two commands, and is written again when approved; a rejected one's says why."""
    write_defs(chain.defs, approval="on_change")
    add_group(chain.url, MONTHS[1:])
    drop_most_rows(chain.url, MONTHS[2])
    assert chain.run(MONTHS[0]).success
    waiting = chain.run(MONTHS[1])
    assert waiting.waiting is not None

    notice = _read_report(chain, MONTHS[1], waiting.run_id).text("notice")
    assert "segmentation approve shop 2" in notice
    assert "segmentation decline shop 2" in notice
    assert "K is 4; it was 3 in 2024-01-01" in notice

    assert chain.decide("approve", snapshot_id=2, who="ana").success
    event = chain.instance.get_latest_materialization_event(dg.AssetKey(["shop", SEGMENT_REPORT.name]))
    assert event is not None
    assert event.asset_materialization is not None
    assert event.asset_materialization.metadata["status"].value == "published"
    assert not _read_report(chain, MONTHS[1], event.run_id).has("notice")

    assert not chain.run(MONTHS[2]).success
    code, said, rejected = _run_command(tmp_path / "rejected.html")
    assert code == 0, said
    assert rejected is not None
    assert "60 rows, 300 in 2024-02-01" in rejected.text("notice")
    assert rejected.table("gates")[0] == ["Nobody is missing", "80.0%", "at most 50.0%", "failed"]
