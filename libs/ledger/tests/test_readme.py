"""The examples of the README run, one after the other, in the service whose migration it shows."""

import ast
import inspect

import pytest
from ledger_builders import examples

pytestmark = pytest.mark.stack


async def test_the_examples_hold_money_as_the_readme_says(postgres_purse):
    given = {"database": postgres_purse.database}
    for example in examples("python"):
        code = compile(example, "README.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        done = eval(code, given)  # noqa: S307 - the repository's own text
        if inspect.isawaitable(done):
            await done

    assert given["violations"] == []
    assert given["found"]["purse-1"].balance_minor == 20_00
