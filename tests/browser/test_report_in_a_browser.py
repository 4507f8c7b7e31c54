"""The report in a browser: accessible by axe-core, no wider than a phone, and without a network request."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from support.report_data import make_report, make_run_details

from segmentation_pipeline.reporting.report import render

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

pytestmark = pytest.mark.slow

AXE = "axe-core@4.14.1"
REASONS = ("K is 4; it was 3 in January", "segment 4 is born")
LONG = "high spend, low recency days, mostly payment method electronic check, "


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """axe-core's script, from npm."""
    npm, folder = shutil.which("npm"), tmp_path_factory.mktemp("axe")
    if npm is None:
        pytest.skip("there is no npm to fetch axe-core with")
    done = subprocess.run(
        [npm, "pack", "--silent", AXE], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode:
        pytest.skip(f"npm could not fetch {AXE}: {done.stderr.strip()[-200:]}")
    with tarfile.open(folder / done.stdout.strip().splitlines()[-1]) as archive:
        script = archive.extractfile("package/axe.min.js")
        assert script is not None
        return script.read().decode()


def _render(which: str) -> bytes:
    """Render a page: the first one, one with many segments and long names, one that waits, or one that failed."""
    if which == "first":
        return render(make_report(2, months=1), make_run_details(2))
    if which == "many":
        shown = make_report(12, months=11, name=LONG + "{}")
        return render(replace(shown, decisions=()), make_run_details(12))
    if which == "waiting":
        return render(make_report(4, status="waiting", reasons=REASONS), make_run_details(4))
    return render(
        make_report(3, status="rejected", months=2), replace(make_run_details(), sweep=None, missing=("the sweep",))
    )


@pytest.mark.parametrize("which", ["first", "many", "waiting", "rejected"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_is_accessible_and_stays_at_home(
    which: str, scheme: str, width: int, browser: Browser, axe: str, tmp_path: Path
) -> None:
    """axe-core finds nothing serious, the page is as wide as the screen, and it requests no other file."""
    file = tmp_path / "report.html"
    file.write_bytes(_render(which))
    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true })")

    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert asked == [file.as_uri()]

    page.evaluate(axe)
    found = page.evaluate("axe.run()")
    assert len(found["passes"]) > 20
    assert [
        (violation["id"], violation["nodes"][0]["html"])
        for violation in found["violations"]
        if violation["impact"] in {"serious", "critical"}
    ] == []
    page.close()


def test_it_prints(browser: Browser, tmp_path: Path) -> None:
    """On paper the links to sections are gone, a card is not torn, and the page is not wider than the paper."""
    file = tmp_path / "report.html"
    file.write_bytes(_render("many"))
    page = browser.new_page(viewport={"width": 720, "height": 1000})
    page.goto(file.as_uri())
    page.emulate_media(media="print")

    assert not page.locator("nav").is_visible()
    assert page.evaluate("getComputedStyle(document.querySelector('.card')).breakInside") == "avoid"
    assert page.evaluate("document.documentElement.scrollWidth") == 720
    assert page.pdf(format="A4").startswith(b"%PDF")
    page.close()
