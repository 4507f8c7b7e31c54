"""The environment is read and set in one module."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import segmentation_pipeline
from segmentation_pipeline.runtime import settings
from segmentation_pipeline.spec import PublishSpec, SourceSpec

ROOT = Path(segmentation_pipeline.__file__).parent
SETTINGS = Path(settings.__file__)
OTHERS = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.py") if path != SETTINGS)
NAMES = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}


def _uses(source: str) -> list[str]:
    """Every use of the environment in a module, whatever `os` is called there."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in NAMES:
            found.append(ast.unparse(node))
        elif isinstance(node, ast.ImportFrom) and node.module == "os":
            found += [alias.name for alias in node.names if alias.name in {*NAMES, "*"}]
        elif isinstance(node, ast.Name) and node.id in NAMES:
            found.append(node.id)
    return found


@pytest.mark.parametrize("module", OTHERS)
def test_the_environment_is_used_in_the_settings_only(module: str) -> None:
    """Every other module reads and sets environment variables through runtime/settings.py."""
    assert _uses((ROOT / module).read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "import os\nx = os.environ['A']",
        "import os as system\nsystem.environ['A'] = '1'",
        "import os\nx = os.getenv('A')",
        "from os import environ as e\nx = e.get('A')",
        "from os import *",
        "def f(run):\n    import os\n    run(env={**os.environ})",
    ],
)
def test_a_use_of_the_environment_is_seen(source: str) -> None:
    """Reading, setting and copying are seen, wherever they stand and however they are written."""
    assert _uses(source) != []


def test_the_spec_names_the_same_database_by_default() -> None:
    """`source.url_env` and `publish.url_env` default to the variable that the embedded server stands in for."""
    defaults = {spec.model_fields["url_env"].default for spec in (SourceSpec, PublishSpec)}
    assert defaults == {settings.DATABASE_VARIABLE}


@pytest.mark.parametrize(
    ("variable", "read"),
    [
        (settings.HOME_VARIABLE, settings.read_home),
        (settings.DEFS_VARIABLE, settings.read_defs_folder),
        (settings.MEMORY_VARIABLE, settings.read_memory_limit),
        (settings.DAGSTER_HOME_VARIABLE, settings.read_dagster_home),
        (settings.DATABASE_VARIABLE, lambda: settings.read_database_url(settings.DATABASE_VARIABLE)),
    ],
)
def test_a_variable_is_read_at_every_call(variable: str, read, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that changes is read again, and an empty one counts as not set."""
    found = []
    for value in ("one", "two", ""):
        monkeypatch.setenv(variable, value)
        found.append(read())
    assert found == ["one", "two", None]
