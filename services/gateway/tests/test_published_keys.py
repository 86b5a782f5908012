"""Published keys: read from their service over real HTTP, kept for seconds."""

import asyncio

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.clients.published_keys import PARTNER_KEYS, HttpKeys
from service_runtime.errors import Unavailable


class Settlement:
    """A settlement that publishes what it is given, and counts."""

    def __init__(self):
        self.status, self.body, self.asked = 200, {"keys": []}, 0

    async def answer(self, _request):
        self.asked += 1
        return web.json_response(self.body, status=self.status)


@pytest.fixture
async def settlement():
    stub = Settlement()
    app = web.Application()
    app.router.add_get(PARTNER_KEYS, stub.answer)
    async with TestServer(app) as server:
        stub.url = str(server.make_url("")).rstrip("/")
        yield stub


def published(*urls, **options):
    return HttpKeys("settlement", urls, PARTNER_KEYS, **options)


async def test_any_number_of_requests_asks_settlement_once_in_ten_seconds(settlement):
    async with published(settlement.url) as keys:
        found = await asyncio.gather(*(keys.published() for _ in range(50)))
        assert settlement.asked == 1
    async with published(settlement.url, keep_s=0.0) as keys:
        await keys.published()
        settlement.body = {"keys": [{"kid": "new"}]}
        assert await keys.published() == {"keys": [{"kid": "new"}]}
    assert found == [{"keys": []}] * 50


@pytest.mark.parametrize(("status", "body"), [(500, {}), (404, {}), (200, ["no set"])])
async def test_keys_that_can_no_longer_be_read_are_not_published(settlement, status, body):
    async with published(settlement.url, keep_s=0.0) as keys:
        await keys.published()
        settlement.status, settlement.body = status, body
        with pytest.raises(Unavailable):
            await keys.published()


async def test_an_instance_that_does_not_respond_is_passed_over(settlement):
    async with published("http://127.0.0.1:1", settlement.url) as keys:
        assert await keys.published() == {"keys": []}
