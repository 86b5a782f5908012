"""The memory that the core needs, as `make status` shows it."""

import asyncio

import pytest

from local_stack import status
from local_stack.stack import Stack
from testbed.edge import Edge

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]


async def test_the_python_processes_of_the_core_hold_at_most_1_gib_together(
    system: Stack, edge: Edge, name: str
):
    (customer,) = await edge.open_customers(name, 1, 1_000_000_00)
    answers = [edge.pay(customer, f"{name}-{n}", amount="12.50") for n in range(5)]
    assert {one.status_code for one in await asyncio.gather(*answers)} == {200}

    core = status.core_rows(system.states().values(), system.inventory)
    single = [row for row in core if not row.name.endswith("-1")]

    assert len(single) == len(system.inventory.core)
    assert all(row.memory_bytes > 20 * 1024**2 for row in single)
    assert sum(row.memory_bytes for row in single) <= status.CORE_LIMIT_BYTES
    assert "MiB of 1,024 MiB" in status.lines(single, system.inventory)[-1]
