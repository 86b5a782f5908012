"""The whole system, started once for all end-to-end tests, with two gateways and two confirms."""

import uuid
from collections.abc import AsyncIterator, Iterator

import pytest

from local_stack.inventory import load_inventory
from local_stack.stack import Stack
from testbed.command import Command
from testbed.desk import Desk
from testbed.edge import Edge
from testbed.stack import WHOLE_SYSTEM_FURTHER, fresh_stack, offset_of_this_run
from testkit.chromium import Chromium, chromium


@pytest.fixture(scope="session")
def overrides() -> dict[str, dict[str, str]]:
    """Settings of services that replace the stack's; `system.refresh()` applies a change."""
    model = load_inventory().service("model").port + offset_of_this_run() + WHOLE_SYSTEM_FURTHER
    # Tests read many payments of one customer, and often.
    return {
        "gateway": {"READS_PER_MINUTE": "60000"},
        "audit": {"CHECKPOINT_EVERY_S": "2"},
        "insight": {"MODEL_URL": f"http://127.0.0.1:{model}/v1"},
        "webhooks": {"WEBHOOK_LOCAL_TARGETS": "true"},
    }


@pytest.fixture(scope="session")
def system(overrides: dict[str, dict[str, str]]) -> Iterator[Stack]:
    """The running system."""
    with fresh_stack(offset_of_this_run() + WHOLE_SYSTEM_FURTHER, overrides) as stack:
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


@pytest.fixture(scope="module")
def url(system: Stack) -> str:
    """The console's address for browsers."""
    return system.description().url("ops").replace("127.0.0.1", "localhost")


@pytest.fixture(scope="module")
async def desk(browser: Chromium, url: str) -> AsyncIterator[Desk]:
    """A browser in which alice has signed in to the console."""
    async with browser.tab() as page:
        await page.look(width=1280, height=900)
        desk = Desk(page, url)
        await desk.sign_in("alice")
        yield desk
        assert page.faults + page.errors == []


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
