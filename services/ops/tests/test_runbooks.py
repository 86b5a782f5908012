"""The commands in runbooks are valid, and ops serves the runbooks."""

import re
import shlex
from pathlib import Path

import httpx
import pytest
import typer
from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from typer.core import TyperGroup

from ops.command.main import app
from ops.domain.runbooks import Part, parts_of
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


async def test_a_browser_gets_a_page_and_other_clients_the_text():
    def page(_request, name, text):
        return HTMLResponse(f"{name}: {len(text)}")

    text = (RUNBOOKS / "WorkParked.md").read_text()
    assert (await ask("WorkParked", page, "text/html")).text == f"WorkParked: {len(text)}"
    assert (await ask("WorkParked", page)).text == text


async def ask(name, page=None, accept="*/*"):
    served = FastAPI()
    served.include_router(router(RUNBOOKS, page))
    transport = httpx.ASGITransport(app=served)
    async with httpx.AsyncClient(transport=transport, base_url="http://ops") as client:
        return await client.get(f"/runbooks/{name}", headers={"Accept": accept})


def test_a_runbook_is_shown_in_headings_paragraphs_items_and_commands():
    text = "\n## Look first\nThe label `table`\nnames it.\n* one\n  more\n- `two`\n\n| a |\n|---|\n"
    parts = parts_of(text + "\n## Commands\n```sh\nmake status\n\nmake logs\n```\n")
    assert parts == [
        Part("heading", "Look first"),
        Part("text", "The label `table` names it."),
        Part("item", "one more"),
        Part("item", "`two`"),
        Part("code", "| a |\n|---|"),
        Part("heading", "Commands"),
        Part("code", "make status\n\nmake logs"),
    ]
    assert parts[1].spans == [(False, "The label "), (True, "table"), (False, " names it.")]


@pytest.mark.parametrize("path", list(RUNBOOKS.glob("*.md")), ids=lambda path: path.stem)
def test_no_word_of_a_runbook_is_lost_on_its_page(path):
    _title, _, rest = path.read_text().partition("\n")
    parts = parts_of(rest)
    kept = "".join("".join(part.text.split()) for part in parts)
    wanted = re.sub(r"^(## |[*-] |```.*$)", "", rest, flags=re.MULTILINE)
    assert kept == "".join(wanted.split())
    assert {"heading", "code"} <= {part.kind for part in parts}


def test_every_repairing_command_is_in_a_runbook():
    typed = " ".join(str(one.values[0]) for one in TYPED)
    for command in ("dlq redrive", "reconcile", "cases list", "cases show", "show TX", "check"):
        assert command in typed


@pytest.mark.parametrize("line", ["dlq list --everything", "cases shew X", "show"])
def test_an_invalid_command_would_be_refused(line):
    with pytest.raises((UsageError, KeyError)):
        parse(line)
