"""Both clients follow a payment by the gateway's stream, and read it again where there is none."""

import json

import pytest
from contract_cases import done
from scripted_gateway import ScriptedGateway

SENT = {
    "transaction_id": "tx-1",
    "status": "SUCCESS",
    "settlement_status": "SENT",
    "amount": "50.00",
    "currency": "USD",
}
SETTLED = {**SENT, "settlement_status": "SETTLED"}
READ, READ_STREAM = "GET /payment/tx-1", "GET /payment/tx-1/events"
both = pytest.mark.parametrize("kind", ["Client", "AsyncClient"])


def read(body, etag='"3"'):
    return {"status": 200, "body": body, "headers": {"ETag": etag} if etag else {}}


def stream(*events):
    """A stream with a heartbeat before each event."""
    parts = [f": \n\nevent: {name}\nid: 4\ndata: {data}\n\n" for name, data in events]
    return {"status": 200, "text": "retry: 1000\n\n" + "".join(parts)}


def status(body):
    return "status", json.dumps(body)


async def settled(kind, *answers, **arguments):
    gateway = ScriptedGateway(answers)
    client = gateway.client(kind, "token")
    payment = await done(client.wait_until_settled, transaction_id="tx-1", **arguments)
    assert payment.settled
    return gateway


@both
async def test_a_payment_is_read_once_and_then_followed(kind):
    gateway = await settled(kind, read(SENT), stream(status(SENT), status(SETTLED)))

    assert gateway.sent == [READ, READ_STREAM]
    assert gateway.requests[1].headers["Last-Event-ID"] == "3"
    assert gateway.requests[1].headers["Authorization"] == "Bearer token"
    assert gateway.waited_s == 0


@both
@pytest.mark.parametrize(
    "lost",
    [
        stream(("closing", "stopping")),
        stream(),
        {"status": 503},
        {"status": 204},
        {"failure": True},
        {"status": 200, "text": "x" * 100_000},
    ],
)
async def test_after_a_stream_without_the_end_the_payment_is_read_again(kind, lost):
    gateway = await settled(kind, read(SENT), lost, read(SETTLED))

    assert gateway.sent == [READ, READ_STREAM, READ]
    assert gateway.waited_s > 0


@both
@pytest.mark.parametrize("etag", [None, '"x"', ""])
async def test_a_gateway_without_streams_is_read_again_and_again(kind, etag):
    gateway = await settled(kind, read(SENT, etag), read(SENT, etag), read(SETTLED, etag))

    assert gateway.sent == [READ] * 3


@both
async def test_the_last_seconds_of_a_deadline_are_left_to_reads(kind):
    gateway = await settled(kind, read(SENT), read(SETTLED), deadline_s=15)

    assert gateway.sent == [READ] * 2
