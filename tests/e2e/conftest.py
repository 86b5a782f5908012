"""The whole system, started once for all end-to-end tests, with two gateways and two confirms."""

import uuid
from collections.abc import AsyncIterator, Iterator

import pytest

from local_stack.stack import Stack
from testbed.command import Command
from testbed.edge import Edge
from testbed.stack import WHOLE_SYSTEM_FURTHER, fresh_stack, offset_of_this_run
from testkit.chromium import Chromium, chromium


@pytest.fixture(scope="session")
def system() -> Iterator[Stack]:
    """The running system."""
    # Tests read many payments of one customer, and often.
    often = {
        "gateway": {"READS_PER_MINUTE": "60000"},
        "audit": {"CHECKPOINT_EVERY_S": "2"},
    }
    with fresh_stack(offset_of_this_run() + WHOLE_SYSTEM_FURTHER, often) as stack:
        stack.start_services(instances={"gateway": 2, "confirm": 2})
        yield stack


@pytest.fixture(scope="session")
async def edge(system: Stack) -> AsyncIterator[Edge]:
    """The edge of the first gateway."""
    edge = Edge(system.description())
    yield edge
    await edge.close()


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Chromium]:
    """One browser for all tests of a file."""
    async with chromium() as running:
        yield running


@pytest.fixture
def countersign(system: Stack) -> Command:
    """The operators' command."""
    return Command(system.ports.offset)


@pytest.fixture
def name() -> str:
    """A unique name for accounts and transactions.

    Without digits: with the number of an account they could be a card number, which is refused.
    """
    return "t" + uuid.uuid4().hex[:10].translate(str.maketrans("0123456789", "ghijklmnop"))
