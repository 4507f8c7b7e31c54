"""The kinds of columns: every kind is complete, and its name stands in its own places alone."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import pandas as pd
import pyarrow as pa
import pytest

import segmentation_pipeline
from segmentation_pipeline.analysis.features.encoding import fit_encoding
from segmentation_pipeline.analysis.features.kinds import KINDS, kind_of
from segmentation_pipeline.analysis.features.validation import validate
from segmentation_pipeline.spec import KIND_OPTIONS, ColumnKind, FeatureSpec, is_number

if TYPE_CHECKING:
    from collections.abc import Collection

PACKAGE = Path(segmentation_pipeline.__file__).parent
NAMES = frozenset(get_args(ColumnKind))
OWN_PLACES = ("analysis/features/kinds/", "spec/features.py")
# the names of PostgreSQL's types, and of what pandas finds in a column
OTHER_MEANINGS = ("storage/warehouse/postgres/types.py", "analysis/features/dates.py")


def find_forgotten(literal: Collection[str], options: Collection[str], records: Collection[str]) -> list[str]:
    """Name the places in which a kind is missing."""
    places = {
        "ColumnKind in spec/features.py": literal,
        "KIND_OPTIONS in spec/features.py": options,
        "KINDS in analysis/features/kinds/__init__.py": records,
    }
    every = sorted({*literal, *options, *records})
    return [f"{name} is missing in {place}" for name in every for place, there in places.items() if name not in there]


def find_named_kinds(source: str) -> set[str]:
    """Name the kinds that stand as literals in a module, beside its docstrings."""
    tree = ast.parse(source)
    texts = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    constants = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in texts]
    return {str(node.value) for node in constants if node.value in NAMES}


def test_every_kind_is_complete() -> None:
    """The literal of the spec, its options and the records name the same kinds, each once."""
    records = [kind.name for kind in KINDS]
    assert find_forgotten(NAMES, KIND_OPTIONS, records) == []
    assert len(records) == len(set(records))


def test_the_place_that_was_forgotten_is_named() -> None:
    """A kind that has a name and no record, or a record and no options, is reported with the place."""
    assert find_forgotten({"a", "b"}, {"a", "b"}, {"a"}) == [
        "b is missing in KINDS in analysis/features/kinds/__init__.py"
    ]
    assert find_forgotten({"a", "b"}, {"a"}, {"a", "b"}) == ["b is missing in KIND_OPTIONS in spec/features.py"]
    assert find_forgotten({"a"}, {"a", "b"}, {"a", "b"}) == ["b is missing in ColumnKind in spec/features.py"]


def test_the_name_of_a_kind_stands_in_its_own_places_alone() -> None:
    """No module compares the name of a kind, or has a table by it: the record and the options say what is true of it."""
    modules = {str(path.relative_to(PACKAGE)): path.read_text() for path in PACKAGE.rglob("*.py")}
    named = {
        module: find_named_kinds(source)
        for module, source in modules.items()
        if not module.startswith((*OWN_PLACES, *OTHER_MEANINGS))
    }
    assert {module: names for module, names in named.items() if names} == {}


def test_a_name_is_seen_wherever_it_stands() -> None:
    """Comparisons, sets, tables and arguments are seen, docstrings are not."""
    source = '"""date"""\nif kind == "numeric" or kind in {"boolean"}:\n    f(kind="date", table={"categorical": 1})'
    assert find_named_kinds(source) == NAMES
    assert find_named_kinds('"""date"""\nx = "days"') == set()


@pytest.mark.parametrize("name", sorted(NAMES))
def test_validated_values_are_of_the_type_that_the_options_name(name: ColumnKind) -> None:
    """What a kind reads can be stored as Arrow's type of its options, nulls and all, and be encoded."""
    values = {
        "numeric": [1.5, 2.5, 4.0],
        "date": pd.to_datetime(["2024-01-01", "2024-02-01", "2024-03-01"]),
        "boolean": ["yes", "no", "yes"],
        "categorical": [1, 2, 2],
    }[name]
    feature = FeatureSpec(column="x", kind=name)
    as_of = pd.Timestamp("2024-04-01", tz="UTC").to_pydatetime()
    rows = validate(pd.DataFrame({"id": range(3), "x": values}), [feature], key="id", as_of=as_of).rows

    stored = pa.array(rows["x"], type=pa.type_for_alias(feature.stored_as))

    assert (len(stored), stored.null_count) == (3, 0)
    encoded = fit_encoding(rows, [feature]).features[0]
    assert encoded.is_one_number == feature.is_number == is_number(name)
    assert kind_of(encoded) is kind_of(feature)
    can_encode = kind_of(feature).can_encode
    assert can_encode is None or can_encode(rows["x"])
