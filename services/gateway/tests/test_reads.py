"""Reads over real HTTP: one confirm after the other, with the gateway's credential."""

from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.clients.reads import ConfirmReads, PaymentView
from service_runtime.errors import Unavailable

NOWHERE = "http://127.0.0.1:1"
PAYMENT = {"transaction_id": "tx-987", "status": "SUCCESS"}
VIEW = PaymentView(PAYMENT, 3)


@asynccontextmanager
async def confirm(status, body):
    """A confirm with these responses, and the requests that it got."""
    asked = []

    async def answer(request):
        asked.append((request.rel_url.path, dict(request.query), request.headers["Authorization"]))
        return web.json_response(body, status=status)

    app = web.Application()
    app.router.add_get("/payments/{transaction_id}", answer)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/"), asked


async def test_a_payment_is_read_for_its_owner():
    async with (
        confirm(200, {**PAYMENT, "sequence": 3}) as (url, asked),
        ConfirmReads([url], lambda: "secret") as reads,
    ):
        assert await reads.payment("usr/4 5&6", "tx-987") == VIEW

    assert asked == [("/payments/tx-987", {"user_id": "usr/4 5&6"}, "Bearer secret")]


async def test_an_unknown_payment_is_none():
    async with confirm(404, {}) as (url, _), ConfirmReads([url], lambda: "secret") as reads:
        assert await reads.payment("usr-456", "tx-987") is None


@pytest.mark.parametrize(
    ("status", "body"), [(500, {}), (401, {}), (200, ["not a payment"]), (302, {})]
)
async def test_the_next_confirm_is_asked_if_one_does_not_respond(status, body):
    async with (
        confirm(status, body) as (broken, _),
        confirm(200, {**PAYMENT, "sequence": 3}) as (sound, _),
        ConfirmReads([NOWHERE, broken, sound], lambda: "secret") as reads,
    ):
        assert await reads.payment("usr-456", "tx-987") == VIEW


async def test_without_a_responding_confirm_a_read_is_unavailable():
    async with ConfirmReads([NOWHERE], lambda: "secret") as reads:
        with pytest.raises(Unavailable):
            await reads.payment("usr-456", "tx-987")
