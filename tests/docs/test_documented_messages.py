"""Messages that a page quotes are messages of the package, word by word; `…` stands for what differs from run to run."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from support.documents import DOCS, split_tables

import segmentation_pipeline

SOURCES = sorted(Path(segmentation_pipeline.__file__).parent.rglob("*.py"))
ELLIPSIS = "…"


def _read_texts() -> list[str]:
    """Read every string of the package, with an ellipsis for each value in it."""
    nodes = [node for path in SOURCES for node in ast.walk(ast.parse(path.read_text()))]
    formatted = [
        "".join(str(part.value) if isinstance(part, ast.Constant) else ELLIPSIS for part in node.values)
        for node in nodes
        if isinstance(node, ast.JoinedStr)
    ]
    return formatted + [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]


TEXTS = _read_texts()
GATES = [
    quote
    for rows in split_tables((DOCS / "gates.md").read_text())
    for row in rows
    for quote in re.findall(r'"([^"]+)"', row[0])
]
(NIGHT,) = [rows for rows in split_tables((DOCS / "operations.md").read_text()) if "cannot be reached" in rows[0][0]]
OPERATIONS = [
    span for row in NIGHT for span in re.findall(r"`([^`]+)`", row[0]) if " " in span and not span.startswith("gate ")
]


@pytest.mark.parametrize("quote", [*GATES, *OPERATIONS])
def test_quoted_messages_are_the_packages_own(quote: str) -> None:
    """Every part of a quotation between two ellipses is in a message, so that a reader who searches for it finds the page."""
    parts = [part.strip() for part in quote.split(ELLIPSIS) if part.strip()]
    assert parts
    assert [part for part in parts if not any(part in text for text in TEXTS)] == []


def test_the_pages_quote_messages() -> None:
    """Both pages have quotations that are checked."""
    assert len(GATES) >= 4
    assert len(OPERATIONS) >= 7
