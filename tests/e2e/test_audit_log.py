"""The audit log of the running system is verified and proven by the command."""

import asyncio
import base64
from uuid import uuid4

import pytest

from testbed.command import Command
from testbed.edge import Edge

pytestmark = pytest.mark.stack


async def test_the_log_of_the_running_system_is_verified_and_proven(
    countersign: Command, edge: Edge, name: str
):
    [customer] = await edge.open_customers(name, 1, 100_00)
    assert (await edge.pay(customer, name, amount="10.00")).status_code == 200
    await edge.until(customer, name)
    _, known = await countersign.json("show", name)
    event = known["timeline"][0]

    proof = await proven(countersign, event["event_id"])
    status, found = await countersign.json("audit", "verify")

    assert (status, found["findings"], len(found["keys"])) == (0, [], 1)
    assert found["rows"] > found["unsealed"]
    leaf = base64.b64decode(proof["leaf"]).decode()
    assert f'"event_id":"{event["event_id"].replace("-", "")}"' in leaf


async def proven(countersign, event_id):
    """Return a proof, once a checkpoint seals the event."""
    for _ in range(30):
        status, proof = await countersign.json("audit", "prove", event_id)
        if status == 0:
            return proof
        assert status == 1
        await asyncio.sleep(1)
    raise AssertionError("no checkpoint seals it")


async def test_an_unknown_event_has_no_proof(countersign: Command):
    status, _, error = await countersign("audit", "prove", str(uuid4()))

    assert (status, "has no event" in error) == (1, True)
