"""The service on real Kafka and PostgreSQL, with owners' tokens and endpoints on this machine."""

import asyncio
import time
from contextlib import asynccontextmanager
from uuid import UUID, uuid5

from aiohttp import web
from aiohttp.test_utils import TestServer

from payment_schemas.events.confirmation import PaymentStatusChanged
from testbed.service import client_of, publish, running
from testkit.events import event_of
from testkit.tokens import AUDIENCE, ISSUER, KEYS, token
from webhooks.app import build
from webhooks.routes import PATH

OWNER = "usr-456"
WITHIN_S = 15
CONFIRMED, SETTLED = ("SUCCESS", "PENDING"), ("SUCCESS", "SETTLED")


@asynccontextmanager
async def issuer():
    """Serve the keys of the tests' tokens; yield the settings that trust them."""

    async def keys(_request):
        return web.json_response({"keys": KEYS})

    app = web.Application()
    app.router.add_get("/keys", keys)
    async with TestServer(app) as server:
        url = str(server.make_url("/keys"))
        yield {"jwks_url": url, "token_issuer": ISSUER, "token_audience": AUDIENCE}


def change(number, state=CONFIRMED, sequence=2, user_id=OWNER):
    status, settlement_status = state
    return event_of(
        PaymentStatusChanged,
        payment_id=uuid5(UUID(int=1), f"{user_id}/{number}"),
        user_id=user_id,
        transaction_id=f"tx-{number}",
        sequence=sequence,
        status=status,
        settlement_status=settlement_status,
    )


class World:
    """A running service and its owner's client."""

    def __init__(self, http, settings, brokers):
        self.http, self.settings, self.brokers = http, settings, brokers

    def as_user(self, user_id):
        self.http.headers["Authorization"] = f"Bearer {token(sub=user_id, scope='webhooks.write')}"
        return self.http

    async def add(self, url, **fields):
        response = await self.http.post(PATH, json={"url": url, **fields})
        assert response.status_code == 201, response.text
        return response.json()

    async def publish(self, *changes):
        await publish(self.brokers, self.settings, *changes)

    async def deliveries(self, endpoint_id, **query):
        response = await self.http.get(f"{PATH}/{endpoint_id}/deliveries", params=query)
        return response.json()["deliveries"]


@asynccontextmanager
async def world_of(settings, brokers):
    async with running(build(settings)) as process, client_of(process) as http:
        world = World(http, settings, brokers)
        world.as_user(OWNER)
        yield world


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
