"""The four places that know a gate by its name, and which of them lack one. Run as a program, it tries a gate out."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from segmentation_pipeline.analysis.quality.gates import GATES, GateInputs, evaluate
from segmentation_pipeline.model import StructureVerdict
from segmentation_pipeline.reporting.words import GATE_WORDS, describe_gates
from segmentation_pipeline.spec import GatesSpec

if TYPE_CHECKING:
    from collections.abc import Collection

FIXED: Final = tuple(rule.name for rule in GATES if rule.fixed is not None)


def list_missing_places(page: str) -> list[str]:
    """Return the places, docs/gates.md with the text `page` among them, in which a gate of another place is missing."""
    rows = re.findall(r"^\| \[`(\w+)`\]\(#\w+\)", page, flags=re.MULTILINE)
    places: dict[str, Collection[str]] = {
        "analysis/quality/gates.py": [rule.name for rule in GATES],
        "spec/gates.py": [*FIXED, *GatesSpec.model_fields],
        "reporting/words.py": list(GATE_WORDS),
        "the table of docs/gates.md": rows,
        "the sections of docs/gates.md": re.findall(r"^## ([a-z_]+)$", page, flags=re.MULTILINE),
    }
    names = dict.fromkeys(name for known in places.values() for name in known)
    return [f"{name} is missing in {place}" for place, known in places.items() for name in names if name not in known]


def main() -> None:
    """Print what is missing and, for each share of the largest of two segments that was asked for, the last gate."""
    missing = list_missing_places((Path.cwd() / "docs" / "gates.md").read_text())
    results = []
    for largest in map(int, sys.argv[1:]):
        inputs = GateInputs(
            n_extracted=100, n_assigned=100, n_unassigned=0, n_rejected=0,
            segment_sizes={1: largest, 2: 100 - largest}, silhouette=0.5,
            structure=StructureVerdict("structure", 9.0, 0.5, "groups"), parent_partition=None, parent_n_rows=None,
        )  # fmt: skip
        result = evaluate(inputs, GatesSpec())[-1]
        (shown,) = describe_gates([result])
        results.append(
            {
                "name": result.name,
                "passed": result.passed,
                "severity": result.severity,
                "message": result.message,
                "shown": [shown.title, shown.value, shown.limit, shown.result],
            }
        )
    json.dump({"missing": missing, "results": results}, sys.stdout)


if __name__ == "__main__":
    main()
