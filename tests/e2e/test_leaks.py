"""Canaries: planted secrets are searched for in all outputs of the system."""

import pytest

from local_stack.stack import Stack
from testbed.canaries import leaks, metrics, plant, records
from testbed.edge import Edge

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]


async def test_no_planted_secret_is_in_any_output(system: Stack, edge: Edge, name: str):
    running = system.description()
    customer = await plant(running, edge, name)

    places = await records(running) | await metrics(running)
    places |= {path.name: path.read_bytes() for path in system.layout.logs.glob("*")}

    # The search finds public data.
    assert name.encode() in places["payment.confirmed.v1"]
    assert b"outbox_pending" in places["confirm/metrics"]
    assert b"started" in places["gateway.log"]
    assert leaks(running, customer, places) == set()
