"""A wrong defs.yaml on the command line and in Dagster's own loading: file, line, field, what to write."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from segmentation_pipeline.cli import main
from segmentation_pipeline.errors import SpecError
from segmentation_pipeline.orchestration.discovery import load_definitions

if TYPE_CHECKING:
    from pathlib import Path

GOOD = """\
type: segmentation_pipeline.Segmentation
attributes:
  name: shop
  source:
    table: public.customers
    key: customer_id
  partitions: {cadence: monthly, start: "2024-01-01"}
  features:
    - {column: spend, kind: numeric}
    - {column: plan, kind: categorical}
  publish: {table: public.target, key: user_id}
"""
FAULTS = {
    "an unknown field": ("  features:", "  fetures:", "8: fetures: there is no such field; did you mean features?"),
    "an unknown option of a feature": ("kind: categorical", "kind: categorical, max_categorys: 3", "10: features.1.max_categorys: there is no such field; did you mean max_categories?"),
    "a wrong type": ("  features:", "  sweep: {k_max: lots}\n  features:", "8: sweep.k_max: should be a valid integer, unable to parse string as an integer; this is 'lots'"),
    "a value that is none of those allowed": ("kind: numeric", "kind: numerical", "9: features.0.kind: 'numerical' is not one of numeric, categorical, boolean, date; did you mean numeric?"),
    "a date that is not one": ('"2024-01-01"', '"2024-13-01"', "7: partitions.start: start: '2024-13-01' is not a date; write YYYY-MM-DD"),
    "a column listed twice": ("column: plan, kind: categorical", "column: spend, kind: numeric", "10: features.1: features: spend listed more than once"),
    "a field left out": ("    key: customer_id\n", "", "4: source.key: is missing. The column that identifies a customer"),
    "a field given twice": ("  name: shop\n", "  name: shop\n  name: shop\n", "4: name: is given already in line 3; remove one"),
    "a bracket left open": ("{table: public.target, key: user_id}", "{table: public.target, key: user_id", "12: this is not YAML: expected ',' or '}'"),
    "a tab": ("  name: shop", "  name: shop\n\towners: []", "4: this is not YAML: found character '\\t' that cannot start any token; indent with spaces"),
    "a query file that is not there": ("table: public.customers", "query: customer.sql", "5: source.query: there is no customer.sql beside the defs.yaml; did you mean customers.sql?"),
    "a type that does not exist": ("pipeline.Segmentation", "pipeline.Segmentaton", "1: type: there is no segmentation_pipeline.Segmentaton; did you mean segmentation_pipeline.Segmentation?"),
    "no type": ("type: segmentation_pipeline.Segmentation\n", "", "1: type: is missing. Write `type: segmentation_pipeline.Segmentation`."),
    "no attributes": ("attributes:", "atributes:", "2: atributes: there is no such field; did you mean attributes?"),
    "nothing at all": (GOOD, "", "1: the file is empty. Write one with:  segmentation init"),
    "a list": (GOOD, "- a\n", "1: there should be `type: segmentation_pipeline.Segmentation` and `attributes:`"),
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A segmentation's folder with a query beside a good defs.yaml, where the command looks."""
    monkeypatch.setenv("SEGMENTATION_DEFS", str(tmp_path / "defs"))
    monkeypatch.setenv("SEGMENTATION_HOME", str(tmp_path / "home"))
    folder = tmp_path / "defs" / "shop"
    folder.mkdir(parents=True)
    (folder / "customers.sql").write_text("SELECT 1 AS customer_id")
    (folder / "defs.yaml").write_text(GOOD)
    return folder


def test_the_yaml_that_is_spoilt_below_is_good(folder: Path) -> None:
    """Without a fault it loads."""
    assert load_definitions().resolve_job_def("shop").name == "shop"


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_by_file_line_and_field(folder: Path, fault: str) -> None:
    """The command ends with code 1 and the message of loading in Dagster: the line, the field, what to write."""
    before, after, expected = FAULTS[fault]
    path = folder / "defs.yaml"
    path.write_text(GOOD.replace(before, after, 1))

    done = CliRunner().invoke(main, ["run", "shop"])
    assert (done.exit_code, done.stdout) == (1, "")
    assert f"{path}:{expected}" in done.stderr, done.stderr
    with pytest.raises(SpecError) as refused:
        load_definitions()
    assert str(refused.value) == done.stderr.removeprefix("Error: ").rstrip()


def test_faults_of_several_files_are_told_together(folder: Path) -> None:
    """All files are reported at once, and not one after the other."""
    other = folder.parent / "other"
    other.mkdir()
    (other / "defs.yaml").write_text(textwrap.dedent(GOOD).replace("attributes:", "attribute:"))
    (folder / "defs.yaml").write_text("")

    shown = CliRunner().invoke(main, ["status"]).stderr
    assert f"{folder / 'defs.yaml'}:1: the file is empty" in shown
    assert f"{other / 'defs.yaml'}:2: attribute: there is no such field; did you mean attributes?" in shown
