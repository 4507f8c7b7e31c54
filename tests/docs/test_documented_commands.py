"""Every command line on the pages can be typed: it is parsed here, and run in `test_commands_run.py` or the tutorial's test.

A line of a `console` block begins with "$ ". The programs that it may name are listed below, each with its check. In a line
of text, `segmentation ...` with capitals for the values names a command and options that exist.
"""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from support.documents import DOCS, PAGES, ROOT, read_all_blocks, read_spans, split_tables, split_words

import segmentation_pipeline
from segmentation_pipeline.cli import main

COMMANDS = [
    (str(block), part)
    for block in read_all_blocks("console")
    for command in block.commands
    for part in command.split(" && ")
]
SPANS = sorted({span for page in PAGES for span in read_spans(page) if span.startswith("segmentation ")})
SOURCES = sorted(Path(segmentation_pipeline.__file__).parent.rglob("*.py"))


def _check_segmentation(arguments: list[str]) -> None:
    name, *rest = arguments
    command = main.commands[name]
    command.make_context(name, rest, parent=click.Context(main, info_name="segmentation"))


def _check_make(arguments: list[str]) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert set(arguments) <= set(targets)


def _check_dg(arguments: list[str]) -> None:
    from dagster_dg_cli.cli import create_dg_cli

    command: click.Command = create_dg_cli()
    for name in arguments:
        if not isinstance(command, click.Group):
            break
        found = command.get_command(click.Context(command), name)
        assert found is not None, f"dg has no {name}"
        command = found
        if name == "defs":
            break  # the project's environment decides what can be scaffolded


def _check_python(arguments: list[str]) -> None:
    assert (ROOT / arguments[0]).is_file()


def _check_pip(arguments: list[str]) -> None:
    assert arguments in (["install", "segmentation-pipeline"], ["install", "segmentation-pipeline[embedded]"])


def _check_shell(arguments: list[str]) -> None:
    assert arguments


CHECKS = {
    "segmentation": _check_segmentation,
    "make": _check_make,
    "dg": _check_dg,
    "python": _check_python,
    "pip": _check_pip,
    "export": _check_shell,
    "source": _check_shell,
}


@pytest.mark.parametrize(("where", "command"), COMMANDS, ids=[f"{where}-{command}" for where, command in COMMANDS])
def test_command_lines_can_be_typed(where: str, command: str) -> None:
    """The program is known, and takes these arguments."""
    program, *arguments = split_words(command)
    assert program in CHECKS, f"{where}: there is no check for {program}"
    CHECKS[program](arguments)


@pytest.mark.parametrize("span", SPANS)
def test_commands_named_in_a_line_are_there(span: str) -> None:
    """The command exists, has the options, and takes at least as many arguments."""
    if "..." in span:
        pytest.skip("nothing to check")
    name, *rest = re.sub(r"[\[\]]", "", span).split()[1:]
    command = main.commands[name]
    options = {option for parameter in command.params for option in parameter.opts}
    assert {argument for argument in rest if argument.startswith("-")} <= options
    positions = [parameter for parameter in command.params if isinstance(parameter, click.Argument)]
    assert not positions or len(rest) <= len(positions) + 2 * len(options)


def test_every_command_is_in_the_readme() -> None:
    """The table has one row for each command, and no other rows."""
    text = (ROOT / "README.md").read_text()
    (rows,) = [rows for rows in split_tables(text) if rows[0][0].startswith("`segmentation ")]
    assert sorted(row[0].strip("`").split()[1] for row in rows) == sorted(main.commands)


def test_every_target_of_make_is_documented() -> None:
    """README, CONTRIBUTING or a page names every target, except `help`, `install` and the parts of `make test`."""
    text = " ".join(page.read_text() for page in PAGES)
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert {target for target in targets if f"make {target}" not in text} <= {"help", "clean"}


def test_every_environment_variable_is_documented() -> None:
    """The table of the page about operations has exactly the variables that the package reads."""
    read = {
        name
        for path in SOURCES
        for name in re.findall(r"\b(SEGMENTATION_[A-Z_]+[A-Z]|DAGSTER_HOME)\b", path.read_text())
    }
    (rows,) = [rows for rows in split_tables((DOCS / "operations.md").read_text()) if "SEGMENTATION_HOME" in rows[0][0]]
    assert {row[0].strip("`") for row in rows} == read


def test_the_table_of_memory_has_the_figures_of_the_preflight() -> None:
    """The figures of the page are the limits below which a run is refused."""
    from segmentation_pipeline.analysis.clustering.algorithms.resolve import estimate_bytes

    (rows,) = [
        rows for rows in split_tables((DOCS / "operations.md").read_text()) if re.match(r"[\d,]+ × \d+", rows[0][0])
    ]
    for size, *documented in rows:
        n_rows, n_columns = (int(part.replace(",", "")) for part in size.split(" × "))
        needed = [
            estimate_bytes(name, n_rows=n_rows, n_columns=n_columns) / 2**30 for name in ("kmeans", "minibatch_kmeans")
        ]
        assert documented == [f"{memory:.1f} GiB" for memory in needed]
