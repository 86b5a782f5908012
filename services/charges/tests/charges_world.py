"""The service on real Kafka and PostgreSQL, with the providers' mocks as processes of their own."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
from contextlib import asynccontextmanager

import httpx
import uvicorn

from charges.app import build
from countersign_client.answers import Answer
from countersign_client.encryption import Encryption
from testbed.service import running
from testkit.tokens import token

NUMBER, CODE = "4242424242424242", "913"
CARD = {"cardNumber": NUMBER, "expiryMonth": "12", "expiryYear": "2030", "cvc": CODE}
JOSE = {"Content-Type": "application/jose"}
PROCESS = "/api/v1/payments/process"
OWNER = "usr-456"
USAGE = "/api/v1/payments/usage"
BODY = {"amount": 1000, "currency": "USD", "source": "tok_test", "email": "donor@example.com"}
WITHIN_S = 20


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


class Mock:
    """A provider's mock as a process."""

    def __init__(self, name, environment, webhook_url):
        self.name, self.port = name, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        own = {
            "PORT": str(self.port),
            "PROFILE": "dev",
            "PROVIDER_WEBHOOK_URL": webhook_url,
            "WEBHOOK_LATE_S": "1",
            "FAULT_SLOW_S": "1.5",
        }
        command = [sys.executable, "-m", f"mocks.{name}"]
        environment = os.environ | environment | own
        self._process = subprocess.Popen(command, env=environment)  # noqa: S603 - a module of ours
        self._wait()

    def _wait(self):
        end_s = time.monotonic() + 60
        while time.monotonic() < end_s:
            assert self._process.poll() is None, "the mock ended while it started"
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/ready").status_code == 200:
                    return
            time.sleep(0.05)
        raise TimeoutError(self.name)

    def switch(self, kind, rate=1.0):
        httpx.put(f"{self.url}/faults", json={"kind": kind, "rate": rate}).raise_for_status()

    def heal(self):
        httpx.delete(f"{self.url}/faults").raise_for_status()

    def payments(self, transaction_id):
        """What the provider has of one charge, by our reference."""
        stem = f"chg-{transaction_id.removeprefix('txn_')}-"
        listed = httpx.get(f"{self.url}/payments").json()["payments"]
        found = [(one.get("reference") or one["metadata"]["reference"], one) for one in listed]
        return [one for reference, one in found if reference.startswith(stem)]

    def dispute(self, transaction_id, status):
        """Have the provider report a dispute of a charge's payment."""
        (payment,) = [one for one in self.payments(transaction_id) if one["status"] in TAKEN]
        reference = payment.get("reference") or payment["metadata"]["reference"]
        body = {"reference": reference, "status": status}
        httpx.post(f"{self.url}/disputes", json=body).raise_for_status()

    def cards(self):
        """The cards that the provider has stored."""
        return httpx.get(f"{self.url}/cards").json()["cards"]

    def kill(self):
        self._process.kill()
        self._process.wait()


TAKEN = {"succeeded", "requires_capture", "captured", "authorised"}
"""States in which a provider holds the customer's money."""


class World:
    """A running service, its owner's client and the providers."""

    def __init__(self, http, mocks):
        self.http, self.mocks = http, mocks
        self.as_user(OWNER)

    def as_user(self, user_id):
        held = token(sub=user_id, scope="charges.write")
        self.http.headers["Authorization"] = f"Bearer {held}"
        return self.http

    async def pay(self, path=USAGE, key=None, **fields):
        headers = {"Idempotency-Key": key} if key else {}
        return await self.http.post(path, json=BODY | fields, headers=headers)

    async def read(self, transaction_id):
        response = await self.http.get(f"/api/v1/payments/{transaction_id}")
        assert response.status_code == 200, response.text
        return response.json()["data"]

    async def ends(self, transaction_id, *statuses):
        async def there():
            data = await self.read(transaction_id)
            return data if data["status"] in statuses else None

        return await until(there)

    def taken(self, transaction_id):
        """Payments in which a provider holds the customer's money."""
        return [
            one
            for mock in self.mocks.values()
            for one in mock.payments(transaction_id)
            if one["status"] in TAKEN
        ]


@asynccontextmanager
async def world_of(settings, port, mocks):
    """Serve on a port: webhooks come by HTTP."""
    async with running(build(settings)) as process:
        config = uvicorn.Config(process.app, port=port, lifespan="off", log_config=None)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        await until(lambda: server.started)
        try:
            url = f"http://127.0.0.1:{port}"
            async with httpx.AsyncClient(base_url=url, timeout=30) as http:
                yield World(http, mocks)
        finally:
            server.should_exit = True
            await serving


async def until(condition, within_s=WITHIN_S):
    """Wait for a condition, a function or a coroutine function; fail past the time."""
    end_s = time.monotonic() + within_s
    while True:
        found = condition()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < end_s, "did not happen in time"
        await asyncio.sleep(0.02)


async def encrypted(world, body, subject=OWNER):
    """A request as a client of ours encrypts it."""
    response = await world.http.get("/api/v1/cards/keys")
    encryption = Encryption(subject)
    encryption.keep(Answer(200, {}, response.json()), 0)
    return encryption.encrypt({"transaction_id": "card-1", **body}, None)


async def process(world, **fields):
    content = await encrypted(world, fields)
    return await world.http.post(PROCESS, content=content, headers=JOSE)
