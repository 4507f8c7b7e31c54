"""The package as a library: installed from its wheel into another Dagster project."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PROJECT = """\
[project]
name = "shopco"
version = "0.1.0"
dependencies = ["dagster", "segmentation-pipeline"]

[tool.dg]
directory_type = "project"

[tool.dg.project]
root_module = "shopco"
"""
DEFINITIONS = """\
from pathlib import Path

from dagster import definitions, load_from_defs_folder


@definitions
def defs():
    return load_from_defs_folder(path_within_project=Path(__file__).parent)
"""


@dataclass(frozen=True)
class Project:
    """A Dagster project and the Python of its own virtual environment."""

    folder: Path
    python: Path

    def run(self, *arguments: str, code: int = 0, **environment: str) -> str:
        """Run a command of that environment in the project; return what it printed."""
        clean = {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "SEGMENTATION_DEFS"}}
        path = f"{self.python.parent}{os.pathsep}/usr/bin{os.pathsep}/bin"
        done = subprocess.run(
            [self.python, *arguments], cwd=self.folder, capture_output=True, text=True, timeout=240, check=False,
            env=clean | {"PATH": path, "COLUMNS": "200", "DAGSTER_DISABLE_TELEMETRY": "1"} | environment,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def dg(self, *arguments: str, code: int = 0) -> str:
        """Run Dagster's `dg`."""
        return self.run("-m", "dagster_dg_cli.cli", *arguments, code=code)

    def segmentation(self, *arguments: str) -> str:
        """Run our command on the project's own definitions."""
        return self.run(str(self.python.with_name("segmentation")), *arguments, SEGMENTATION_DEFS="shopco/defs")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A new project: it has the wheel in its own environment, and shares the wheel's dependencies with this one."""
    folder = tmp_path_factory.mktemp("library")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    # a copy, for the build leaves its traces in the source
    source = folder / "source"
    source.mkdir()
    tracked = subprocess.run(["git", "ls-files", "-z", "segmentation_pipeline", "pyproject.toml", "README.md", "LICENSE"],
                             cwd=ROOT, capture_output=True, text=True, check=True).stdout  # fmt: skip
    for name in filter(None, tracked.split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    wheels = folder / "wheels"
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "-w", wheels, source], check=True)
    environment = folder / "venv"
    venv.create(environment, symlinks=True)
    python = environment / "bin" / "python"
    where = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = Path(subprocess.run([python, "-c", where], capture_output=True, text=True, check=True).stdout.strip())
    (packages / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n{folder / 'project'}\n")
    wheel = next(wheels.glob("*.whl"))
    subprocess.run([*pip, "--python", python, "install", "--no-deps", "--no-index", wheel], check=True)
    (folder / "project" / "shopco" / "defs").mkdir(parents=True)
    (folder / "project" / "pyproject.toml").write_text(PROJECT)
    for name, text in {"__init__.py": "", "definitions.py": DEFINITIONS, "defs/__init__.py": ""}.items():
        (folder / "project" / "shopco" / name).write_text(text)
    found = Project(folder / "project", python)
    assert str(packages) in found.run("-c", "import segmentation_pipeline; print(segmentation_pipeline.__file__)")
    return found


def test_the_component_is_offered_and_scaffolded(project: Project, database: str) -> None:
    """`dg list components` names it; what `dg scaffold defs` writes is commented, valid, loadable, and runs."""
    assert "segmentation_pipeline.Segmentation" in project.dg("list", "components")
    project.dg(
        "scaffold",
        "defs",
        "segmentation_pipeline.Segmentation",
        "my-shoppers",
        "--table",
        "public.shoppers",
        "--key",
        "id",
    )
    text = (project.folder / "shopco" / "defs" / "my-shoppers" / "defs.yaml").read_text()
    assert "  name: my_shoppers" in text
    assert "    table: public.shoppers" in text
    assert text.count("#") > 10
    assert "All component YAML validated successfully" in project.dg("check", "yaml")
    assert "All definitions loaded successfully" in project.dg("check", "defs")
    assert "my_shoppers/published_segments" in project.dg("list", "defs", "--json")

    with psycopg.connect(database) as connection:
        connection.execute(
            "CREATE TABLE shoppers AS SELECT g AS id, mod(g, 3) * 10 + mod(g, 7) * 0.1 AS visits FROM generate_series(1, 120) g"
        )
    assert "published, 120 rows changed" in project.segmentation("run", "my_shoppers")
    assert "my_shoppers" in project.segmentation("doctor")


def test_dagster_reports_a_mistake_with_its_line_and_the_nearest_name(project: Project) -> None:
    """In another project Dagster reads the YAML: `dg check defs` and `dg check yaml` name line and field."""
    folder = project.folder / "shopco" / "defs" / "wrong"
    project.dg("scaffold", "defs", "segmentation_pipeline.Segmentation", "wrong")
    path = folder / "defs.yaml"
    try:
        path.write_text(path.read_text().replace("  features: auto", "  fetures: auto"))
        line = next(i for i, text in enumerate(path.read_text().splitlines(), 1) if "fetures" in text)
        checked = project.dg("check", "yaml", code=1)
        assert f"{path}:{line} " in checked
        assert "'fetures' is not one of ['name', 'source', 'partitions'" in checked
        loaded = project.dg("check", "defs", "--no-check-yaml", code=1)
        assert f"attributes.fetures at {path}:{line}" in loaded
        assert "there is no such field; did you mean features?" in loaded
    finally:
        path.unlink()
        folder.rmdir()
