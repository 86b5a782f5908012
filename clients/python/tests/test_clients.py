"""Tokens, deadlines and the wire of both clients."""

import contextlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from contract_cases import PAYMENT, done
from scripted_gateway import ScriptedGateway

from countersign_client import (
    AsyncClient,
    Client,
    ConnectionFailed,
    Unauthorized,
    UnexpectedAnswer,
)

OK = {
    "status": 200,
    "body": {
        "status": "SUCCESS",
        "transaction_id": "tx-1",
        "reference": "7K2M9QX4TD",
        "settlement_method": "ACH",
    },
}
OTP = {"status": 403, "body": {"status": "OTP_REQUIRED", "message": "", "expires_in": 300}}
EXPIRED = {"status": 401, "body": {"error": "Unauthorized", "details": "expired"}}


def bearers(gateway):
    return [request.headers.get("Authorization") for request in gateway.requests]


def test_a_provider_of_tokens_is_asked_once_and_again_after_401():
    tokens = iter(["one", "two"])
    gateway = ScriptedGateway([OK, EXPIRED, OK])
    client = gateway.client("Client", lambda: next(tokens))
    client.confirm(**PAYMENT)
    client.confirm(**PAYMENT)
    assert bearers(gateway) == ["Bearer one", "Bearer one", "Bearer two"]
    assert gateway.keys[1] == gateway.keys[2]


async def test_a_provider_may_be_a_coroutine():
    async def token():
        return "one"

    gateway = ScriptedGateway([OK])
    await gateway.client("AsyncClient", token).confirm(**PAYMENT)
    assert bearers(gateway) == ["Bearer one"]


async def test_a_source_of_codes_may_be_a_coroutine():
    async def code(required):
        assert required.expires_in == 300
        return "789012"

    gateway = ScriptedGateway([OTP, OK])
    await gateway.client("AsyncClient").confirm(**PAYMENT, code=code)
    assert b'"otp_code":"789012"' in gateway.requests[1].content


def test_a_new_token_that_is_refused_too_is_an_error():
    gateway = ScriptedGateway([EXPIRED, EXPIRED])
    with pytest.raises(Unauthorized):
        gateway.client("Client", lambda: "one").confirm(**PAYMENT)


def test_a_refused_token_without_a_provider_is_sent_once():
    gateway = ScriptedGateway([EXPIRED])
    with pytest.raises(Unauthorized):
        gateway.client("Client", "one").confirm(**PAYMENT)


def test_a_token_is_never_sent_on_to_another_address():
    elsewhere = {"status": 307, "headers": {"Location": "http://elsewhere/"}}
    gateway = ScriptedGateway([elsewhere])
    client = gateway.client("Client", "one")
    client._http.follow_redirects = True
    with pytest.raises(UnexpectedAnswer):
        client.confirm(**PAYMENT)


def test_the_time_that_the_user_takes_is_no_part_of_the_deadline():
    gateway = ScriptedGateway([OTP, {"failure": "connection"}, OK])

    def slow(_required):
        gateway.now_s += 200
        return "789012"

    gateway.client("Client").confirm(**PAYMENT, code=slow, deadline_s=5)
    assert len(gateway.sent) == 3


@pytest.mark.parametrize("kind", ["Client", "AsyncClient"])
async def test_one_deadline_is_for_all_tries(kind):
    gateway = ScriptedGateway([{"failure": "connection"}] * 100)
    client = gateway.client(kind)
    with pytest.raises(ConnectionFailed):
        await done(client.confirm, **PAYMENT, deadline_s=60)
    assert 50 < gateway.waited_s < 60
    assert len(gateway.sent) <= 20


@pytest.mark.parametrize("amount", [50.0, True])
def test_a_float_is_no_amount(amount):
    gateway = ScriptedGateway([])
    with pytest.raises(TypeError, match="amount"):
        gateway.client("Client").confirm(**{**PAYMENT, "amount": amount})


def test_a_request_that_cannot_be_sent_is_not_tried_again():
    with Client("gopher://gateway") as client, pytest.raises(httpx.UnsupportedProtocol):
        client.confirm(**PAYMENT)


class Dripping(BaseHTTPRequestHandler):
    """A server that sends a byte every 50 ms, for two seconds."""

    def do_POST(self):
        self.send_response(200)
        self.send_header("Content-Length", "40")
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            for _ in range(40):
                self.wfile.write(b"x")
                time.sleep(0.05)

    def log_message(self, *_words):
        """Print nothing."""


@pytest.fixture
def dripping():
    with ThreadingHTTPServer(("127.0.0.1", 0), Dripping) as server:
        server.daemon_threads = True
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, args=[0.02]).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_response_that_takes_too_long_is_bounded_by_the_deadline(dripping):
    began = time.monotonic()
    with Client(dripping) as client, pytest.raises(ConnectionFailed):
        client.confirm(**PAYMENT, deadline_s=0.3)
    assert time.monotonic() - began < 1


async def test_so_is_one_to_the_asynchronous_client(dripping):
    began = time.monotonic()
    async with AsyncClient(dripping) as client:
        with pytest.raises(ConnectionFailed):
            await client.confirm(**PAYMENT, deadline_s=0.3)
    assert time.monotonic() - began < 1
