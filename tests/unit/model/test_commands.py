"""Every command that a message shows can be typed, and is spelled in one module."""

from __future__ import annotations

import ast
import inspect
import itertools
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

import segmentation_pipeline
from segmentation_pipeline.cli import main
from segmentation_pipeline.model import commands

if TYPE_CHECKING:
    from collections.abc import Callable

PACKAGE = Path(segmentation_pipeline.__file__).parent
COMMANDS = {name: value for name, value in vars(commands).items() if inspect.isfunction(value)}
# by parameter; what is left to be filled in stands in capitals in the command
VALUES = {
    "name": "shop",
    "table": "public.customers",
    "key": "customer_id",
    "file": "shop.html",
    "partition": "2025-03-01",
    "first": "2025-01-01",
    "last": "2025-06-01",
    "segment_id": 3,
    "snapshot_id": 7,
    "text": "Big spenders",
}
TO_FILL_IN = {"NAME": "shop", "SCHEMA.TABLE": "public.customers", "COLUMN": "customer_id", "FILE": "shop.html",
              "SNAPSHOT_ID": "7"}  # fmt: skip
COMMAND = re.compile(rf"\bsegmentation (?:{'|'.join(sorted(main.commands))})\b")


def _calls() -> list[tuple[str, str]]:
    """Every command, with and without each argument that may be left out."""
    found = []
    for function, build in COMMANDS.items():
        parameters = inspect.signature(build).parameters
        optional = [name for name, parameter in parameters.items() if parameter.default is not inspect.Parameter.empty]
        for size in range(len(optional) + 1):
            for absent in itertools.combinations(optional, size):
                given = {name: VALUES[name] for name in parameters if name not in absent}
                found.append((function, build(**given)))
    return found


def _fill_in(command: str) -> list[str]:
    return [TO_FILL_IN.get(word, word) for word in shlex.split(command)]


@pytest.mark.parametrize(("function", "command"), _calls(), ids=[command for _, command in _calls()])
def test_every_command_can_be_typed(function: str, command: str) -> None:
    """The command line takes it, with these options and arguments, and means what the function is called."""
    program, name, *arguments = _fill_in(command)
    context = main.commands[name].make_context(name, arguments, parent=click.Context(main))

    assert program == "segmentation"
    assert function == f"{name}_command"
    assert not context.args


@pytest.mark.parametrize(
    "name", [name for name, function in COMMANDS.items() if inspect.signature(function).parameters]
)
def test_arguments_reach_the_option_that_they_are_for(name: str) -> None:
    """Each value is what the command line reads for it."""
    function: Callable[..., str] = COMMANDS[name]
    given = {parameter: VALUES[parameter] for parameter in inspect.signature(function).parameters}
    _, command, *arguments = shlex.split(function(**given))
    context = main.commands[command].make_context(command, arguments, parent=click.Context(main))

    read = {parameter: str(value) for parameter, value in context.params.items() if value not in (None, False)}
    assert read == {parameter: str(value) for parameter, value in given.items()}


def _literals(tree: ast.AST) -> list[ast.Constant]:
    """The strings that are not docstrings."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
    ]


def test_no_other_module_spells_a_command() -> None:
    """A command that changes is changed in one place: in no other string of the package, and in no template."""
    spelled = [
        f"{path.relative_to(PACKAGE)}:{literal.lineno}: {literal.value}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if path != Path(commands.__file__)
        for literal in _literals(ast.parse(path.read_text()))
        if COMMAND.search(str(literal.value))
    ]
    spelled += [
        f"{path.relative_to(PACKAGE)}: {command}"
        for path in sorted(PACKAGE.rglob("*.html"))
        for command in COMMAND.findall(path.read_text())
    ]
    assert spelled == []
