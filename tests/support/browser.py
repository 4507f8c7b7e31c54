"""A headless Chromium, and `make ui` with a home, a database and a port of its own."""

from __future__ import annotations

import os
import shutil
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.serving import find_free_port, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from contextlib import AbstractContextManager

    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).parents[2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# the folder in which to save pictures of the pages
SCREENSHOTS = "SEGMENTATION_SCREENSHOTS"
START_SECONDS = 120
PAGE_MILLISECONDS = 30_000
FAILED = pytest.StashKey[bool]()


@dataclass(frozen=True)
class Ui:
    """A running `make ui`: its address, its home, its database and what it was started in."""

    address: str
    home: Path
    database: str
    environment: dict[str, str]


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium; without one the tests are skipped."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser: CHROMIUM is not set, and none of {', '.join(BROWSERS)} is on the PATH")
    return found


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    """The browser, for the whole session."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # as root in a container Chromium's own sandbox does not start
        launched = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell the page's fixture whether the test failed."""
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


@pytest.fixture
def page(browser: Browser, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Page]:
    """A new page at desktop width; if the test fails, a picture of it is saved."""
    from playwright.sync_api import expect

    expect.set_options(timeout=PAGE_MILLISECONDS)
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    context.set_default_timeout(PAGE_MILLISECONDS)
    page = context.new_page()
    yield page
    if request.node.stash.get(FAILED, False):
        page.screenshot(path=tmp_path / "failed.png")
        print(f"{page.url} looked like {tmp_path / 'failed.png'}")
    context.close()


@pytest.fixture
def look() -> Callable[[Page, str], None]:
    """A function that saves a screenshot in the folder that SEGMENTATION_SCREENSHOTS names, if it names one."""

    def take(page: Page, name: str) -> None:
        if folder := os.environ.get(SCREENSHOTS):
            page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)

    return take


@pytest.fixture(scope="session")
def make_ui(
    chromium: str,
    new_database: Callable[[], AbstractContextManager[str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[Callable[[str, Path, dict[str, str]], None]], AbstractContextManager[Ui]]:
    """A function that starts `make ui` after the caller has prepared the database, the home and the environment."""
    if not (ROOT / ".venv" / "installed").exists():
        pytest.skip("`make ui` starts from the virtual environment of `make install`, which is not there")

    @contextmanager
    def start(prepare: Callable[[str, Path, dict[str, str]], None]) -> Iterator[Ui]:
        home, port = tmp_path_factory.mktemp("ui") / "home", find_free_port()
        with new_database() as database:
            environment = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
            environment |= {
                "SEGMENTATION_DATABASE_URL": database,
                "SEGMENTATION_HOME": str(home),
                "OMP_NUM_THREADS": "1",
                "PORT": str(port),
            }
            prepare(database, home, environment)
            address = f"http://127.0.0.1:{port}"
            answers, log = partial(_answers, f"{address}/server_info"), home.parent / "ui.log"
            with serve(["make", "ui"], environment, log=log, ready=answers, seconds=START_SECONDS):
                yield Ui(address, home, database, environment)

    return start


def _answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False
