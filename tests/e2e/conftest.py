"""The whole system, started once for all end-to-end tests, with two gateways and two confirms."""

import uuid
from collections.abc import AsyncIterator

import pytest

from local_stack.stack import Stack
from testkit.edge import Edge


@pytest.fixture(scope="session")
def system(stack: Stack) -> Stack:
    """The running system."""
    stack.start_services(instances={"gateway": 2, "confirm": 2})
    return stack


@pytest.fixture(scope="session")
async def edge(system: Stack) -> AsyncIterator[Edge]:
    """The edge of the first gateway."""
    edge = Edge(system.description())
    yield edge
    await edge.close()


@pytest.fixture
def name() -> str:
    """A name of this test's own, for accounts and transactions."""
    return f"t{uuid.uuid4().hex[:10]}"
