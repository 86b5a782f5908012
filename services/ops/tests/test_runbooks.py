"""What a runbook tells somebody on call to type is what the command takes."""

import re
import shlex
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from ops.command.main import app

UsageError = typer.BadParameter.__base__

RUNBOOKS = Path(__file__).parents[3] / "docs/runbooks"
TYPED = [
    pytest.param(line, id=f"{path.stem}: {line}")
    for path in sorted(RUNBOOKS.glob("*.md"))
    for line in re.findall(r"^\.venv/bin/countersign (.*)$", path.read_text(), re.MULTILINE)
]


def parse(line):
    """Take a line apart as the command would. Raises UsageError where it is refused."""
    command, name, words = typer.main.get_command(app), "countersign", shlex.split(line)
    while isinstance(command, TyperGroup):
        name, *words = words
        command = command.commands[name]
    command.make_context(name, words)


@pytest.mark.parametrize("line", TYPED)
def test_a_command_of_a_runbook_is_one(line):
    parse(line)


def test_every_command_that_heals_stands_in_a_runbook():
    typed = " ".join(str(one.values[0]) for one in TYPED)
    for command in ("dlq redrive", "reconcile", "cases list", "cases show", "show TX", "check"):
        assert command in typed


@pytest.mark.parametrize("line", ["dlq list --everything", "cases shew X", "show"])
def test_a_command_that_is_none_would_be_refused(line):
    with pytest.raises((UsageError, KeyError)):
        parse(line)
