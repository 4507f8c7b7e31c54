"""docs/gates.md knows every gate, every finding of the diagnosis and every check, with symptom, cause and action."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from support.documents import DOCS, split_tables
from support.gate_places import list_missing_places

import segmentation_pipeline
from segmentation_pipeline.analysis.quality.gates import GATE_NAMES
from segmentation_pipeline.orchestration.assets.scored_customers import DRIFT_CHECK
from segmentation_pipeline.orchestration.checks.approval import CHECK as APPROVAL
from segmentation_pipeline.orchestration.checks.parentage import CHECK as PARENTAGE
from segmentation_pipeline.spec import GatesSpec

PAGE = (DOCS / "gates.md").read_text()
SOURCES = sorted((Path(segmentation_pipeline.__file__).parent / "analysis" / "selection" / "diagnosis").glob("*.py"))


def _collect_findings() -> set[str]:
    """Collect the name of every finding of the diagnosis."""
    calls = [node for path in SOURCES for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    names = [
        keyword.value
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id == "Finding"
        for keyword in call.keywords
        if keyword.arg == "name"
    ]
    assert len(names) == len([c for c in calls if isinstance(c.func, ast.Name) and c.func.id == "Finding"])
    return {str(ast.literal_eval(name)) for name in names}


def _split_sections(level: int) -> dict[str, str]:
    """Split the page into the sections of a level, by their heading."""
    parts = re.split(rf"^{'#' * level} (.+)$", PAGE, flags=re.MULTILINE)
    # a section ends where one above it begins
    texts = [re.split(r"^## ", text, maxsplit=1, flags=re.MULTILINE)[0] for text in parts[2::2]]
    return dict(zip(parts[1::2], texts, strict=True))


def test_every_gate_is_in_all_its_places() -> None:
    """A gate that is missing in the rules, the spec, the report's words or this page is named with the place."""
    assert list_missing_places(PAGE) == []


def test_every_gate_has_a_section() -> None:
    """The sections of the gates are in the order in which the gates are evaluated, and no section is left over."""
    named = [name for name in _split_sections(2) if re.fullmatch(r"[a-z_]+", name)]
    assert named == list(GATE_NAMES)


def test_every_finding_has_a_section() -> None:
    """The sections of the findings are named as the UI shows them, and no section is left over."""
    assert set(_split_sections(3)) == _collect_findings()
    assert len(_collect_findings()) >= 15


@pytest.mark.parametrize("name", [*GATE_NAMES, *sorted(_collect_findings())])
def test_each_says_symptom_cause_and_action(name: str) -> None:
    """Each section has at least one row with a symptom and an action, and at least one cause."""
    text = _split_sections(2 if name in GATE_NAMES else 3)[name]
    (rows,) = split_tables(text)
    assert "| symptom | cause | action |" in text
    assert rows
    for symptom, _cause, action in rows:
        assert symptom
        assert action
    assert any(cause for _, cause, _ in rows)


def test_the_table_of_gates_has_the_defaults_of_the_spec() -> None:
    """The table shows threshold and severity of each gate as the spec has them."""
    gates = GatesSpec()
    (rows,) = [rows for rows in split_tables(PAGE) if rows[0][0].startswith("[`counts_add_up`]")]
    documented = {re.sub(r"\[`(\w+)`\].*", r"\1", row[0]): row[1] for row in rows}
    assert list(documented) == list(GATE_NAMES)
    for name in GatesSpec.model_fields:
        gate = getattr(gates, name)
        expected = f"{gate.threshold:g}, {gate.severity}" if gate.threshold is not None else gate.severity
        assert documented[name] == expected, name


def test_the_checks_beside_the_gates_are_named() -> None:
    """The page names every check of an asset that is not a gate."""
    checks = {row[0].strip("`") for row in split_tables(_split_sections(2)["Checks beside the gates"])[0]}
    assert checks == {APPROVAL, PARENTAGE, DRIFT_CHECK}
