"""The numbered rules: every number that the code names is on the page, and each rule has a test that tries to break it."""

from __future__ import annotations

import re

import pytest
from support.documents import DOCS, read_headings

ROOT = DOCS.parent
HEADINGS = [re.fullmatch(r"Rule (\d+): .+", heading) for heading in read_headings(DOCS / "rules.md")[1:]]
RULES = [int(heading[1]) for heading in HEADINGS if heading]
NAMED = re.compile(r"\b[Rr]ules? (\d+(?:(?:, | and | to )\d+)*)")


def test_the_rules_are_numbered_in_order() -> None:
    """The page has nothing but rules, from 1 on without a gap."""
    assert None not in HEADINGS
    assert list(range(1, len(RULES) + 1)) == RULES


def test_every_rule_that_the_code_names_is_on_the_page() -> None:
    """A number in a comment or a docstring leads to a rule."""
    named = {
        (path.relative_to(ROOT).as_posix(), int(number))
        for folder in ("segmentation_pipeline", "tests")
        for path in (ROOT / folder).rglob("*.py")
        for numbers in NAMED.findall(path.read_text())
        for number in re.findall(r"\d+", numbers)
    }
    assert [(path, number) for path, number in sorted(named) if number not in RULES] == []


@pytest.mark.parametrize("number", RULES)
def test_every_rule_has_a_test(number: int) -> None:
    """The tests of the rules name them by number."""
    tests = (ROOT / "tests" / "orchestration" / "test_rules.py").read_text()
    assert re.search(rf"^def test_rule_{number}_", tests, re.MULTILINE)
