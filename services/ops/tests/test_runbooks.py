"""The commands in runbooks are valid, and ops serves the runbooks."""

import re
import shlex
from pathlib import Path

import httpx
import pytest
import typer
from fastapi import FastAPI
from typer.core import TyperGroup

from ops.command.main import app
from ops.routes.runbooks import router

UsageError = typer.BadParameter.__base__

RUNBOOKS = Path(__file__).parents[3] / "docs/runbooks"
TYPED = [
    pytest.param(line, id=f"{path.stem}: {line}")
    for path in sorted(RUNBOOKS.glob("*.md"))
    for line in re.findall(r"^\.venv/bin/countersign (.*)$", path.read_text(), re.MULTILINE)
]


def parse(line):
    """Parse a line as the command does. Raises UsageError."""
    command, name, words = typer.main.get_command(app), "countersign", shlex.split(line)
    while isinstance(command, TyperGroup):
        name, *words = words
        command = command.commands[name]
    command.make_context(name, words)


@pytest.mark.parametrize("line", TYPED)
def test_every_command_in_a_runbook_is_valid(line):
    parse(line)


@pytest.mark.parametrize("name", [path.stem for path in RUNBOOKS.glob("*.md")])
async def test_ops_serves_the_runbook_that_an_alert_names(name):
    answer = await ask(name)
    assert answer.text == (RUNBOOKS / f"{name}.md").read_text()


@pytest.mark.parametrize("name", ["Unknown", "..%2F..%2Fsizing"])
async def test_ops_serves_no_other_file(name):
    assert (await ask(name)).status_code == 404


async def ask(name):
    served = FastAPI()
    served.include_router(router(RUNBOOKS))
    transport = httpx.ASGITransport(app=served)
    async with httpx.AsyncClient(transport=transport, base_url="http://ops") as client:
        return await client.get(f"/runbooks/{name}")


def test_every_repairing_command_is_in_a_runbook():
    typed = " ".join(str(one.values[0]) for one in TYPED)
    for command in ("dlq redrive", "reconcile", "cases list", "cases show", "show TX", "check"):
        assert command in typed


@pytest.mark.parametrize("line", ["dlq list --everything", "cases shew X", "show"])
def test_an_invalid_command_would_be_refused(line):
    with pytest.raises((UsageError, KeyError)):
        parse(line)
