"""Links lead somewhere, every page is in the index, and every picture comes from a script."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.documents import (
    DOCS,
    LANGUAGES,
    PAGES,
    ROOT,
    read_blocks,
    read_headings,
    read_links,
    split_tables,
    to_anchor,
)

import segmentation_pipeline

if TYPE_CHECKING:
    from types import ModuleType

PACKAGE = Path(segmentation_pipeline.__file__).parent


def _load_script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """The file exists, and so does the heading after the #."""
    for link in read_links(page):
        if link.startswith("https://"):
            continue
        place, _, name = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        assert target.exists(), f"{page.name}: {link}"
        if name:
            assert name in [to_anchor(heading) for heading in read_headings(target)], f"{page.name}: {link}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_blocks_say_what_they_are(page: Path) -> None:
    """Every block names a known language, so that none is left out of the tests; `text` is not run."""
    assert {block.language for block in read_blocks(page)} <= LANGUAGES


def test_the_index_names_every_page_in_a_line() -> None:
    """The index has one line for each page."""
    index = (DOCS / "README.md").read_text().splitlines()
    for page in DOCS.glob("*.md"):
        if page.name != "README.md":
            assert [line for line in index if line.startswith(f"- [{page.name}]({page.name}): ")], page.name


def test_the_rooms_of_contributing_are_those_of_the_package() -> None:
    """Every folder of the package is in the table of the rooms, and every path in the tables exists."""
    rooms, places, *_ = split_tables((ROOT / "CONTRIBUTING.md").read_text())
    folders = {
        f"{path.name}/" for path in PACKAGE.iterdir() if path.is_dir() and path.name not in {"defs", "__pycache__"}
    }
    assert {room.strip("`") for room, _ in rooms} == folders
    named = [path for _, cell in (*rooms, *places) for path in re.findall(r"`([a-z_/]+(?:/|\.py))`", cell)]
    found = [path for path in named if (PACKAGE / path).exists() or (PACKAGE / "storage" / path).exists()]
    assert found == named
    assert len(places) >= 10


def test_every_picture_is_what_its_script_draws() -> None:
    """The script that the page names draws each picture, and the committed file is what it draws."""
    drawn = _load_script("draw_pictures").PICTURES
    shown = set()
    for page in PAGES:
        pictures = [link for link in read_links(page) if link.endswith((".svg", ".png"))]
        assert not pictures or "docs/draw_pictures.py" in page.read_text(), page.name
        shown |= {Path(picture).name for picture in pictures}
    assert shown == set(drawn)
    for name, draw in drawn.items():
        assert (DOCS / "pictures" / name).read_text() == draw(), f"{name}: run `make docs`"
    assert {path.name for path in (DOCS / "pictures").iterdir()} == set(drawn)


def test_pictures_can_be_read_in_the_dark_and_by_a_screen_reader() -> None:
    """Each picture has a title and text whose colour follows the reader's theme, and is small."""
    for path in (DOCS / "pictures").glob("*.svg"):
        text = path.read_text()
        assert "<title>" in text, path.name
        assert "prefers-color-scheme: dark" in text, path.name
        assert len(text) < 50_000, path.name
