"""Live status through all services: a stream over a restart, without gap or repeat; a WebSocket."""

import asyncio
import json
import os
import signal

import httpx
import pytest
from websockets.asyncio.client import connect

from local_stack.stack import Stack
from testbed.edge import CODE, Customer, Edge

pytestmark = pytest.mark.stack

WITHIN_S = 30
CODE_REQUIRED = "5200"
"""An amount to a new payee that needs a code."""


class Follower:
    """A client that follows a payment over reconnects, each time at the next gateway."""

    def __init__(self, system: Stack, customer: Customer, transaction_id: str) -> None:
        self.urls = [system.description().url("gateway", instance) for instance in (1, 0)]
        self.path = f"/payment/{transaction_id}/events"
        self.headers = {"Authorization": f"Bearer {customer.token}"}
        self.ids: list[int] = []
        self.statuses: list[str] = []
        self.closings: list[str] = []

    async def follow(self) -> None:
        """Follow to the last status."""
        async with asyncio.timeout(WITHIN_S), httpx.AsyncClient(timeout=WITHIN_S) as http:
            while not self.statuses or not self.statuses[-1].endswith("SETTLED"):
                async with http.stream(
                    "GET", self.urls[0] + self.path, headers=self.headers
                ) as response:
                    assert response.status_code == 200
                    await self._read(response)
                self.urls.reverse()
                self.headers["Last-Event-ID"] = str(self.ids[-1])

    async def _read(self, response: httpx.Response) -> None:
        fields = {}
        async for line in response.aiter_lines():
            name, _, fields[name] = line.partition(": ")
            match name:
                case "id":
                    self.ids.append(int(fields["id"]))
                case "data" if fields["event"] == "status":
                    body = json.loads(fields["data"])
                    self.statuses.append(f"{body['status']} {body['settlement_status']}")
                case "data":
                    self.closings.append(fields["data"])

    async def until(self, status: str) -> None:
        async with asyncio.timeout(WITHIN_S):
            while True:
                await asyncio.sleep(0.01)
                if self.statuses and self.statuses[-1].startswith(status):
                    return


async def test_a_stream_goes_on_elsewhere_when_its_gateway_stops(
    system: Stack, edge: Edge, name: str
):
    [customer] = await edge.open_customers(name, 1, 10_000_00)
    await edge.pay(customer, name, amount=CODE_REQUIRED, to_account="payee-xyz")
    client = Follower(system, customer, name)
    following = asyncio.create_task(client.follow())
    await client.until("OTP_REQUIRED")

    os.kill(system.pid("gateway", 1), signal.SIGTERM)
    confirmed = await edge.pay(
        customer, name, amount=CODE_REQUIRED, to_account="payee-xyz", otp_code=CODE
    )
    await following

    assert confirmed.status_code == 200
    assert client.closings == ["stopping"]
    assert client.ids == sorted(set(client.ids))
    assert (client.statuses[0], client.statuses[-1]) == ("OTP_REQUIRED NONE", "SUCCESS SETTLED")


async def test_a_websocket_tells_each_status_to_the_last(edge: Edge, name: str):
    [customer] = await edge.open_customers(name, 1, 10_000_00)
    await edge.pay(customer, name, amount=CODE_REQUIRED, to_account="payee-xyz")
    url = str(edge.http.base_url).replace("http", "ws", 1).rstrip("/") + "/ws"
    protocols = ["countersign.v1", f"bearer.{customer.token}"]
    code = {"amount": CODE_REQUIRED, "to_account": "payee-xyz", "otp_code": CODE}
    async with (
        asyncio.timeout(WITHIN_S),
        connect(url, subprotocols=protocols, proxy=None) as socket,
    ):
        await socket.send(json.dumps({"subscribe": name}))
        received = [json.loads(await socket.recv()) for _ in range(2)]
        await edge.pay(customer, name, **code)
        while received[-1].get("reason") != "final":
            received.append(json.loads(await socket.recv()))

    statuses = [one for one in received if one["event"] == "status"]
    ids = [int(one["id"]) for one in statuses]
    assert ids == sorted(set(ids))
    assert statuses[-1]["data"]["settlement_status"] == "SETTLED"
    read = await edge.http.get(
        f"/payment/{name}", headers={"Authorization": f"Bearer {customer.token}"}
    )
    assert read.json() == statuses[-1]["data"]
    assert read.headers["etag"] == f'"{ids[-1]}"'
