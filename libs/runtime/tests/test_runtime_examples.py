"""Every example in docs/runtime.md runs, on the real stack, and checks its own outcome."""

import ast
import asyncio
import inspect
import re
from pathlib import Path

import psycopg
import pytest

from service_runtime.service import Service
from service_runtime.settings import ServiceSettings
from testbed.database import fresh_database
from testbed.service import kafka_fields

DOCUMENT = Path(__file__).parents[3] / "docs/runtime.md"
MOST_LINES = 12
WITHIN_S = 30
_FENCED = re.compile(r"^```(python|sql)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TEXT = DOCUMENT.read_text(encoding="utf-8")


def blocks(language):
    """The document's blocks in a language, each with the heading that it stands under."""
    for found in _FENCED.finditer(_TEXT):
        heading = re.findall(r"^#+ (.*)$", _TEXT[: found.start()], re.MULTILINE)[-1]
        if found[1] == language:
            yield pytest.param(
                "\n" * (_TEXT[: found.start()].count("\n") + 1) + found[2], id=heading
            )


EXAMPLES = list(blocks("python"))


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_short_and_asserts_something(example):
    tree = ast.parse(example)
    imports = sum(
        node.end_lineno - node.lineno + 1
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
    )
    lines = sum(bool(line.strip()) for line in example.splitlines())
    assert lines - imports <= MOST_LINES
    claims = [node.test for node in ast.walk(tree) if isinstance(node, ast.Assert)]
    assert any(isinstance(name, ast.Name) for claim in claims for name in ast.walk(claim))


@pytest.fixture(scope="module")
def example_database(infrastructure):
    with fresh_database(infrastructure, "example") as database:
        with psycopg.connect(database.owner_dsn) as owner:
            for block in blocks("sql"):
                owner.execute(block.values[0])
        yield database


@pytest.fixture
def settings(infrastructure, example_database, operator_trust, tmp_path):
    (tmp_path / "password").write_text("example")
    return ServiceSettings(
        port=1,
        profile="dev",
        **kafka_fields(infrastructure),
        database_url=example_database.dsn,
        DATABASE_PASSWORD_FILE=str(tmp_path / "password"),
        **operator_trust,
    )


@pytest.mark.stack
@pytest.mark.parametrize("example", EXAMPLES)
async def test_an_example_does_what_it_says(example, settings, example_database, tmp_path):
    code = compile(example, str(DOCUMENT), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    (folder := tmp_path / "folder").mkdir()
    names = {
        "settings": settings,
        "service": Service("example", settings),
        "owner_dsn": example_database.owner_dsn,
        "folder": folder,
        "until": until,
    }
    # A block that awaits is compiled into a coroutine's body.
    running = eval(code, names)  # noqa: S307 - our own document
    if inspect.iscoroutine(running):
        async with asyncio.timeout(WITHIN_S):
            await running


async def until(condition):
    while not condition():  # noqa: ASYNC110 - an example sets no event
        await asyncio.sleep(0.01)
