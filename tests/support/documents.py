"""The parts of README and the pages of docs/: blocks, code in a line, headings, links."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
TUTORIAL = DOCS / "tutorial.md"
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md")))
# the languages of a block; `text` is not run
LANGUAGES = {"console", "diff", "python", "sql", "text", "yaml"}
_FILE = re.compile(r"<!-- file: (\S+) -->")


@dataclass(frozen=True)
class Block:
    """A fenced block: where it begins, its language, and its file, if a comment before it names one."""

    page: Path
    line: int
    language: str
    text: str
    file: str | None

    def __str__(self) -> str:
        """Return the block's name in test ids."""
        return f"{self.page.name}:{self.line}"

    @property
    def commands(self) -> list[str]:
        """The lines that the reader types."""
        return [line.removeprefix("$ ") for line in self.text.splitlines() if line.startswith("$ ")]


def read_blocks(page: Path) -> list[Block]:
    """Read the blocks of a page, in order."""
    found: list[Block] = []
    file = language = None
    start = 0
    lines: list[str] = []
    for number, line in enumerate(page.read_text().splitlines(), 1):
        fence = line.strip().startswith("```")
        if fence and language is None:
            language, start, lines = line.strip().removeprefix("```"), number, []
        elif fence:
            found.append(Block(page, start, str(language), "\n".join(lines) + "\n", file))
            language = file = None
        elif language is not None:
            lines.append(line)
        elif match := _FILE.fullmatch(line.strip()):
            file = match[1]
    assert language is None, f"{page.name}: the block at line {start} has no end"
    return found


def read_all_blocks(language: str) -> list[Block]:
    """Read the blocks of all pages in a language."""
    return [block for page in PAGES for block in read_blocks(page) if block.language == language]


def read_prose(page: Path) -> str:
    """Read a page without its blocks."""
    return re.sub(r"^ *```.*?^ *```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def read_spans(page: Path) -> list[str]:
    """Read the code in the lines of a page."""
    return re.findall(r"`([^`\n]+)`", read_prose(page))


def read_headings(page: Path) -> list[str]:
    """Read the headings of a page, as they are written."""
    return re.findall(r"^#+ (.+)$", read_prose(page), flags=re.MULTILINE)


def to_anchor(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def read_links(page: Path) -> list[str]:
    """Read the targets of the links and pictures of a page."""
    return re.findall(r"\]\(([^)\s]+)\)", read_prose(page))


def split_tables(text: str) -> list[list[list[str]]]:
    """Split the tables of a text into rows of cells, without the head and the line below it."""
    found: list[list[list[str]]] = []
    before = ""
    for line in text.splitlines():
        if line.startswith("|"):
            if not before.startswith("|"):
                found.append([])
            found[-1].append([cell.strip() for cell in line.strip().strip("|").split("|")])
        before = line
    return [rows[2:] for rows in found]


def split_words(command: str) -> list[str]:
    """Split a command line as the shell does."""
    return shlex.split(command, comments=True)
