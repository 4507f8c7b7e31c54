"""What a person sees and does in the Dagster UI that `make ui` starts."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psycopg
import pytest
from playwright.sync_api import expect
from support.three_groups import MONTHS, N_CUSTOMERS, make_source, write_defs

from segmentation_pipeline.orchestration.stages import CHAIN, SCORED_CUSTOMERS, SEGMENT_REPORT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from playwright.sync_api import Locator, Page
    from support.browser import Ui

pytestmark = pytest.mark.slow
LOCATION = "/locations/segmentation_pipeline"
# a run waits for its place in the queue and starts a process; a backfill waits for its daemon too
RUN_SECONDS = 120
BACKFILL_SECONDS = 180
WIDTHS = (390, 1280)
RELOAD_MILLISECONDS = 10_000


def _prepare(database: str, home: Path, environment: dict[str, str]) -> None:
    """Make two segmentations of one source: `shop`, which has not run, and `asked`, whose first month waits for a person."""
    make_source(database)
    defs = write_defs(home.parent / "defs", extra='owners: ["team:crm"]')
    write_defs(defs, "asked", column="other_id", approval="manual")
    environment["SEGMENTATION_DEFS"] = str(defs)
    command = [sys.executable, "-c", "from segmentation_pipeline.cli import main; main()"]
    subprocess.run([*command, "run", "asked", "--partition", MONTHS[0]], env=environment, check=True)


@pytest.fixture(scope="module")
def ui(make_ui: Callable[..., AbstractContextManager[Ui]]) -> Iterator[Ui]:
    """`make ui`, once for this module; the tests use different segmentations or months."""
    with make_ui(_prepare) as running:
        yield running


def _fetch_rows(ui: Ui, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(ui.database) as connection:
        return connection.execute(query).fetchall()


def _launch(page: Page, ui: Ui, months: str, button: re.Pattern[str]) -> None:
    """Launch months of the job `shop` from its partitions page, as the job's description says."""
    page.goto(f"{ui.address}{LOCATION}/jobs/shop/partitions")
    page.get_by_role("button", name=re.compile("Materialize")).first.click()
    dialog = page.get_by_role("dialog")
    field = dialog.get_by_placeholder("ex: ")
    field.fill(months)
    field.press("Tab")
    dialog.get_by_role("button", name=button).click()
    expect(dialog).to_be_hidden()


def _find_metadata(page: Page, key: str) -> Locator:
    """Find the row of a metadata key on an asset's page."""
    return page.get_by_role("row").filter(has=page.get_by_role("cell", name=key, exact=True))


def _reload_until_shown(page: Page, address: str, wanted: Locator, *, seconds: float) -> None:
    """Open the page again and again until it shows what is wanted: it does not load new metadata by itself."""
    deadline = time.monotonic() + seconds
    while True:
        page.goto(address)
        try:
            return expect(wanted).to_be_visible(timeout=RELOAD_MILLISECONDS)
        except AssertionError:
            if time.monotonic() > deadline:
                raise


def _open_report(page: Page, ui: Ui, name: str, month: str, *, status: str, look: Callable[[Page, str], None]) -> str:
    """Open the file that the asset's page names once it shows the status; return the file's path."""
    address = f"{ui.address}/assets/{name}/{SEGMENT_REPORT.name}?view=partitions&partition={month}"
    shown = _find_metadata(page, "status").get_by_text(status, exact=True)
    _reload_until_shown(page, address, shown, seconds=RUN_SECONDS)
    path = _find_metadata(page, "report").get_by_text(re.compile(r"^/.*report\.html$")).inner_text()
    assert path.startswith(f"{ui.home}/artifacts/{name}/{SEGMENT_REPORT.name}/{month}/")
    look(page, f"report-asset-{name}-{status}")
    page.goto(Path(path).as_uri())
    return path


def _look_at_widths(page: Page, name: str, look: Callable[[Page, str], None]) -> None:
    """Look at an open report on a phone and on a desk, where it is as wide as the screen."""
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        look(page, f"{name}-{width}")
        assert page.evaluate("document.documentElement.scrollWidth") == width


def _read_sizes(page: Page) -> list[tuple[int, int]]:
    """Read the segments of an open report, and their customers."""
    rows = [row.locator("th, td").all_inner_texts() for row in page.locator("#sizes tbody tr").all()]
    return [(int(segment.split()[0]), int(customers.replace(",", ""))) for segment, customers, _ in rows]


def test_the_graph_shows_the_chain_and_nothing_leaves_the_machine(
    ui: Ui, page: Page, look: Callable[[Page, str], None]
) -> None:
    """Every asset of a segmentation is in its group's graph; Dagster's home is ours, telemetry is off, no request leaves."""
    asked: set[str | None] = set()
    page.on("request", lambda request: asked.add(urlsplit(request.url).hostname))
    page.goto(f"{ui.address}{LOCATION}/asset-groups/shop")
    for stage in (*CHAIN, SEGMENT_REPORT, SCORED_CUSTOMERS):
        expect(page.get_by_text(stage.name, exact=True).first).to_be_visible()
    look(page, "graph")
    page.goto(f"{ui.address}/config")
    settings = page.locator(".CodeMirror")
    expect(settings).to_contain_text(re.compile(r"telemetry:[\s\d]*enabled: false"))
    expect(settings).to_contain_text(str(ui.home / "dagster"))
    assert asked - {None} == {"127.0.0.1"}
    assert list((ui.home / "dagster").rglob("*.db"))


def test_a_month_is_materialized_from_the_page(ui: Ui, page: Page, look: Callable[[Page, str], None]) -> None:
    """January, launched from the job's page, is published; the asset's page shows rows, columns, owner, table and parent."""
    _launch(page, ui, MONTHS[0], re.compile("^Launch 1 run"))
    published = f"{ui.address}/assets/shop/published_segments"
    _reload_until_shown(page, published, _find_metadata(page, "changed"), seconds=RUN_SECONDS)
    expect(_find_metadata(page, "changed")).to_contain_text(str(N_CUSTOMERS))
    for said in ("public.target", "crm", "When the segment last changed.", "Each customer's segment id in the target"):
        expect(page.get_by_text(said).first).to_be_visible()
    look(page, "published")
    assert _fetch_rows(ui, "SELECT count(DISTINCT segment_id), count(segment_id) FROM target") == [(3, N_CUSTOMERS)]


def test_the_report_is_opened(ui: Ui, page: Page, look: Callable[[Page, str], None]) -> None:
    """The asset's page of a published month names a file; it shows the snapshot and the customers of the database."""
    january = f"FROM segmentation.snapshot WHERE segmentation = 'shop' AND partition = '{MONTHS[0]}'"
    if not _fetch_rows(ui, f"SELECT 1 {january}"):
        _launch(page, ui, MONTHS[0], re.compile("^Launch 1 run"))
    _open_report(page, ui, "shop", MONTHS[0], status="published", look=look)

    expect(page.get_by_role("heading", level=1)).to_have_text("January 2024")
    expect(page.locator(".badge")).to_have_text(re.compile("^published"))
    ((snapshot,),) = _fetch_rows(ui, f"SELECT snapshot_id {january}")
    expect(page.locator("footer")).to_contain_text(f"Every number is from snapshot {snapshot} ")
    sizes = _read_sizes(page)
    assert len(sizes) == 3
    assert sizes == _fetch_rows(
        ui,
        "SELECT segment_id, count(*) FROM segmentation.shop_assignment "
        f"WHERE snapshot_id = {snapshot} GROUP BY segment_id ORDER BY segment_id",
    )
    _look_at_widths(page, "report", look)


def test_a_backfill_is_launched_from_the_page(ui: Ui, page: Page, look: Callable[[Page, str], None]) -> None:
    """A range of months becomes a backfill, and both turn green; the later one links to the earlier one as its parent."""
    _launch(page, ui, f"[{MONTHS[3]}...{MONTHS[4]}]", re.compile("^Launch backfill"))
    page.goto(f"{ui.address}/runs?view=backfills")
    expect(page.get_by_role("button", name="2 partitions")).to_be_visible()
    look(page, "backfill")
    for month in MONTHS[3:5]:
        published = f"{ui.address}/assets/shop/published_segments?view=partitions&partition={month}"
        _reload_until_shown(page, published, _find_metadata(page, "changed"), seconds=BACKFILL_SECONDS)
    page.goto(f"{ui.address}/assets/shop/aligned_segments?view=partitions&partition={MONTHS[4]}")
    page.get_by_role("link", name=re.compile(rf"^snapshot \d+ \({MONTHS[3]} v1\)$")).click()
    expect(page).to_have_url(re.compile(f"partition={MONTHS[3]}"))
    expect(_find_metadata(page, "parent_snapshot")).to_be_visible()
    look(page, "partitions")


def test_a_plot_and_a_check_are_opened(ui: Ui, page: Page, look: Callable[[Page, str], None]) -> None:
    """The sweep's plot is a picture that loads; a gate shows what it checks, its value and its threshold."""
    page.goto(f"{ui.address}/assets/asked/k_sweep")
    _find_metadata(page, "inertia_and_silhouette").get_by_text("[Show Markdown]").click()
    plot = page.get_by_role("dialog").get_by_role("img", name="inertia and silhouette for each K")
    expect(plot).to_be_visible()
    assert plot.evaluate("image => image.naturalWidth") == 792
    look(page, "plot")
    page.goto(f"{ui.address}/assets/asked/aligned_segments?view=checks")
    page.get_by_text("min_segment_share", exact=True).first.click()
    expect(
        page.get_by_text("The smallest segment holds at least this share of the assigned customers.")
    ).to_be_visible()
    expect(page.get_by_text(re.compile("is the smallest: 100 customers, 33.33%"))).to_be_visible()
    for name, value in (("value", "0.333333"), ("threshold", "0.01"), ("partition", MONTHS[0])):
        row = page.get_by_role("row").filter(has=page.get_by_role("cell", name=name, exact=True)).first
        expect(row).to_contain_text(value)
    look(page, "check")


def test_a_waiting_snapshot_is_approved_from_the_form(ui: Ui, page: Page, look: Callable[[Page, str], None]) -> None:
    """The check names the jobs and the form needs only a name; then the month, its check and its report say published."""
    first = _open_report(page, ui, "asked", MONTHS[0], status="waiting", look=look)
    expect(page.locator(".badge")).to_have_text("waits for a decision")
    expect(page.locator("#notice")).to_contain_text("every snapshot waits for a person")
    expect(page.locator("#notice code")).to_contain_text(
        ["segmentation approve asked 1", "segmentation decline asked 1"]
    )
    _look_at_widths(page, "report-waiting", look)

    page.goto(f"{ui.address}/assets/asked/aligned_segments?view=checks")
    page.get_by_text("approval", exact=True).first.click()
    expect(page.get_by_text("asked_approve").first).to_be_visible()
    expect(page.get_by_text(re.compile("every snapshot waits for a person")).first).to_be_visible()
    look(page, "waiting")

    page.goto(f"{ui.address}{LOCATION}/jobs/asked_approve/playground")
    form = page.locator(".CodeMirror").first
    for line in ("approve_asked:", "reason: ''", "snapshot_id: 0", "who: ''"):
        expect(form).to_contain_text(line)
    form.get_by_text("who").click()
    page.keyboard.press("End")
    page.keyboard.press("ArrowLeft")
    page.keyboard.type("anna")
    expect(page.get_by_text("Your name: it is kept with the decision").first).to_be_visible()
    look(page, "form")
    page.get_by_role("button", name="Launch Run").click()
    expect(page.get_by_text("is approved by anna").first).to_be_visible(timeout=1000 * RUN_SECONDS)
    look(page, "approved")

    page.goto(f"{ui.address}/assets/asked/aligned_segments?view=checks")
    page.get_by_text("approval", exact=True).first.click()
    expect(page.get_by_text("snapshot 1 (2024-01-01 v1) is approved by anna").first).to_be_visible()
    assert _fetch_rows(ui, "SELECT action, who FROM segmentation.decision") == [("approve", "anna")]
    assert _fetch_rows(ui, "SELECT count(other_id) FROM target") == [(N_CUSTOMERS,)]

    assert _open_report(page, ui, "asked", MONTHS[0], status="published", look=look) != first
    expect(page.locator(".badge")).to_have_text("published, current")
    expect(page.locator("#notice")).to_have_count(0)
    assert _read_sizes(page) == _fetch_rows(
        ui, "SELECT other_id, count(*) FROM target GROUP BY other_id ORDER BY other_id"
    )
    look(page, "report-approved")
