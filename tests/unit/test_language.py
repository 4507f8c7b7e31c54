"""The words of the code: no loop variable is called `each`, modules are short, and a name is written out in one place."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import pytest

import segmentation_pipeline
from segmentation_pipeline.spec import FeatureSpec, FitSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

PACKAGE = Path(segmentation_pipeline.__file__).parent
ROOT = PACKAGE.parent
MODULES = sorted(PACKAGE.rglob("*.py"))
SCRIPTS = [path for folder in ("tests", "docs", "docker") for path in sorted((ROOT / folder).rglob("*.py"))]
MOST_LINES = 300


@dataclass(frozen=True)
class Names:
    """Names, and the places where the code may write them out: a path below the package, with the reason."""

    names: frozenset[str]
    places: Mapping[str, str]


STAGES = Names(
    frozenset({
        "raw_extract", "validated_rows", "encoded_features", "k_sweep", "final_fit", "aligned_segments",
        "published_segments", "scored_customers", "segment_report",
    }),
    {
        "storage/artifacts/datasets/": "the class of each dataset names the stage that writes it",
        "orchestration/stages.py": "the record of the stage that writes no dataset",
    },
)  # fmt: skip
ALGORITHMS = Names(
    frozenset(get_args(FitSpec.model_fields["algorithm"].annotation)) - {"auto"},
    {
        "spec/fit.py": "what a defs.yaml may say",
        "analysis/clustering/algorithms/": "the record of each algorithm is in a file of its name",
    },
)
KINDS = Names(
    frozenset(get_args(FeatureSpec.model_fields["kind"].annotation)),
    {
        "spec/features.py": "what a defs.yaml may say",
        "analysis/features/kinds/": "the record of each kind is in a file of its name",
        "analysis/features/dates.py": "the word of pandas for a column of dates",
        "storage/warehouse/postgres/": "types of PostgreSQL that have the name of a kind",
    },
)


def find_each(source: str) -> list[int]:
    """Return the lines on which a variable or an argument is called `each`."""
    return sorted(
        node.lineno
        for node in ast.walk(ast.parse(source))
        if (isinstance(node, ast.Name) and node.id == "each" and isinstance(node.ctx, ast.Store))
        or (isinstance(node, ast.arg) and node.arg == "each")
    )


def find_names(source: str, names: frozenset[str]) -> list[tuple[int, str]]:
    """Return line and name for each string of the code that is one of the names; parts of strings do not count."""
    return sorted(
        (node.lineno, node.value)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in names
    )


def _offences(names: Names) -> list[str]:
    """Return the places that write out a name although they may not, as file:line."""
    return [
        f"{place}:{line}: {name!r}"
        for path in MODULES
        if not (place := path.relative_to(PACKAGE).as_posix()).startswith(tuple(names.places))
        for line, name in find_names(path.read_text(), names.names)
    ]


def test_no_variable_is_called_each() -> None:
    """A loop names its thing: `for gate in gates`."""
    lines = {path.relative_to(ROOT).as_posix(): find_each(path.read_text()) for path in (*MODULES, *SCRIPTS)}
    assert {place: found for place, found in lines.items() if found} == {}


def test_modules_are_short() -> None:
    """A module of the package has at most 300 lines; a longer one has two subjects."""
    lengths = {path.relative_to(PACKAGE).as_posix(): len(path.read_text().splitlines()) for path in MODULES}
    assert {place: length for place, length in lengths.items() if length > MOST_LINES} == {}


@pytest.mark.parametrize("names", [STAGES, ALGORITHMS, KINDS], ids=["stages", "algorithms", "kinds"])
def test_a_name_is_written_out_in_its_place_only(names: Names) -> None:
    """Elsewhere the code takes the name from its record, so that a new one is added in one place."""
    assert _offences(names) == []


@pytest.mark.parametrize("names", [STAGES, ALGORITHMS, KINDS], ids=["stages", "algorithms", "kinds"])
def test_every_name_and_every_place_is_needed(names: Names) -> None:
    """The allowed places exist and write out a name, and each name is written out in one of them."""
    found: dict[str, set[str]] = {place: set() for place in names.places}
    for path in MODULES:
        for place in found:
            if path.relative_to(PACKAGE).as_posix().startswith(place):
                found[place] |= {name for _, name in find_names(path.read_text(), names.names)}
    assert [place for place, written in found.items() if not written] == []
    assert set().union(*found.values()) == names.names


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("for each in rows:\n    pass", [1]),
        ("x = [\n    each for each in rows]", [2]),
        ("key = lambda each: each.k", [1]),
        ("for index, each in enumerate(rows):\n    pass", [1]),
        ("x = 'each'\nrow.each = 1  # each", []),
    ],
)
def test_each_is_found_wherever_it_is_bound(source: str, lines: list[int]) -> None:
    """A loop, a comprehension and a lambda bind a name; strings, attributes and comments do not."""
    assert find_each(source) == lines


def test_only_a_whole_string_is_a_name() -> None:
    """A name inside a message or a docstring is prose."""
    source = '"""About kmeans."""\nname = "kmeans"\nmessage = f"kmeans {name}"\n'
    assert find_names(source, frozenset({"kmeans"})) == [(2, "kmeans")]
