"""Fixtures of the fuzz tests: every server, and who may ask it."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

# fuzz_servers is beside this file and in no package, so the path comes first.
from fuzz_servers import Servers

from local_stack.stack import Stack


@pytest.fixture(scope="module")
def servers(stack: Stack) -> Iterator[Servers]:
    """All servers, on the stack of this run; their threads end with the module.

    They draw from `random`, which Hypothesis takes for a fault of whatever test draws a value.
    """
    stack.migrate(stack.inventory.with_database)
    with Servers(stack) as running:
        yield running
