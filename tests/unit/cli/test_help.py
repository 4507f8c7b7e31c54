"""The help of the command line, on a terminal of 80 columns."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from segmentation_pipeline.cli import main

COLUMNS = 80


def _help(*arguments: str) -> list[str]:
    done = CliRunner().invoke(main, [*arguments, "--help"], terminal_width=COLUMNS)
    assert done.exit_code == 0, done.output
    return done.stdout.splitlines()


def test_the_list_of_commands_is_not_cut_off() -> None:
    """What a command does fits beside its name, in whole sentences."""
    lines = _help()
    commands = lines[lines.index("Commands:") + 1 :]

    assert [line.split()[0] for line in commands] == sorted(main.commands)
    assert [line for line in commands if not line.endswith(".") or line.endswith("..")] == []


@pytest.mark.parametrize("name", sorted(main.commands))
def test_the_help_of_a_command_fits(name: str) -> None:
    """No line but an example is longer than the terminal, and every option says what it is for."""
    lines = _help(name)
    assert [line for line in lines if len(line) > COLUMNS and "segmentation" not in line] == []
    options = [parameter for parameter in main.commands[name].params if isinstance(parameter, click.Option)]
    assert all(option.help for option in options)
